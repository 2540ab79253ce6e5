//! kawa-storage: topics, partitions, batches. There, after a clean stop no event was readable
//! and offsets began at 0 again, segments written in batches could not be opened, and the
//! last ten events cost a scan from the start.

use super::engine;
use cairn_engine::{NewEvent, TopicConfig};
use cairn_vfs::{CountdownVfs, Failure, FaultKind, MemVfs};

#[test]
fn events_are_readable_and_offsets_go_on_after_a_clean_stop() {
    let vfs = MemVfs::new();
    for round in 0..4_u64 {
        let engine = engine(&vfs);
        engine.create_topic("t", TopicConfig::default()).expect("creates or knows it");
        let events: Vec<_> = engine.events("t", 0, 0).expect("reads").collect();
        assert_eq!(events.len() as u64, round);
        let appended = engine.append("t", NewEvent::text("x")).expect("appends");
        assert_eq!(appended.offset.get(), round);
        engine.close().expect("closes");
    }
}

#[test]
fn what_was_written_in_batches_opens_again() {
    let vfs = MemVfs::new();
    let batch: Vec<_> = (0..500).map(|n| NewEvent::text(format!("event {n}"))).collect();
    {
        let engine = engine(&vfs);
        engine.create_topic("t", TopicConfig::default()).expect("creates");
        for _ in 0..10 {
            engine.append_batch("t", &batch).expect("appends");
        }
    }
    let engine = engine(&vfs);
    let events: Vec<_> =
        engine.events("t", 0, 0).expect("reads").collect::<Result<_, _>>().expect("reads");
    assert_eq!(events.len(), 5000);
    assert_eq!(events[4999].data.as_str(), Some("event 499"));
}

#[test]
fn a_batch_over_partitions_returns_where_each_event_is() {
    let engine = engine(&MemVfs::new());
    engine
        .create_topic("t", TopicConfig { partitions: 3, ..TopicConfig::default() })
        .expect("creates");
    let batch: Vec<_> =
        (0..30).map(|n| NewEvent::text(n.to_string()).in_partition(n % 3)).collect();
    let placed = engine.append_batch("t", &batch).expect("appends");
    for (number, place) in placed.iter().enumerate() {
        let event = engine.event("t", place.partition.get(), place.offset.get()).expect("is there");
        assert_eq!(event.data.as_str(), Some(number.to_string().as_str()));
    }
}

#[test]
fn the_last_ten_events_cost_the_same_however_long_the_partition_is() {
    let reads = |count: usize| {
        let vfs = MemVfs::new();
        {
            let engine = engine(&vfs);
            engine.create_topic("t", TopicConfig::default()).expect("creates");
            let batch: Vec<_> = (0..100).map(|n| NewEvent::text(n.to_string())).collect();
            for _ in 0..count / 100 {
                engine.append_batch("t", &batch).expect("appends");
            }
        }
        // Every operation on files is counted; none fails.
        let counted = std::sync::Arc::new(CountdownVfs::new(
            std::sync::Arc::new(vfs),
            u64::MAX,
            Failure::Once(FaultKind::Io),
        ));
        let config = cairn_segment::LogConfig {
            io: cairn_segment::IoMode::Pread,
            background: false,
            ..Default::default()
        };
        let log = cairn_segment::Log::options().vfs(counted.clone()).config(config);
        let engine = cairn_engine::Engine::options().log(log).open().expect("opens");
        engine.newest("t", 0, None, 10).expect("reads");
        let before = counted.operations();
        assert_eq!(engine.newest("t", 0, None, 10).expect("reads").len(), 10);
        counted.operations() - before
    };
    assert_eq!(reads(1_000), reads(50_000));
}
