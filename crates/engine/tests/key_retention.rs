//! Keyspaces that keep only the latest: the setting outlives everything, space comes back, and
//! proofs, snapshots and other keyspaces know nothing of it.

use std::sync::Arc;

use cairn_engine::proof::check;
use cairn_engine::*;
use cairn_mvcc::{Error as KeysError, RangeRequest};
use cairn_segment::{Log, LogConfig, Retention, VerifyOptions};
use cairn_vfs::{ManualClock, MemVfs, SeededRng};

const ALL: CleanKeys<'_> = CleanKeys { dead_share: 0.0, roll: true, progress: None };

fn open(vfs: &MemVfs) -> Engine {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(vfs.clone()))
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(3)))
        .config(config);
    Engine::options().log(log).open().expect("opens")
}

/// Overwrites ten keys of two keyspaces; the value of a round.
fn churn(engine: &Engine, rounds: std::ops::Range<u32>) {
    for round in rounds {
        for name in ["cache", "ledger"] {
            let space = engine.keyspace(name).expect("there");
            let pairs = (0..10).map(|key| (format!("key{key}"), value(round, key)));
            space.put_all(pairs).expect("puts");
        }
    }
}

fn value(round: u32, key: u32) -> String {
    format!("{round} {key} ").repeat(50)
}

fn churned(vfs: &MemVfs) -> Engine {
    let engine = open(vfs);
    engine.create_keyspace_with("cache", KeyspaceRetention::LatestOnly).expect("creates");
    engine.create_keyspace("ledger").expect("creates");
    churn(&engine, 0..20);
    engine
}

/// How many values of a keyspace are in the log.
fn values_in_log(engine: &Engine, name: &str) -> usize {
    let stream = engine.keyspace(name).expect("there").stream();
    let mut scan = engine.log().scan(engine.log().start_lsn());
    let mut count = 0;
    while let Some(record) = scan.next_record().expect("reads") {
        let is_put = record.view.kind == cairn_segment::RecordKind::PUT;
        count += usize::from(is_put && record.view.stream == stream && record.payload().is_some());
    }
    count
}

#[test]
fn the_retention_of_a_keyspace_outlives_reopening_carrying_forward_and_snapshots() {
    let vfs = MemVfs::new();
    let engine = churned(&vfs);
    let retention = |engine: &Engine, name: &str| engine.keyspace(name).expect("there").retention();
    let check = |engine: &Engine| {
        assert_eq!(retention(engine, "cache"), KeyspaceRetention::LatestOnly);
        assert_eq!(retention(engine, "ledger"), KeyspaceRetention::Forever);
    };
    check(&engine);
    assert!(!engine.create_keyspace("cache").expect("exists"), "any retention will do");
    let other = engine.create_keyspace_with("cache", KeyspaceRetention::Forever);
    assert!(matches!(other, Err(Error::KeyspaceExists { .. })), "{other:?}");
    engine.retain(&Retention::default()).expect("carries forward");
    drop(engine);
    let engine = open(&vfs);
    check(&engine);
    let mut stream = Vec::new();
    let snapshot = engine.snapshot(SnapshotAt::Newest).expect("takes");
    snapshot.write_to(&mut stream, 0, None).expect("writes");
    let copy = MemVfs::new();
    let mut import = SnapshotImport::open(Arc::new(copy.clone())).expect("opens");
    import.read_from(&mut stream.as_slice(), None).expect("reads");
    import.finish(engine.log().codecs()).expect("finishes");
    check(&open(&copy));
    engine.set_keyspace_retention("cache", KeyspaceRetention::Forever).expect("sets");
    engine.set_keyspace_retention("ledger", KeyspaceRetention::LatestOnly).expect("sets");
    engine.keys().compact(engine.revision()).expect("compacts");
    engine.clean_keyspaces(&ALL).expect("cleans");
    assert_eq!((values_in_log(&engine, "cache"), values_in_log(&engine, "ledger")), (200, 10));
    drop(engine);
    assert_eq!(retention(&open(&vfs), "cache"), KeyspaceRetention::Forever);
}

#[test]
fn only_the_keyspace_that_asked_for_it_gives_space_back_and_answers_stay() {
    let vfs = MemVfs::new();
    let engine = churned(&vfs);
    let revision = engine.revision() - 2;
    engine.keys().compact(revision).expect("compacts");
    let before = engine.log().stats().expect("stats").stored_len;
    let cleaned = engine.clean_keyspaces(&ALL).expect("cleans");
    assert_eq!(cleaned.dropped_count, 180);
    assert_eq!((values_in_log(&engine, "cache"), values_in_log(&engine, "ledger")), (20, 200));
    let after = engine.log().stats().expect("stats").stored_len;
    assert!(after < before * 7 / 10, "{after} of {before}: {cleaned:?}");
    let mut engine = engine;
    for _life in 0..2 {
        for name in ["cache", "ledger"] {
            let space = engine.keyspace(name).expect("there");
            for at in [0, revision] {
                let found = space
                    .range(&RangeRequest::new(space.stream(), cairn_mvcc::Range::all()).at(at));
                let found = found.expect("reads").kvs;
                assert_eq!(found.len(), 10);
                let round = if at == 0 { 19 } else { 18 };
                for (key, kv) in (0..).zip(found) {
                    assert_eq!(kv.value, value(round, key), "{name} at {at}");
                }
            }
        }
        assert!(engine.verify(&VerifyOptions::default()).expect("verifies").is_intact());
        // The ledger is compacted as well: its records are proof, not answers.
        let early = engine.keyspace("ledger").expect("there").get_at("key1", revision - 1);
        assert!(matches!(early, Err(Error::Keys(KeysError::Compacted { .. }))));
        drop(engine);
        engine = open(&vfs);
    }
}

