//! Producers: repeats are stored once, older holders of a name are fenced.

use crate::{open, texts};
use cairn_engine::{Error, NewEvent, TopicConfig};
use cairn_vfs::MemVfs;

#[test]
fn a_repeat_is_stored_once_a_gap_is_refused_also_after_a_restart() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let producer = engine.register_producer("importer").expect("registers");
    let at =
        |sequence: u64| producer.append_at("t", NewEvent::text(format!("e{sequence}")), sequence);
    for sequence in 0..5 {
        assert!(!at(sequence).expect("appends").duplicate);
    }
    let again = at(3).expect("is known");
    assert_eq!((again.duplicate, again.offset.get()), (true, 3));
    assert!(matches!(at(6), Err(Error::OutOfSequence { expected: 5, actual: 6 })));
    assert_eq!(texts(&engine, "t", 0).len(), 5);
    drop((producer, engine));
    let engine = open(&vfs);
    let producer = engine.register_producer("importer").expect("registers");
    assert_eq!(producer.epoch(), 1);
    assert!(!producer.append("t", NewEvent::text("after")).expect("appends").duplicate);
    let again = producer.append_at("t", NewEvent::text("after"), 0).expect("is known");
    assert_eq!((again.duplicate, again.offset.get()), (true, 5));
    assert_eq!(texts(&engine, "t", 0).len(), 6);
}

#[test]
fn a_second_registration_fences_the_first() {
    let engine = open(&MemVfs::new());
    engine
        .create_topic("t", TopicConfig { partitions: 3, ..TopicConfig::default() })
        .expect("creates");
    let old = engine.register_producer("p").expect("registers");
    old.append("t", NewEvent::text("1")).expect("appends");
    let new = engine.register_producer("p").expect("registers");
    assert_eq!((new.id(), new.epoch()), (old.id(), 1));
    assert!(matches!(old.append("t", NewEvent::text("2")), Err(Error::Fenced { .. })));
    let other = engine.register_producer("q").expect("registers");
    assert_ne!(other.id(), new.id());
    for number in 0..9 {
        new.append("t", NewEvent::text(number.to_string())).expect("appends");
        other.append("t", NewEvent::text("x").with_key("k")).expect("appends");
    }
    let counts = [0, 1, 2].map(|partition| texts(&engine, "t", partition).len());
    assert_eq!(counts.iter().sum::<usize>(), 19);
    assert!(counts.iter().all(|count| *count >= 3), "in turn: {counts:?}");
}

#[test]
fn nothing_follows_the_last_sequence_there_is() {
    let engine = open(&MemVfs::new());
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let producer = engine.register_producer("importer").expect("registers");
    let at = |sequence| producer.append_at("t", NewEvent::text("x"), sequence);
    assert!(!at(u64::MAX).expect("any may be the first").duplicate);
    assert!(at(u64::MAX).expect("is known").duplicate);
    assert!(matches!(at(0), Err(Error::OutOfSequence { actual: 0, .. })));
}
