//! Key histories against a naive one that forgets nothing, and against etcd's procedure spelled
//! out over lists of generations.

use cairn_index::{Change, KeyHistory, KeyVersion};
use cairn_types::Revision;
use proptest::prelude::*;

fn at(main: u64) -> Revision {
    Revision { main, sub: 0 }
}

/// Generations as etcd keeps them; the last one is open and may be empty.
#[derive(Debug, Clone, Default)]
struct Generations(Vec<Generation>);

#[derive(Debug, Clone, Default)]
struct Generation {
    created: Revision,
    versions: u64,
    revisions: Vec<Revision>,
}

impl Generations {
    fn new() -> Self {
        Self(vec![Generation::default()])
    }

    fn put(&mut self, revision: Revision) {
        let open = self.0.last_mut().expect("never empty");
        if open.revisions.is_empty() {
            open.created = revision;
        }
        open.revisions.push(revision);
        open.versions += 1;
    }

    fn tombstone(&mut self, revision: Revision) -> bool {
        if self.0.last().expect("never empty").revisions.is_empty() {
            return false;
        }
        self.put(revision);
        self.0.push(Generation::default());
        true
    }

    fn get(&self, at: u64) -> Option<KeyVersion> {
        let last = self.0.len() - 1;
        let mut found = None;
        for (index, generation) in self.0.iter().enumerate().rev() {
            let Some(first) = generation.revisions.first() else { continue };
            let end = generation.revisions.last().expect("not empty");
            if index != last && end.main <= at {
                return None;
            }
            if first.main <= at {
                found = Some(generation);
                break;
            }
        }
        let generation = found?;
        let index = generation.revisions.iter().rposition(|revision| revision.main <= at)?;
        Some(KeyVersion {
            modified: generation.revisions[index],
            created: generation.created,
            version: generation.versions - (generation.revisions.len() - index - 1) as u64,
        })
    }

    fn since(&self, at: u64) -> Vec<Revision> {
        let mut found: Vec<Revision> = Vec::new();
        for revision in self.0.iter().flat_map(|generation| &generation.revisions) {
            if revision.main < at {
                continue;
            }
            if found.last().is_some_and(|last| last.main == revision.main) {
                found.pop();
            }
            found.push(*revision);
        }
        found
    }

    /// Gives the revision that is kept at or below `at`, tombstones left out.
    fn compact(&mut self, at: u64) -> Option<Revision> {
        let mut index = 0;
        while index + 1 < self.0.len() {
            if self.0[index].revisions.last().expect("closed").main >= at {
                break;
            }
            index += 1;
        }
        let closed = index + 1 < self.0.len();
        let generation = &mut self.0[index];
        let newest = generation.revisions.iter().rposition(|revision| revision.main <= at);
        let kept = newest
            .filter(|newest| !(closed && newest + 1 == generation.revisions.len()))
            .map(|newest| generation.revisions[newest]);
        generation.revisions.drain(..newest.unwrap_or(0));
        self.0.drain(..index);
        kept
    }

    fn is_empty(&self) -> bool {
        self.0.len() == 1 && self.0[0].revisions.is_empty()
    }

    fn revisions(&self) -> Vec<Revision> {
        self.0.iter().flat_map(|generation| generation.revisions.clone()).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// How far main goes on, and the sub.
    Put(u64, u32),
    Tombstone(u64, u32),
    /// How far back from the newest revision.
    Compact(u64),
}

fn steps(advance: std::ops::Range<u64>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (advance.clone(), 0_u32..3).prop_map(|(main, sub)| Step::Put(main, sub)),
        2 => (advance, 0_u32..3).prop_map(|(main, sub)| Step::Tombstone(main, sub)),
        1 => (0_u64..12).prop_map(Step::Compact),
    ];
    proptest::collection::vec(step, 1..60)
}

