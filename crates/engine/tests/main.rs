//! Topics, events, groups and subscriptions against their promises.

#[cfg(feature = "tokio")]
mod asynchronous;
mod auth;
mod commands;
mod encryption;
mod erasure;
mod figures;
mod guarded;
mod key_retention;
mod keys;
mod membership;
mod producers;
mod proof_crashes;
mod proof_keys;
mod proof_oracles;
mod proof_threads;
mod proofs;
mod retention;
mod snapshot;
#[path = "../../cairn-tests/src/soaking.rs"]
mod soaking;
mod space;
mod subjects;
mod together;

use cairn_engine::*;
use cairn_segment::{Log, LogConfig, Retention};
use cairn_types::{EventId, Offset, Timestamp};
use cairn_vfs::{ManualClock, MemVfs};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

fn open(vfs: &MemVfs) -> Engine {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(vfs.clone()))
        .clock(Arc::new(ManualClock::default()))
        .config(config);
    Engine::options().log(log).open().expect("opens")
}

fn texts(engine: &Engine, topic: &str, partition: u32) -> Vec<String> {
    let events = engine.events(topic, partition, 0).expect("reads");
    events.map(|event| event.expect("reads").data.as_str().expect("text").to_owned()).collect()
}

#[test]
fn topics_events_and_group_offsets_survive_a_restart() {
    let vfs = MemVfs::new();
    for round in 0..3_u64 {
        let engine = open(&vfs);
        let config = TopicConfig { partitions: 2, ..TopicConfig::default() };
        assert_eq!(engine.create_topic("orders", config).expect("creates"), round == 0);
        let refused = engine.create_topic("orders", TopicConfig::default());
        assert!(matches!(refused, Err(Error::TopicExists { .. })));
        assert_eq!(
            engine.committed("g", "orders", 1).expect("reads"),
            (round > 0).then(|| Offset::new(round))
        );
        let appended = engine
            .append("orders", NewEvent::text(format!("r{round}")).in_partition(1))
            .expect("appends");
        assert_eq!(appended.offset, Offset::new(round));
        engine.commit("g", "orders", 1, Offset::new(round + 1)).expect("commits");
        assert_eq!(texts(&engine, "orders", 1).len() as u64, round + 1);
        assert_eq!(texts(&engine, "orders", 0).len(), 0);
    }
}

#[test]
fn a_batch_over_partitions_returns_matching_offsets() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    let config = TopicConfig { partitions: 4, ..TopicConfig::default() };
    engine.create_topic("t", config).expect("creates");
    let events: Vec<_> = (0..100)
        .map(|number| NewEvent::text(number.to_string()).with_key(format!("k{}", number % 7)))
        .collect();
    let appended = engine.append_batch("t", &events).expect("appends");
    for (event, place) in events.iter().zip(&appended) {
        let stored = engine
            .event("t", place.partition.get(), place.offset.get())
            .expect("is where it was said to be");
        assert_eq!(stored.data, event.data);
        assert_eq!(stored.key, event.key);
        assert_eq!((stored.lsn, stored.id), (place.lsn, place.id));
    }
    let same_key: std::collections::BTreeSet<_> =
        appended.iter().step_by(7).map(|place| place.partition).collect();
    assert_eq!(same_key.len(), 1, "a key stays in its partition");
}

#[test]
fn appends_with_an_id_are_idempotent_also_after_a_restart() {
    let vfs = MemVfs::new();
    let id = |number: u8| EventId::from_bytes([number; 16]);
    let engine = open(&vfs);
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let first = engine.append("t", NewEvent::text("a").with_id(id(1))).expect("appends");
    let again = engine.append("t", NewEvent::text("a").with_id(id(1))).expect("appends");
    assert_eq!((again.offset, again.lsn, again.duplicate), (first.offset, first.lsn, true));
    drop(engine);
    let engine = open(&vfs);
    let twice = [
        NewEvent::text("b").with_id(id(2)),
        NewEvent::text("a").with_id(id(1)),
        NewEvent::text("b").with_id(id(2)),
    ];
    let places = engine.append_batch("t", &twice).expect("appends");
    let offsets: Vec<_> =
        places.iter().map(|place| (place.offset.get(), place.duplicate)).collect();
    assert_eq!(offsets, [(1, false), (0, true), (1, true)]);
    assert_eq!(texts(&engine, "t", 0), ["a", "b"]);
}

