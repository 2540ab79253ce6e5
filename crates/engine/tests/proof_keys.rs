//! Proofs about keys: what they were, that they were not, and that nothing is left out.

use crate::proofs::{fill, open};
use cairn_engine::Engine;
use cairn_engine::proof::{Error, KeyProofFile};
use cairn_merkle::dag::{Fault, Node, NodeStore};
use cairn_merkle::map::{Absence, Question, Verdict};
use cairn_segment::Retention;
use cairn_types::Lsn;
use cairn_vfs::{MemVfs, SeededRng};
use std::collections::BTreeMap;

fn answer(engine: &Engine, key: &str, question: Question) -> Verdict {
    let proofs = engine.proofs().expect("opens");
    let shown = proofs.prove_map("k", key.as_bytes(), question).expect("proves");
    let text = shown.file.to_string();
    let file = KeyProofFile::parse(text.as_bytes()).expect("parses");
    assert_eq!(file, shown.file);
    let checked = file.check(&[proofs.verifier().expect("key")]).expect("holds");
    assert_eq!(checked.head.revision, shown.revision);
    checked.verdict
}

#[test]
fn every_answer_of_the_map_is_that_of_a_model() {
    let (vfs, rng) = (MemVfs::new(), SeededRng::new(3));
    let mut model: BTreeMap<String, Vec<(u64, Option<String>)>> = BTreeMap::new();
    for round in 0..6 {
        let engine = open(&vfs);
        engine.create_keyspace("k").expect("creates");
        fill(&engine, 5);
        let space = engine.keyspace("k").expect("there");
        for _ in 0..60 {
            let key = format!("key{}", rng.below(12));
            let history = model.entry(key.clone()).or_default();
            let lives = history.last().is_some_and(|(_, value)| value.is_some());
            if lives && rng.below(3) == 0 {
                let revision = space.delete(key).expect("deletes").revision;
                history.push((revision, None));
            } else {
                let value = format!("v{}", rng.below(1000));
                let revision = space.put(key, value.clone()).expect("puts").revision;
                history.push((revision, Some(value)));
            }
        }
        if round == 3 {
            engine.proofs().expect("opens").save_key_map().expect("saves");
        }
        let newest = engine.revision();
        for (key, history) in &model {
            let Verdict::History(versions) = answer(&engine, key, Question::History) else {
                panic!("a history");
            };
            let said: Vec<_> = versions.iter().map(|v| (v.modified.main, !v.tombstone)).collect();
            let known: Vec<_> =
                history.iter().map(|(rev, value)| (*rev, value.is_some())).collect();
            assert_eq!(said, known);
            for _ in 0..5 {
                let revision = 1 + rng.below(newest);
                let known = history.iter().rev().find(|(rev, _)| *rev <= revision);
                match (answer(&engine, key, Question::At(revision)), known) {
                    (Verdict::Value(proven), Some((rev, Some(value)))) => {
                        assert_eq!(proven.version.modified.main, *rev);
                        assert!(proven.version.holds(value.as_bytes()));
                    }
                    (Verdict::Absent(Absence::Deleted(_)), Some((_, None))) => {}
                    (Verdict::Absent(Absence::NotYet(_)), None) => {}
                    (verdict, known) => panic!("{verdict:?}, not {known:?}"),
                }
            }
        }
        assert_eq!(answer(&engine, "never", Question::Newest), Verdict::Absent(Absence::Never));
        let end = engine.log().visible_end();
        answer(&engine, "key1", Question::Newest);
        assert_eq!(engine.log().visible_end(), end, "one root serves all questions");
    }
}

#[test]
fn the_put_of_a_revision_is_proven_and_a_future_or_absent_one_refused() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("k").expect("creates");
    let space = engine.keyspace("k").expect("there");
    let first = space.put("a", "1").expect("puts").revision;
    let second = space.put("a", "2").expect("puts").revision;
    let gone = space.delete("a").expect("deletes").revision;
    let proofs = engine.proofs().expect("opens");
    for (revision, value) in [(first, b"1"), (second, b"2")] {
        let shown = proofs.prove_key("k", b"a", revision).expect("proves");
        let text = shown.file.to_string();
        let key = proofs.verifier().expect("key");
        let checked = cairn_engine::proof::check::record(text.as_bytes(), None, &[key]);
        let checked = checked.expect("holds");
        assert_eq!((checked.sequence, checked.key.as_deref()), (revision, Some(&b"a"[..])));
        checked.check_payload(value).expect("the value");
    }
    for (key, revision) in [("a", 1), ("a", gone), ("a", 0), ("b", second)] {
        let refused = proofs.prove_key("k", key.as_bytes(), revision);
        assert!(matches!(refused, Err(Error::NoKey { .. })), "{key} {revision}");
    }
    let future = proofs.prove_map("k", b"a", Question::At(1 << 40));
    assert!(matches!(future, Err(Error::Map(_))), "{future:?}");
}

