//! Where the bytes are, and what happens when there are no more.

use std::sync::Arc;

use cairn_engine::*;
use cairn_mvcc::DeleteRange;
use cairn_segment::{Log, LogConfig};
use cairn_types::{ErrorKind, Offset};
use cairn_vfs::{ManualClock, MemVfs};

fn open(vfs: &MemVfs, quota_bytes: Option<u64>) -> Engine {
    let config = LogConfig {
        segment_size: 64 << 10,
        background: false,
        quota_bytes,
        ..LogConfig::default()
    };
    let clock = Arc::new(ManualClock::default());
    let log = Log::options().vfs(Arc::new(vfs.clone())).clock(clock).config(config);
    Engine::options().log(log).open().expect("opens")
}

fn owned(report: &SpaceReport, owner: &str) -> OwnedSpace {
    let found = report.owners.iter().find(|(found, _)| match found {
        SpaceOwner::Topic(name) => name.as_str() == owner,
        SpaceOwner::Keyspace(name) => name.as_str() == owner,
        SpaceOwner::System => owner == "system",
        SpaceOwner::Dropped => owner == "dropped",
    });
    found.map(|(_, space)| *space).unwrap_or_default()
}

#[test]
fn every_byte_has_its_owner_and_counting_again_reads_only_what_is_new() {
    let vfs = MemVfs::new();
    let engine = open(&vfs, None);
    let two = TopicConfig { partitions: 2, ..TopicConfig::default() };
    engine.create_topic("t", two).expect("creates");
    engine.create_topic("gone", TopicConfig::default()).expect("creates");
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    for number in 0..10 {
        engine.append("t", NewEvent::binary(vec![7; 100])).expect("appends");
        engine.append("gone", NewEvent::binary(vec![7; 50])).expect("appends");
        keys.put("key", vec![7; 30]).expect("puts");
        if number == 4 {
            engine.log().roll().expect("rolls");
        }
    }
    let first = engine.space().expect("counts");
    assert_eq!(owned(&first, "k"), OwnedSpace { record_count: 10, data_len: 330 });
    let topic = owned(&first, "t");
    assert!(topic.record_count == 10 && (1000..1300).contains(&topic.data_len), "{topic:?}");
    assert_eq!(first.log_len, first.sealed_len + first.active_len);
    assert_eq!((first.reclaimable_len, owned(&first, "dropped").record_count), (0, 0));
    engine.drop_topic("gone").expect("drops");
    keys.put("key", vec![7; 30]).expect("puts");
    let second = engine.space().expect("counts");
    assert_eq!(owned(&second, "k").record_count, 11);
    assert_eq!(owned(&second, "dropped").record_count, 10);
    assert!(second.reclaimable_len >= 250, "the sealed half: {}", second.reclaimable_len);
    engine.retain_topics().expect("cleans");
    let third = engine.space().expect("counts");
    assert!(third.reclaimable_len < 100 && third.sealed_len < second.sealed_len, "{third:?}");
    assert_eq!(owned(&third, "t"), topic);
}

#[test]
fn trimmed_events_are_reclaimable() {
    let vfs = MemVfs::new();
    let engine = open(&vfs, None);
    let config = TopicConfig { max_len: Some(300), ..TopicConfig::default() };
    engine.create_topic("short", config).expect("creates");
    engine.create_topic("long", TopicConfig::default()).expect("creates");
    engine.append("long", NewEvent::text("stays")).expect("appends");
    for _ in 0..20 {
        engine.append("short", NewEvent::binary(vec![1; 100])).expect("appends");
    }
    engine.log().roll().expect("rolls");
    engine.append("long", NewEvent::text("stays")).expect("appends");
    let before = engine.space().expect("counts");
    engine.retain_topics().expect("trims");
    let after = engine.space().expect("counts");
    assert!(before.log_len > after.log_len + 1000, "{} {}", before.log_len, after.log_len);
    assert_eq!(engine.events("short", 0, 0).expect("reads").count(), 2);
}

#[test]
fn over_the_quota_data_is_refused_and_after_freeing_space_it_is_taken() {
    let vfs = MemVfs::new();
    let engine = open(&vfs, Some(300_000));
    engine.create_keyspace("k").expect("creates");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let keys = engine.keyspace("k").expect("there");
    let refused = loop {
        if let Err(error) = keys.put("churned", vec![7; 2000]) {
            break error;
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(refused.to_string().contains("quota of 300000"), "{refused}");
    let event = || engine.append("t", NewEvent::binary(vec![7; 4000]));
    assert_eq!(event().expect_err("full").kind(), ErrorKind::Full);
    let moved = engine.transact(|tx| {
        tx.put(&keys, "other", vec![7; 4000]);
        Ok(())
    });
    assert_eq!(moved.expect_err("full").kind(), ErrorKind::Full);
    // Reads, deletes, offsets, leases, compaction and new names go on.
    assert_eq!(keys.get("churned").expect("reads").expect("there").len(), 2000);
    engine.commit("g", "t", 0, Offset::new(0)).expect("commits");
    engine.create_topic("u", TopicConfig::default()).expect("creates");
    let lease = engine.grant_lease(60).expect("grants");
    engine.keys().lease_revoke(lease.id).expect("revokes");
    let all = DeleteRange::new(keys.stream(), cairn_mvcc::Range::all());
    assert_eq!(engine.keys().delete(&all).expect("deletes").deleted, 1);
    engine.keys().compact(engine.revision()).expect("compacts");
    let full = engine.space().expect("counts");
    assert!(full.reclaimable_len > 200_000, "{full:?}");
    let dropped = engine.reclaim().expect("reclaims");
    assert!(dropped.segment_count >= 3, "{dropped:?}");
    assert!(engine.space().expect("counts").writable_len() > 100_000);
    keys.put("churned", vec![7; 2000]).expect("there is room again");
    event().expect("there is room again");
    let hash = engine.keys().state_hash(0).expect("hashes");
    let revision = engine.revision();
    drop((keys, engine));
    let again = open(&vfs, None);
    assert_eq!((again.revision(), again.keys().state_hash(0).expect("hashes")), (revision, hash));
}