#[test]
fn a_wrong_expected_offset_is_a_conflict() {
    let engine = open(&MemVfs::new());
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let event = [NewEvent::text("x")];
    engine.append_expecting("t", 0, Offset::new(0), &event).expect("appends");
    let refused = engine.append_expecting("t", 0, Offset::new(0), &event).expect_err("conflict");
    assert!(matches!(refused, Error::Conflict { actual, .. } if actual == Offset::new(1)));
}

#[test]
fn bad_events_are_refused_whole() {
    let engine = open(&MemVfs::new());
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let batch = [NewEvent::json("{}"), NewEvent::json("{\n  \"a\": nope}")];
    let refused = engine.append_batch("t", &batch).expect_err("not JSON");
    assert!(matches!(refused, Error::InvalidJson { index: 1, line: 2, .. }), "{refused}");
    let no_text = NewEvent::json(b"{\n \"a\xff\": 1}".as_slice());
    let refused = engine.append("t", no_text).expect_err("not UTF-8, so not JSON");
    assert!(
        matches!(refused, Error::InvalidJson { index: 0, line: 2, column: 4, .. }),
        "{refused}"
    );
    assert!(matches!(engine.append("nope", NewEvent::text("x")), Err(Error::NoTopic { .. })));
    let far = engine.append("t", NewEvent::text("x").in_partition(9));
    assert!(matches!(far, Err(Error::NoPartition { .. })));
    for name in ["", "..", "a/b", "a\0"] {
        assert!(engine.create_topic(name, TopicConfig::default()).is_err(), "{name:?}");
    }
    assert_eq!(engine.next_offset("t", 0).expect("reads"), Offset::new(0));
}

#[test]
fn events_are_found_by_time_and_from_the_end() {
    let engine = open(&MemVfs::new());
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    for second in 0..500 {
        let at = Timestamp::from_secs(second * 10);
        engine.append("t", NewEvent::text(second.to_string()).at(at)).expect("appends");
    }
    let mut from =
        engine.events_from("t", 0, ReadFrom::Time(Timestamp::from_secs(3001))).expect("reads");
    assert_eq!(from.next().expect("there").expect("reads").offset, Offset::new(301));
    let newest = engine.newest("t", 0, None, 10).expect("reads");
    let offsets: Vec<_> = newest.iter().map(|event| event.offset.get()).collect();
    assert_eq!(offsets, [499, 498, 497, 496, 495, 494, 493, 492, 491, 490]);
    assert!(engine.events_from("t", 0, ReadFrom::Latest).expect("reads").next().is_none());
}

#[test]
fn a_subscription_catches_up_and_goes_on_live() {
    let engine = open(&MemVfs::new());
    let config = TopicConfig { partitions: 3, ..TopicConfig::default() };
    engine.create_topic("t", config).expect("creates");
    let append =
        |number: u32| engine.append("t", NewEvent::text(number.to_string())).expect("appends");
    (0..50).for_each(|number| drop(append(number)));
    let mut subscription = engine.subscribe("t", None, ReadFrom::Earliest).expect("subscribes");
    std::thread::scope(|scope| {
        scope.spawn(|| (50..200).for_each(|number| drop(append(number))));
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 200 {
            let event = subscription.next(Duration::from_secs(30)).expect("reads");
            let event = event.expect("comes in time");
            assert!(seen.insert((event.partition, event.offset)), "an event came twice");
        }
    });
    assert!(subscription.next(Duration::ZERO).expect("reads").is_none());
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine
        .create_topic("t", TopicConfig { partitions: 2, ..TopicConfig::default() })
        .expect("creates");
    for number in 0..10 {
        engine.append("t", NewEvent::text(number.to_string())).expect("appends");
    }
    let mut consumer = engine.consumer("g", "t").expect("joins");
    assert_eq!(consumer.poll(6).expect("polls").len(), 6);
    consumer.commit().expect("commits");
    let _not_committed = consumer.poll(2).expect("polls");
    drop((consumer, engine));
    let engine = open(&vfs);
    let behind: u64 =
        engine.lag("g", "t").expect("reads").iter().map(|l| l.end.get() - l.next.get()).sum();
    assert_eq!(behind, 4);
    let mut consumer = engine.consumer("g", "t").expect("joins");
    assert_eq!(consumer.poll(100).expect("polls").len(), 4);
}

