//! Keyspaces, and keys with events in one commit.

use cairn_engine::metadata::encode_keyspace_dropped;
use cairn_engine::proof::dag::DAG_STREAM;
use cairn_engine::{Engine, Error, NewEvent, TopicConfig};
use cairn_mvcc::{
    Error as KeysError, Isolation, LeaseId, Options, Put, Range, RangeRequest, TreeOptions,
    WatchRequest,
};
use cairn_segment::{Draft, Log, LogConfig, RecordDraft, RecordKind, Retention};
use cairn_types::StreamId;
use cairn_vfs::{MemVfs, Vfs};
use std::sync::Arc;

fn open(vfs: &MemVfs) -> Engine {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(vfs.clone()) as Arc<dyn Vfs>).config(config);
    Engine::options().log(log).open().expect("opens")
}

#[test]
fn keys_revisions_leases_and_keyspaces_survive_a_restart() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    assert!(engine.create_keyspace("users").expect("creates"));
    assert!(!engine.create_keyspace("users").expect("is there"));
    engine.create_keyspace("other").expect("creates");
    let users = engine.keyspace("users").expect("there");
    users.put("a", "1").expect("puts");
    let lease = engine.grant_lease(60).expect("grants").id;
    users.put_with(Put::new(users.stream(), "b", "2").lease(lease)).expect("puts");
    users.delete("a").expect("deletes");
    let hash = engine.keys().state_hash(0).expect("hashes");
    drop((users, engine));
    let engine = open(&vfs);
    let users = engine.keyspace("users").expect("there");
    assert_eq!((engine.revision(), users.key_count().expect("counts")), (4, 1));
    assert_eq!(engine.keys().state_hash(0).expect("hashes"), hash);
    assert_eq!(users.get_at("a", 2).expect("reads").expect("there").value, "1");
    assert_eq!(engine.keys().lease(lease).expect("exists").keys.len(), 1);
    assert!(matches!(engine.keyspace("none"), Err(Error::NoKeyspace { .. })));
    assert_eq!(engine.keyspaces().len(), 2);
    let versions: Vec<_> = users.history("a").expect("reads").iter().map(|kv| kv.version).collect();
    assert_eq!(versions, [1, 0]);
}

#[test]
fn keys_and_events_commit_together_or_not_at_all() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("accounts").expect("creates");
    engine.create_topic("transfers", TopicConfig::default()).expect("creates");
    let accounts = engine.keyspace("accounts").expect("there");
    accounts.put("alice", "10").expect("puts");
    let committed = engine
        .transact(|tx| {
            assert_eq!(tx.get(&accounts, "alice")?.as_deref(), Some(&b"10"[..]));
            tx.put(&accounts, "alice", "7");
            tx.put(&accounts, "bob", "3");
            tx.append("transfers", NewEvent::json(r#"{"amount":3}"#).with_key("alice"))
        })
        .expect("commits");
    let placed = &committed.events[0];
    assert_eq!((placed.offset.get(), committed.revision), (0, 3));
    let record = engine.log().read(placed.lsn).expect("reads");
    let put = engine.log().read(cairn_types::Lsn::new(placed.lsn.get() - 1)).expect("reads");
    assert_eq!(record.commit_time, put.commit_time, "one batch");
    // A conflict leaves neither keys nor events.
    let mut tx = engine.begin(cairn_mvcc::Isolation::Serializable);
    tx.get(&accounts, "alice").expect("reads");
    tx.append("transfers", NewEvent::text("lost")).expect("plans");
    accounts.put("alice", "0").expect("puts");
    assert!(matches!(tx.commit(), Err(Error::Keys(cairn_mvcc::Error::Conflict { .. }))));
    assert_eq!(engine.next_offset("transfers", 0).expect("there").get(), 1);
    // Events alone are no revision.
    let revision = engine.revision();
    let only = engine.transact(|tx| tx.append("transfers", NewEvent::text("only")));
    assert_eq!(only.expect("commits").revision, revision);
    drop((accounts, engine));
    let engine = open(&vfs);
    let events: Vec<_> =
        engine.events("transfers", 0, 0).expect("reads").collect::<Result<_, _>>().expect("reads");
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].key.as_deref(), Some(&b"alice"[..]));
    assert_eq!(
        engine.keyspace("accounts").expect("there").get("bob").expect("reads").as_deref(),
        Some(&b"3"[..])
    );
}