#[test]
fn no_changed_bit_of_a_key_proof_passes() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("k").expect("creates");
    let space = engine.keyspace("k").expect("there");
    for number in 0..40 {
        space.put(format!("key{}", number % 9), number.to_string()).expect("puts");
    }
    let proofs = engine.proofs().expect("opens");
    let key = [proofs.verifier().expect("key")];
    let shown = proofs.prove_map("k", b"key3", Question::History).expect("proves");
    let bytes = shown.file.to_string().into_bytes();
    let holds = |bytes: &[u8]| KeyProofFile::parse(bytes).and_then(|file| file.check(&key));
    holds(&bytes).expect("holds");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        // What was asked about is the reader's to compare; it may be another question whose
        // answer the same hashes give, but never another answer to this one.
        if let Ok(checked) = holds(&changed) {
            let file = KeyProofFile::parse(&changed).expect("parses");
            assert!(file.key != shown.file.key || file.question != shown.file.question);
            assert_eq!(checked.head, shown.file.head);
        }
        assert!(holds(&bytes[..at]).is_err(), "cut to {at}");
    }
}

#[test]
fn histories_of_dropped_segments_need_the_saved_map() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("k").expect("creates");
    let space = engine.keyspace("k").expect("there");
    for number in 0..40 {
        space.put("a", number.to_string()).expect("puts");
    }
    answer(&engine, "a", Question::Newest);
    fill(&engine, 2000);
    space.put("a", "new").expect("puts");
    engine.keys().compact(engine.revision()).expect("compacts");
    let retention = Retention { before: Some(engine.log().visible_end()), ..Retention::default() };
    let dropped = engine.retain(&retention).expect("retains");
    assert!(dropped.segment_count > 0, "{dropped:?}");
    drop((space, engine));
    let engine = open(&vfs);
    let Verdict::Value(proven) = answer(&engine, "a", Question::Newest) else {
        panic!("a value");
    };
    assert!(proven.version.holds(b"new"));
    assert_eq!(proven.count, 41);
    let whole = engine.proofs().expect("opens").prove_map("k", b"a", Question::History);
    assert!(whole.is_err(), "the first versions are gone");
}

#[test]
fn blocks_of_the_graph_are_records_and_outlive_a_restart() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    let dag = engine.dag().expect("opens");
    let leaf = dag.add_node(&Node::new("stone")).expect("adds");
    let pile = dag.add_node(&Node::new("pile").with_link("top", leaf, 5)).expect("adds");
    dag.set_root("cairn", Some(&pile)).expect("names");
    dag.set_root("gone", Some(&leaf)).expect("names");
    dag.set_root("gone", None).expect("forgets");
    let end = engine.log().visible_end();
    dag.add_node(&Node::new("stone")).expect("adds");
    dag.set_root("cairn", Some(&pile)).expect("names");
    assert_eq!(engine.log().visible_end(), end, "what is there is not written again");
    let root_hash = dag.root_hash().expect("hashes");
    drop((dag, engine));
    let engine = open(&vfs);
    let dag = engine.dag().expect("opens");
    assert_eq!(dag.root_hash().expect("hashes"), root_hash);
    assert_eq!(dag.roots().expect("names").into_keys().collect::<Vec<_>>(), ["cairn"]);
    assert!(dag.verify_integrity(&[pile], 10).expect("checks").is_whole());
    // A proof of the record is one of the block: its payload hash is the hash in the id.
    let place = dag.store().place(&leaf).expect("asks").expect("there");
    let proofs = engine.proofs().expect("opens");
    let text = proofs.prove_lsn(place).expect("proves").file.to_string();
    let key = proofs.verifier().expect("key");
    let checked = cairn_engine::proof::check::record(text.as_bytes(), None, &[key]).expect("holds");
    assert_eq!(checked.payload_hash.as_bytes(), leaf.digest());
    // Erased blocks are named as missing.
    engine.log().roll().expect("rolls");
    fill(&engine, 1);
    let mut fate = |lsn: Lsn, _: &cairn_codec::RecordView<'_>| {
        if lsn == place { cairn_segment::Fate::Erase } else { cairn_segment::Fate::Keep }
    };
    engine.log().clean(&mut fate, &Default::default()).expect("cleans");
    assert_eq!(dag.store().get(&leaf).expect("reads"), None);
    let report = dag.verify_integrity(&[pile], 10).expect("checks");
    assert_eq!(report.faults, [Fault::Missing { cid: leaf, parent: Some(pile) }]);
}