#[test]
fn offsets_and_topics_outlive_retention() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_topic("quiet", TopicConfig::default()).expect("creates");
    engine.create_topic("busy", TopicConfig::default()).expect("creates");
    for number in 0..400 {
        if number == 200 {
            engine.append("quiet", NewEvent::text("q")).expect("appends");
        }
        engine.append("busy", NewEvent::binary(vec![1; 1000])).expect("appends");
    }
    let dropped = engine.retain(&Retention { max_len: Some(1), ..Retention::default() });
    assert!(dropped.expect("retains").segment_count > 0);
    drop(engine);
    let engine = open(&vfs);
    assert_eq!(engine.topics().len(), 2);
    assert_eq!(engine.next_offset("quiet", 0).expect("reads"), Offset::new(1));
    assert_eq!(engine.next_offset("busy", 0).expect("reads"), Offset::new(400));
    let stats = engine.topic_stats("busy").expect("stats");
    assert!(stats.partitions[0].first.expect("some are left") > Offset::new(0));
    assert!(engine.verify(&Default::default()).expect("verifies").is_intact());
}

#[test]
fn a_dropped_topic_is_gone_and_its_name_starts_anew() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine.append("t", NewEvent::text("old")).expect("appends");
    engine.commit("g", "t", 0, Offset::new(1)).expect("commits");
    engine.drop_topic("t").expect("drops");
    assert!(matches!(engine.events("t", 0, 0), Err(Error::NoTopic { .. })));
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    assert_eq!(texts(&engine, "t", 0), Vec::<String>::new());
    assert_eq!(engine.committed("g", "t", 0).expect("reads"), None);
    drop(engine);
    assert_eq!(texts(&open(&vfs), "t", 0), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn an_engine_reads_like_lists(
        steps in proptest::collection::vec((0_u32..3, 1_usize..8, 0_u8..12), 1..60),
    ) {
        let vfs = MemVfs::new();
        let mut engine = open(&vfs);
        let config = TopicConfig { partitions: 3, compression: cairn_segment::Compression::Lz4, ..TopicConfig::default() };
        engine.create_topic("t", config).expect("creates");
        let mut model = vec![Vec::<String>::new(); 3];
        for (partition, count, action) in steps {
            if action == 0 {
                drop(engine);
                engine = open(&vfs);
            }
            let events: Vec<_> = (0..count)
                .map(|number| format!("{partition}-{number}-{}", "z".repeat(number * 50)))
                .collect();
            let batch: Vec<_> = events
                .iter()
                .map(|text| NewEvent::text(text.clone()).in_partition(partition))
                .collect();
            engine.append_batch("t", &batch).expect("appends");
            model[partition as usize].extend(events);
        }
        for partition in 0..3 {
            prop_assert_eq!(&texts(&engine, "t", partition), &model[partition as usize]);
        }
    }
}

#[test]
fn what_a_consumer_could_not_commit_is_not_forgotten() {
    let engine = open(&MemVfs::new());
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine.append("t", NewEvent::text("one")).expect("appends");
    let mut consumer = engine.consumer("g", "t").expect("there");
    assert_eq!(consumer.poll(10).expect("reads").len(), 1);
    engine.drop_topic("t").expect("drops");
    for _ in 0..2 {
        assert!(matches!(consumer.commit(), Err(Error::NoTopic { .. })));
    }
}

#[test]
fn nobody_subscribes_to_a_partition_that_is_not_there() {
    let engine = open(&MemVfs::new());
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    for partition in [1, u32::MAX] {
        let refused = engine.subscribe("t", Some(partition), ReadFrom::Earliest);
        assert!(matches!(refused, Err(Error::NoPartition { .. })), "{partition}");
    }
}