fn run(steps: &[Step]) {
    let (mut history, mut model, mut whole) =
        (KeyHistory::new(), Generations::new(), Generations::new());
    let mut last = at(1);
    let mut compacted = 0;
    for step in steps {
        match *step {
            Step::Put(main, sub) | Step::Tombstone(main, sub) => {
                let sub = if main == 0 { last.sub + 1 + sub } else { sub };
                let next = Revision { main: last.main + main, sub };
                if matches!(step, Step::Put(..)) {
                    history.put(next).expect("after the last");
                    model.put(next);
                    whole.put(next);
                } else {
                    let done = history.tombstone(next).expect("after the last");
                    assert_eq!(done, model.tombstone(next));
                    assert_eq!(done, whole.tombstone(next));
                }
                last = next;
            }
            Step::Compact(back) => {
                let to = last.main.saturating_sub(back);
                if to <= compacted {
                    continue;
                }
                compacted = to;
                let before: Vec<_> = history.changes().to_vec();
                let kept = history.kept_at(to);
                let dropped = history.compact(to);
                assert_eq!(kept, model.compact(to));
                assert_eq!([&dropped[..], history.changes()].concat(), before, "nothing vanishes");
                assert_eq!(history.compact(to), [], "again drops nothing");
                assert_eq!(history.kept_at(to), kept);
            }
        }
        let revisions: Vec<_> = history.changes().iter().map(|change| change.revision).collect();
        assert_eq!(revisions, model.revisions());
        assert_eq!(history.is_empty(), model.is_empty());
        for main in compacted..=last.main + 1 {
            let found = history.get(main);
            assert_eq!(found, model.get(main), "etcd's procedure at {main}");
            assert_eq!(found, whole.get(main), "as if nothing was ever compacted at {main}");
            let since: Vec<_> = history.since(main).map(|change| change.revision).collect();
            assert_eq!(since, model.since(main));
            if main >= compacted.max(1) {
                assert_eq!(since, whole.since(main), "a watch from {main} misses nothing");
            }
        }
        let mut bytes = Vec::new();
        history.encode(&mut bytes);
        assert_eq!(KeyHistory::decode(&bytes), Ok(history.clone()));
        assert!(bytes.len() <= 24 + 4 * history.changes().len());
    }
}

proptest! {
    /// One change of a key a transaction, as the store sees to it.
    #[test]
    fn it_answers_as_etcd_and_as_if_nothing_was_compacted(steps in steps(1..4)) {
        run(&steps);
    }

    /// Several changes of the key in one transaction.
    #[test]
    fn it_answers_as_etcd_with_several_changes_a_transaction(steps in steps(0..3)) {
        let steps: Vec<_> =
            steps.into_iter().filter(|step| !matches!(step, Step::Compact(_))).collect();
        run(&steps);
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_canonical(
        bytes in proptest::collection::vec(prop_oneof![0_u8..12, any::<u8>()], 0..20),
    ) {
        let bytes = [&[1][..], &bytes].concat();
        if let Ok(history) = KeyHistory::decode(&bytes) {
            let mut again = Vec::new();
            history.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn put_put_delete_put_counts_versions_as_etcd() {
    let mut history = KeyHistory::new();
    assert_eq!(history.tombstone(at(2)), Ok(false), "nothing to delete");
    history.put(at(2)).expect("first");
    history.put(at(4)).expect("next");
    assert!(history.put(at(4)).is_err() && history.tombstone(at(3)).is_err());
    assert_eq!(history.tombstone(at(6)), Ok(true));
    assert_eq!(history.tombstone(at(7)), Ok(false));
    history.put(at(8)).expect("next");
    let of = |main| history.get(main).map(|v| (v.created.main, v.modified.main, v.version));
    assert_eq!(
        [1, 2, 3, 4, 5].map(of),
        [None, Some((2, 2, 1)), Some((2, 2, 1)), Some((2, 4, 2)), Some((2, 4, 2))]
    );
    assert_eq!([6, 7, 8, 99].map(of), [None, None, Some((8, 8, 1)), Some((8, 8, 1))]);
    let since: Vec<_> = history.since(5).collect();
    assert_eq!(since[0], Change { revision: at(6), tombstone: true });
}

#[test]
fn a_tombstone_stays_at_its_own_revision_and_goes_with_the_next() {
    let mut history = KeyHistory::new();
    history.put(at(2)).expect("first");
    history.tombstone(at(5)).expect("next");
    assert_eq!(history.compact(5).len(), 1);
    assert_eq!(history.since(5).count(), 1, "a watch from 5 still sees the deletion");
    assert_eq!((history.kept_at(5), history.get(5)), (None, None));
    assert_eq!(history.compact(6).len(), 1);
    assert!(history.is_empty(), "the key can be dropped");
    history.put(at(9)).expect("a new life");
    assert_eq!(history.current().map(|v| (v.created, v.version)), Some((at(9), 1)));
}

#[test]
fn a_key_that_was_put_once_takes_ten_bytes() {
    let mut history = KeyHistory::new();
    history.put(at(1_000_000)).expect("first");
    let mut bytes = Vec::new();
    history.encode(&mut bytes);
    assert_eq!(bytes, [1, 1, 0xc0, 0x84, 0x3d, 0, 0, 0]);
}
