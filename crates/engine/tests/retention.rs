//! Retention by topic: by age, by size, by key; others keep everything.

use std::sync::Arc;
use std::time::Duration;

use crate::texts;
use cairn_engine::{Engine, NewEvent, ReadFrom, TopicConfig};
use cairn_segment::{Log, LogConfig, VerifyOptions};
use cairn_types::Timestamp;
use cairn_vfs::{ManualClock, MemVfs};

fn open(vfs: &MemVfs, clock: &Arc<ManualClock>) -> Engine {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(vfs.clone())).clock(clock.clone()).config(config);
    Engine::options().log(log).open().expect("opens")
}

fn clock() -> Arc<ManualClock> {
    let clock = Arc::new(ManualClock::default());
    clock.set(Timestamp::from_micros(1_700_000_000_000_000));
    clock
}

#[test]
fn old_events_are_trimmed_at_once_and_their_bytes_go() {
    let (vfs, clock) = (MemVfs::new(), clock());
    let engine = open(&vfs, &clock);
    let config = TopicConfig { max_age: Some(Duration::from_secs(60)), ..TopicConfig::default() };
    engine.create_topic("short", config).expect("creates");
    engine.create_topic("ledger", TopicConfig::default()).expect("creates");
    for number in 0..100 {
        engine.append("short", NewEvent::text("s".repeat(2000))).expect("appends");
        engine.append("ledger", NewEvent::text(number.to_string())).expect("appends");
        clock.advance(Duration::from_secs(1));
    }
    let before = engine.log().stats().expect("stats").stored_len;
    let retained = engine.retain_topics().expect("retains");
    assert_eq!(retained.trimmed_count, 1);
    assert!(retained.cleaned.dropped_count > 10, "{retained:?}");
    assert!(engine.log().stats().expect("stats").stored_len < before * 9 / 10);
    let first = engine.topic_stats("short").expect("stats").partitions[0].first.expect("some");
    assert_eq!(first.get(), 40);
    assert_eq!(texts(&engine, "short", 0).len(), 60);
    assert_eq!(engine.newest("short", 0, None, 1000).expect("reads").len(), 60);
    let earliest = engine.events_from("short", 0, ReadFrom::Earliest).expect("reads").next();
    assert_eq!(earliest.expect("some").expect("reads").offset.get(), 40);
    assert_eq!(texts(&engine, "ledger", 0).len(), 100);
    assert!(engine.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    drop(engine);
    let engine = open(&vfs, &clock);
    assert_eq!((texts(&engine, "short", 0).len(), texts(&engine, "ledger", 0).len()), (60, 100));
    assert_eq!(
        engine.topics().iter().find(|(name, _)| name.as_str() == "short").expect("there").1,
        config
    );
    // Again: nothing more to do.
    assert_eq!(engine.retain_topics().expect("retains").trimmed_count, 0);
}

#[test]
fn by_size_and_by_key_and_changed_later() {
    let (vfs, clock) = (MemVfs::new(), clock());
    let engine = open(&vfs, &clock);
    engine.create_topic("sized", TopicConfig::default()).expect("creates");
    let config = TopicConfig { latest_by_key: true, ..TopicConfig::default() };
    engine.create_topic("state", config).expect("creates");
    for number in 0..200 {
        engine.append("sized", NewEvent::text("x".repeat(1000))).expect("appends");
        let event = NewEvent::text(number.to_string()).with_key(format!("k{}", number % 4));
        engine.append("state", event).expect("appends");
    }
    engine.log().roll().expect("rolls");
    engine.append("sized", NewEvent::text("x".repeat(1000))).expect("appends");
    engine.set_retention("sized", |config| config.max_len = Some(10_500)).expect("sets");
    engine.retain_topics().expect("retains");
    assert_eq!(texts(&engine, "sized", 0).len(), 10);
    assert_eq!(texts(&engine, "state", 0), ["196", "197", "198", "199"]);
    drop(engine);
    let engine = open(&vfs, &clock);
    assert_eq!(texts(&engine, "state", 0), ["196", "197", "198", "199"]);
    let next = engine.append("state", NewEvent::text("200").with_key("k0")).expect("appends");
    assert_eq!(next.offset.get(), 200, "offsets are never given twice");
    assert!(engine.verify(&VerifyOptions::default()).expect("verifies").is_intact());
}

#[test]
fn events_of_a_dropped_topic_leave_the_files() {
    let (vfs, clock) = (MemVfs::new(), clock());
    let engine = open(&vfs, &clock);
    engine.create_topic("gone", TopicConfig::default()).expect("creates");
    engine.append("gone", NewEvent::text("remains of a dropped topic")).expect("appends");
    engine.append("gone", NewEvent::text("the newest one")).expect("appends");
    engine.drop_topic("gone").expect("drops");
    engine.log().roll().expect("rolls");
    engine.create_topic("other", TopicConfig::default()).expect("creates");
    engine.append("other", NewEvent::text("x")).expect("appends");
    let retained = engine.retain_topics().expect("retains");
    assert_eq!(retained.cleaned.dropped_count + retained.cleaned.erased_count, 2);
}

#[test]
fn settings_below_the_smallest_unit_are_that_unit_and_the_same_when_given_again() {
    let engine = open(&MemVfs::new(), &clock());
    let max_age = Some(Duration::from_micros(700));
    let config = TopicConfig { max_age, max_len: Some(0), ..TopicConfig::default() };
    assert!(engine.create_topic("t", config).expect("creates"));
    assert!(!engine.create_topic("t", config).expect("is there"));
    let found = engine.topic_stats("t").expect("there").config;
    assert_eq!((found.max_age, found.max_len), (Some(Duration::from_millis(1)), Some(1)));
    let set = engine.set_retention("t", |config| config.max_age = Some(Duration::ZERO));
    assert_eq!(set.expect("sets"), engine.topic_stats("t").expect("there").config);
}
