//! Updates that do not fit are refused and change nothing; sizes of proofs stay in bounds.

use crate::model::{Model, path};
use cairn_merkle::map::{Claim, Error, HistorySource, KeyMap, PathHash, VersionLeaf, verify};
use cairn_types::{Lsn, Revision};
use std::cell::Cell;

fn put(main: u64, lsn: u64) -> (PathHash, VersionLeaf) {
    (path(1), VersionLeaf::put(Revision::new(main), Lsn::new(lsn), b"v"))
}

#[test]
fn versions_outside_the_stretch_between_the_heads_are_refused() {
    let mut map = KeyMap::new();
    map.update(&[put(2, 0), put(3, 4)], 3, Lsn::new(5)).expect("in order");
    let before = map.head();
    let cases = [
        ("a LSN taken in before", put(4, 4), 4, 9),
        ("a LSN after the new end", put(4, 9), 4, 9),
        ("a revision taken in before", put(3, 5), 4, 9),
        ("a revision after the new head", put(5, 5), 4, 9),
        ("a head that goes back", put(4, 5), 2, 9),
        ("an end that goes back", put(4, 5), 4, 4),
    ];
    for (name, change, revision, end) in cases {
        let refused = map.update(&[change], revision, Lsn::new(end));
        assert!(matches!(refused, Err(Error::OutOfOrder { .. })), "{name}");
        assert_eq!(map.head(), before, "{name}");
    }
    for (name, batch) in [
        ("one twice", [put(4, 5), put(4, 5)]),
        ("two of one revision", [put(4, 5), put(4, 6)]),
        ("revisions against the log", [put(5, 5), put(4, 6)]),
    ] {
        let refused = map.update(&batch, 5, Lsn::new(9));
        assert!(matches!(refused, Err(Error::OutOfOrder { .. })), "{name}");
        assert_eq!(map.head(), before, "{name}");
    }
    map.update(&[put(4, 5)], 4, Lsn::new(9)).expect("it fits");
    assert_eq!(map.version_count(&path(1)), 3);
}

#[test]
fn records_without_changes_move_the_head_only() {
    let mut map = KeyMap::new();
    let root = map.update(&[put(2, 0)], 2, Lsn::new(1)).expect("in order").root;
    let head = map.update(&[], 2, Lsn::new(70)).expect("only events");
    assert_eq!((head.root, head.revision, head.lsn_end), (root, 2, Lsn::new(70)));
}

/// Counts how many versions are read.
struct Counted<'a>(&'a [VersionLeaf], Cell<usize>);

impl HistorySource for Counted<'_> {
    fn version(
        &self,
        path: &PathHash,
        index: u64,
    ) -> Result<VersionLeaf, Box<dyn std::error::Error + Send + Sync>> {
        self.1.set(self.1.get() + 1);
        self.0.version(path, index)
    }
}

#[test]
fn a_proof_stays_below_its_bound_and_reads_few_versions() {
    let keys: Vec<_> = (0..20_000).map(|key| (path(key), put(2, key).1)).collect();
    let mut map = KeyMap::new();
    map.update(&keys, 2, Lsn::new(20_000)).expect("in order");
    let mut history = vec![keys[3].1];
    for at in 0..4_998 {
        let last = history.last().expect("at least one");
        history.push(last.next_put(Revision::new(3 + at), Lsn::new(20_000 + at), b"w"));
    }
    let more: Vec<_> = history[1..].iter().map(|one| (path(3), *one)).collect();
    map.update(&more, 6_000, Lsn::new(30_000)).expect("in order");
    for revision in [2, 3, 999, 2_050, 5_000, 6_000] {
        let claim = Claim::at(path(3), revision);
        let source = Counted(&history, Cell::new(0));
        let proof = map.prove(&claim, &source).expect("provable");
        // 20 levels at a million keys instead of the 15 here.
        let len = proof.encode().len() + 6 * 32;
        assert!(len <= 2_200, "{len} B at {revision}");
        verify(&map.head(), &claim, &proof).expect("holds");
        if revision == 6_000 {
            assert!(source.1.get() < 40, "{} versions read for the newest", source.1.get());
        }
    }
}

#[test]
fn a_key_never_written_is_shown_absent_in_a_few_hundred_bytes() {
    let map = Model::random(4, 500, 900).map();
    let proof = map.prove(&Claim::newest(path(7_777)), [].as_slice()).expect("provable");
    assert!(proof.encode().len() < 700);
}
