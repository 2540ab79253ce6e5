//! Snapshots of a whole store: keys, leases, topics, events and groups as they were.

use std::sync::Arc;

use cairn_engine::*;
use cairn_segment::{Log, LogConfig, LogOptions};
use cairn_types::Offset;
use cairn_vfs::{ManualClock, MemVfs, SeededRng};

fn options(vfs: &MemVfs) -> LogOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    Log::options()
        .vfs(Arc::new(vfs.clone()))
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(3)))
        .config(config)
}

fn open(vfs: &MemVfs) -> Engine {
    Engine::options().log(options(vfs)).open().expect("opens")
}

fn copy(engine: &Engine, at: SnapshotAt) -> Engine {
    let mut stream = Vec::new();
    engine.snapshot(at).expect("takes").write_to(&mut stream, 0, None).expect("writes");
    let vfs = MemVfs::new();
    let mut import = SnapshotImport::open(Arc::new(vfs.clone())).expect("opens");
    import.read_from(&mut stream.as_slice(), None).expect("reads");
    import.finish(engine.log().codecs()).expect("finishes");
    open(&vfs)
}

fn events(engine: &Engine) -> Vec<cairn_types::Event> {
    engine.events("t", 0, 0).expect("opens").collect::<Result<_>>().expect("reads")
}

#[test]
fn a_snapshot_reopens_at_every_revision_that_can_be_read() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    let mut hashes = Vec::new();
    for number in 0..20_u32 {
        engine.append("t", NewEvent::text(format!("event {number}"))).expect("appends");
        let revision = keys.put(format!("{}", number % 7), vec![7; 200]).expect("puts").revision;
        hashes.push((revision, engine.keys().state_hash(0).expect("hashes")));
        if number == 9 {
            engine.log().roll().expect("rolls");
            engine.commit("g", "t", 0, Offset::new(4)).expect("commits");
        }
    }
    for (number, (revision, hash)) in (0..).zip(&hashes) {
        let copy = copy(&engine, SnapshotAt::Revision(*revision));
        assert_eq!(copy.revision(), *revision);
        assert_eq!(copy.keys().state_hash(0).expect("hashes"), *hash);
        let found = events(&copy);
        assert!(found.len() > number && found[..] == events(&engine)[..found.len()]);
        let committed = copy.committed("g", "t", 0).expect("looks");
        assert_eq!(committed, (number >= 9).then_some(Offset::new(4)));
        copy.keyspace("k").expect("there").put("more", "1").expect("puts");
    }
    let newest = copy(&engine, SnapshotAt::Newest);
    assert_eq!(newest.log().head(), engine.log().head());
    assert_eq!(newest.revision(), engine.revision());
    let future = engine.snapshot(SnapshotAt::Revision(999)).expect_err("not there yet");
    assert!(matches!(future, Error::Keys(cairn_mvcc::Error::FutureRevision { .. })), "{future}");
    engine.keys().compact(10).expect("compacts");
    let gone = engine.snapshot(SnapshotAt::Revision(5)).expect_err("compacted");
    assert!(matches!(gone, Error::Keys(cairn_mvcc::Error::Compacted { .. })), "{gone}");
}

#[test]
fn the_same_snapshot_is_taken_again_by_its_lsn() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put("a", "1").expect("puts");
    let first = engine.snapshot(SnapshotAt::Newest).expect("takes");
    keys.put("a", "2").expect("puts");
    let again = SnapshotAt::Lsn(first.manifest().end_lsn);
    assert_eq!(engine.snapshot(again).expect("takes").id(), first.id());
}

#[test]
fn a_snapshot_while_others_write_is_a_whole_revision() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..500_u32 {
                let pair = [("a", number.to_string()), ("b", number.to_string())];
                keys.put_all(pair).expect("puts");
            }
        });
        for _ in 0..20 {
            let snapshot = engine.snapshot(SnapshotAt::Newest).expect("takes");
            let mut stream = Vec::new();
            snapshot.write_to(&mut stream, 0, None).expect("writes");
            let copy = copy(&engine, SnapshotAt::Lsn(snapshot.manifest().end_lsn));
            assert_eq!(copy.revision(), snapshot.manifest().revision);
            let keys = copy.keyspace("k").expect("there");
            assert_eq!(keys.get("a").expect("reads"), keys.get("b").expect("reads"));
        }
    });
}