#[test]
fn a_dropped_keyspace_that_kept_only_the_latest_goes_from_the_log() {
    let vfs = MemVfs::new();
    let engine = churned(&vfs);
    engine.drop_keyspace("cache").expect("drops");
    engine.keys().compact(engine.revision()).expect("compacts");
    drop(engine);
    let engine = open(&vfs);
    assert_eq!(engine.clean_keyspaces(&ALL).expect("cleans").dropped_count, 200);
    assert_eq!(values_in_log(&engine, "ledger"), 200);
    drop(engine);
    let engine = open(&vfs);
    engine.create_keyspace("cache").expect("creates");
    assert_eq!(engine.keyspace("cache").expect("there").key_count().expect("counts"), 0);
}

#[test]
fn proofs_made_before_and_after_a_cleaning_hold() {
    let vfs = MemVfs::new();
    let engine = churned(&vfs);
    let proofs = engine.proofs().expect("opens");
    let key = proofs.verifier().expect("a key");
    let holds = |file: &str| check::record(file.as_bytes(), None, std::slice::from_ref(&key));
    let newest = engine.keyspace("cache").expect("there").get_at("key3", 0).expect("reads");
    let newest = newest.expect("there").mod_revision;
    let early = proofs.prove_key("cache", b"key3", newest).expect("proves").file.to_string();
    let head = proofs.head().expect("a head");
    proofs.save_key_map().expect("saves");
    engine.keys().compact(engine.revision()).expect("compacts");
    assert_eq!(engine.clean_keyspaces(&ALL).expect("cleans").dropped_count, 190);
    drop(proofs);
    drop(engine);
    for lost in [false, true] {
        if lost {
            // The tree is built again from leaves alone.
            for path in vfs.paths().iter().filter(|path| path.starts_with("tiles/")) {
                cairn_vfs::Vfs::remove(&vfs, path).expect("removes");
            }
        }
        let engine = open(&vfs);
        let proofs = engine.proofs().expect("opens");
        holds(&early).expect("an early proof holds");
        let late = proofs.prove_key("cache", b"key3", newest).expect("proves").file.to_string();
        holds(&late).expect("a late proof holds");
        assert_eq!(proofs.root_at(head.size).expect("a root"), head.root, "tiles lost: {lost}");
        drop(proofs);
        drop(engine);
    }
}

#[test]
fn a_snapshot_is_not_cut_before_what_was_cleaned_and_knows_what_it_lacks() {
    let vfs = MemVfs::new();
    let engine = churned(&vfs);
    let compacted = engine.revision();
    churn(&engine, 20..22);
    engine.keys().compact(compacted).expect("compacts");
    engine.clean_keyspaces(&ALL).expect("cleans");
    let take = |at| {
        let mut stream = Vec::new();
        engine.snapshot(at)?.write_to(&mut stream, 0, None).expect("writes");
        let vfs = MemVfs::new();
        let mut import = SnapshotImport::open(Arc::new(vfs.clone())).expect("opens");
        import.read_from(&mut stream.as_slice(), None).expect("reads");
        import.finish(engine.log().codecs()).expect("finishes");
        Ok::<_, Error>(open(&vfs))
    };
    let middle = engine.log().read(cairn_types::Lsn::new(100)).expect("reads").lsn;
    for at in [SnapshotAt::Revision(compacted - 1), SnapshotAt::Lsn(middle)] {
        let early = take(at);
        assert!(matches!(early, Err(Error::Keys(KeysError::Compacted { .. }))), "{early:?}");
    }
    // The compaction is behind its end; the cleaned segments tell.
    let copy = take(SnapshotAt::Revision(compacted + 1)).expect("takes");
    assert_eq!((copy.revision(), copy.keys().compact_revision()), (compacted + 1, compacted));
    let space = copy.keyspace("cache").expect("there");
    assert_eq!(space.get_at("key1", compacted).expect("reads").expect("there").value, value(19, 1));
    let early = space.get_at("key1", compacted - 1);
    assert!(matches!(early, Err(Error::Keys(KeysError::Compacted { .. }))));
}