#[test]
fn a_dropped_keyspace_is_gone_and_its_name_is_free_for_another() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("tmp").expect("creates");
    let old = engine.keyspace("tmp").expect("there");
    old.put("k", "old").expect("puts");
    let mut begun = engine.begin(Isolation::Serializable);
    begun.put(&old, "k", "later");
    engine.drop_keyspace("tmp").expect("drops");
    let dropped = |error| matches!(error, Error::Keys(KeysError::KeyspaceDropped { .. }));
    assert!(dropped(old.put("k", "lost").expect_err("it would be gone")));
    assert!(dropped(begun.commit().expect_err("it would be gone")));
    assert_eq!(
        (old.get("k").expect("reads"), old.delete("k").expect("deletes").deleted),
        (None, 0)
    );
    drop(old);
    assert!(matches!(engine.keyspace("tmp"), Err(Error::NoKeyspace { .. })));
    engine.create_keyspace("tmp").expect("creates");
    assert_eq!(engine.keyspace("tmp").expect("there").get("k").expect("reads"), None);
    drop(engine);
    let engine = open(&vfs);
    let tmp = engine.keyspace("tmp").expect("there");
    assert_eq!((tmp.get("k").expect("reads"), tmp.key_count().expect("counts")), (None, 0));
    assert_eq!(engine.keys().spaces().expect("lists").len(), 0);
}

#[test]
fn retention_never_takes_a_readable_version_or_a_live_lease() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("k").expect("creates");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put("old", "value").expect("puts");
    let lease = engine.keys().lease_grant(Some(LeaseId::new(9)), 1000).expect("grants").id;
    for number in 0..100 {
        engine.append("t", NewEvent::text("x".repeat(2000))).expect("appends");
        keys.put("busy", number.to_string()).expect("puts");
    }
    let everything = Retention { max_len: Some(1), ..Retention::default() };
    assert_eq!(engine.retain(&everything).expect("retains").segment_count, 0);
    keys.put("old", "value again").expect("puts");
    engine.keys().compact(engine.revision()).expect("compacts");
    assert_eq!(engine.retain(&everything).expect("retains").segment_count, 0, "the lease");
    engine.keys().lease_keep_alive(lease).expect("renews");
    assert!(engine.retain(&everything).expect("retains").segment_count > 0);
    let revision = engine.revision();
    drop((keys, engine));
    let engine = open(&vfs);
    let keys = engine.keyspace("k").expect("there");
    assert_eq!((engine.revision(), keys.key_count().expect("counts")), (revision, 2));
    assert_eq!(keys.get("old").expect("reads").as_deref(), Some(&b"value again"[..]));
    assert_eq!(keys.get("busy").expect("reads").as_deref(), Some(&b"99"[..]));
    assert!(engine.keys().lease(lease).is_some());
}

#[test]
fn a_reader_beside_the_writer_sees_what_it_writes() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put("a", "1").expect("puts");
    let log = Log::options().vfs(Arc::new(vfs.clone()) as Arc<dyn Vfs>);
    let reader = Engine::options().log(log).open_read_only().expect("opens");
    let seen = reader.keyspace("k").expect("there");
    let mut watcher =
        seen.watch(WatchRequest::new(seen.stream(), Range::all()).from(2)).expect("watches");
    assert_eq!(watcher.try_next().expect("reads").expect("a batch").revision, 2);
    keys.put("a", "2").expect("puts");
    keys.delete("a").expect("deletes");
    engine.create_keyspace("later").expect("creates");
    assert_eq!(seen.get("a").expect("reads").as_deref(), Some(&b"1"[..]));
    assert!(reader.refresh().expect("refreshes"));
    assert_eq!((seen.get("a").expect("reads"), reader.revision()), (None, 4));
    assert_eq!(watcher.try_next().expect("reads").expect("a batch").revision, 3);
    assert!(reader.keyspace("later").is_ok());
    assert!(seen.put("a", "3").is_err(), "it only reads");
    let all = seen.range(&RangeRequest::new(seen.stream(), Range::all()).at(3)).expect("reads");
    assert_eq!(all.kvs[0].value, "2");
}

