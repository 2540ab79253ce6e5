//! rusd: etcd's revisions. There, a restart lost all keys, compaction hid live keys, updates of
//! one key were lost, and a short lease waited for a long one.

use std::sync::Arc;
use std::time::Duration;

use super::engine;
use cairn_engine::Engine;
use cairn_mvcc::{Error, LeaseId, Put, RangeRequest, Txn, TxnOp};
use cairn_segment::{Log, LogConfig};
use cairn_vfs::{ManualClock, MemVfs, Vfs};

#[test]
fn a_restart_keeps_revision_keys_and_leases() {
    let vfs = MemVfs::new();
    {
        let engine = engine(&vfs);
        engine.create_keyspace("k").expect("creates");
        let keys = engine.keyspace("k").expect("there");
        let lease = engine.keys().lease_grant(Some(LeaseId::new(3)), 600).expect("grants").id;
        keys.put_with(Put::new(keys.stream(), "leased", "v").lease(lease)).expect("puts");
        keys.put("plain", "v").expect("puts");
    }
    let engine = engine(&vfs);
    assert_eq!(
        (engine.revision(), engine.keyspace("k").expect("there").key_count().expect("counts")),
        (3, 2)
    );
    assert_eq!(engine.keys().lease(LeaseId::new(3)).expect("exists").keys.len(), 1);
}

#[test]
fn compaction_keeps_the_newest_version_of_every_live_key() {
    let engine = engine(&MemVfs::new());
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put("untouched", "v").expect("puts");
    for number in 0..50 {
        keys.put("busy", number.to_string()).expect("puts");
    }
    engine.keys().compact(engine.revision()).expect("compacts");
    assert_eq!(keys.get("untouched").expect("reads").as_deref(), Some(&b"v"[..]));
    let old = keys.get_at("busy", 10).expect_err("compacted");
    assert!(matches!(old, cairn_engine::Error::Keys(Error::Compacted { .. })), "{old}");
    let future = keys.get_at("busy", 999).expect_err("future");
    assert!(matches!(future, cairn_engine::Error::Keys(Error::FutureRevision { .. })), "{future}");
}

#[test]
fn two_thousand_concurrent_puts_of_one_key_end_at_version_2000() {
    let engine = engine(&MemVfs::new());
    engine.create_keyspace("k").expect("creates");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let keys = engine.keyspace("k").expect("there");
            scope.spawn(move || {
                for number in 0..500 {
                    keys.put("one", number.to_string()).expect("puts");
                }
            });
        }
    });
    let kv = engine.keyspace("k").expect("there").get_at("one", 0).expect("reads").expect("there");
    assert_eq!(kv.version, 2000);
}

#[test]
fn a_short_lease_does_not_wait_for_a_long_one() {
    let clock = Arc::new(ManualClock::default());
    let config = LogConfig { background: false, ..LogConfig::default() };
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let log = Log::options().vfs(vfs).clock(clock.clone()).config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    for (key, ttl) in [("long", 60), ("short", 1)] {
        let lease = engine.grant_lease(ttl).expect("grants").id;
        keys.put_with(Put::new(keys.stream(), key, "v").lease(lease)).expect("puts");
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(engine.maintain().expect("maintains"), 1);
    assert_eq!(keys.get("short").expect("reads"), None);
    assert!(keys.get("long").expect("reads").is_some());
}

#[test]
fn all_operations_of_a_transaction_share_one_revision() {
    let engine = engine(&MemVfs::new());
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    let put = |key: &str| TxnOp::Put(Put::new(keys.stream(), key.to_owned(), "v"));
    let txn = Txn { success: vec![put("a"), put("b"), put("c")], ..Txn::default() };
    let revision = engine.txn(&txn).expect("runs").revision;
    let all = RangeRequest::prefix(keys.stream(), "");
    let found = keys.range(&all).expect("reads").kvs;
    assert!(found.len() == 3 && found.iter().all(|kv| kv.mod_revision == revision));
}