#[test]
fn numbers_that_are_not_for_topics_and_keyspaces_are_given_to_none() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    // As if all numbers but one had been given away.
    let mut draft = Draft::new();
    let gone = encode_keyspace_dropped(StreamId::new(u32::MAX - 3));
    let record = RecordDraft::new(RecordKind::STREAM_DROPPED, StreamId::SYSTEM);
    draft.push(record, &gone).expect("fits");
    engine.log().append(&draft).expect("appends");
    drop(engine);
    let engine = open(&vfs);
    let two = TopicConfig { partitions: 2, ..TopicConfig::default() };
    assert!(matches!(engine.create_topic("two", two), Err(Error::TooLarge { .. })));
    engine.create_keyspace("last").expect("creates");
    assert!(engine.keyspace("last").expect("there").stream() < DAG_STREAM);
    let more = engine.create_topic("more", TopicConfig::default());
    assert!(matches!(more, Err(Error::TooLarge { .. })));
    assert!(matches!(engine.create_keyspace("more"), Err(Error::TooLarge { .. })));
    engine.keyspace("last").expect("there").put("k", "v").expect("puts");
    drop(engine);
    let engine = open(&vfs);
    assert!(engine.keyspace("last").expect("there").get("k").expect("reads").is_some());
}

#[test]
fn a_transaction_attaches_leases_and_deletes_ranges() {
    let options = Options { lease_ttl_min: 30, ..Options::default() };
    let log = Log::options().vfs(Arc::new(MemVfs::new()));
    let engine = Engine::options().log(log).keys(options).open().expect("opens");
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put_all([("a/1", "x"), ("a/2", "x"), ("b", "x")]).expect("puts");
    let lease = engine.grant_lease(1).expect("grants");
    assert_eq!(lease.ttl, 30, "as the options say");
    let committed = engine.transact(|tx| {
        assert_eq!(tx.delete_range(&keys, Range::prefix("a/"))?, 2);
        tx.put_with_lease(&keys, "c", "x", lease.id);
        Ok(())
    });
    committed.expect("commits");
    assert_eq!(keys.key_count().expect("counts"), 2);
    assert_eq!(engine.keys().lease(lease.id).expect("there").keys.len(), 1);
}

#[test]
fn a_lease_lets_go_of_the_keys_of_a_keyspace_that_is_dropped_wherever_they_are() {
    // In memory, and in tables alone: stores that apply the same commands may differ in that.
    for memory_len in [40 << 20, 0] {
        let tree = TreeOptions { memory_len, hot_len: 0, ..TreeOptions::default() };
        let options = Options { tree, ..Options::default() };
        let config = LogConfig { background: false, ..LogConfig::default() };
        let log = Log::options().vfs(Arc::new(MemVfs::new())).config(config);
        let engine = Engine::options().log(log).keys(options).open().expect("opens");
        engine.create_keyspace("k").expect("creates");
        engine.create_keyspace("other").expect("creates");
        let keys = engine.keyspace("k").expect("there");
        let lease = engine.grant_lease(60).expect("grants").id;
        keys.put_with(Put::new(keys.stream(), "a", "x").lease(lease)).expect("puts");
        engine.keys().flush().expect("flushes");
        for number in 0..10 {
            let other = engine.keyspace("other").expect("there");
            other.put(number.to_string(), "x").expect("puts, and lets go of keys in memory");
        }
        assert_eq!(engine.keys().tree_stats().is_complete, memory_len > 0);
        engine.drop_keyspace("k").expect("drops");
        assert!(engine.keys().lease(lease).expect("there").keys.is_empty());
        let revision = engine.revision();
        assert_eq!(engine.keys().lease_revoke(lease).expect("ends"), 0);
        assert_eq!(engine.revision(), revision, "{memory_len}");
    }
}
