//! Metrics and spans: what the documents name is emitted, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_engine::*;
use cairn_mvcc::{LeaseId, Put};
use cairn_segment::{CleanOptions, Fate, Log, LogConfig};
use cairn_types::{EventId, KeyspaceName, Lsn};
use cairn_vfs::{ManualClock, MemVfs, SeededRng};

/// One figure: how often it was touched.
#[derive(Debug, Default)]
struct Touched(AtomicU64);

impl Touched {
    fn touch(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(feature = "metrics")]
mod facade {
    use super::{Arc, BTreeMap, Mutex, Ordering, Touched};
    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata,
        Recorder, SharedString, Unit,
    };

    impl CounterFn for Touched {
        fn increment(&self, value: u64) {
            self.touch(value);
        }
        fn absolute(&self, _: u64) {}
    }

    impl GaugeFn for Touched {
        fn increment(&self, _: f64) {}
        fn decrement(&self, _: f64) {}
        fn set(&self, _: f64) {
            self.touch(1);
        }
    }

    impl HistogramFn for Touched {
        fn record(&self, _: f64) {
            self.touch(1);
        }
    }

    /// Remembers every figure by name and kind.
    #[derive(Debug, Default)]
    pub struct Remembering {
        figures: Mutex<BTreeMap<(String, &'static str), Arc<Touched>>>,
        described: Mutex<BTreeMap<String, String>>,
    }

    impl Remembering {
        fn figure(&self, key: &Key, kind: &'static str) -> Arc<Touched> {
            let mut figures = self.figures.lock().expect("no panic before");
            figures.entry((key.name().to_owned(), kind)).or_default().clone()
        }

        fn note(&self, name: &KeyName, about: &SharedString) {
            let mut described = self.described.lock().expect("no panic before");
            described.insert(name.as_str().to_owned(), about.to_string());
        }

        pub fn touched(&self) -> BTreeMap<(String, &'static str), u64> {
            let figures = self.figures.lock().expect("no panic before");
            let count = |touched: &Arc<Touched>| touched.0.load(Ordering::Relaxed);
            figures.iter().map(|(name, touched)| (name.clone(), count(touched))).collect()
        }

        pub fn is_described(&self, name: &str) -> bool {
            self.described.lock().expect("no panic before").contains_key(name)
        }
    }

    impl Recorder for Remembering {
        fn describe_counter(&self, name: KeyName, _: Option<Unit>, about: SharedString) {
            self.note(&name, &about);
        }
        fn describe_gauge(&self, name: KeyName, _: Option<Unit>, about: SharedString) {
            self.note(&name, &about);
        }
        fn describe_histogram(&self, name: KeyName, _: Option<Unit>, about: SharedString) {
            self.note(&name, &about);
        }
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.figure(key, "counter"))
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.figure(key, "gauge"))
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.figure(key, "histogram"))
        }
    }
}

const OPERATIONS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md"));

/// Names and kinds in the tables of the page, from rows like "| `name` | kind | ...".
fn documented(kinds: &[&str]) -> BTreeSet<(String, String)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (name, kind) = (cells.next()?.trim_end_matches('`'), cells.next()?.trim());
        (name.starts_with("cairn_") && kinds.contains(&kind))
            .then(|| (name.to_owned(), kind.to_owned()))
    };
    OPERATIONS.lines().filter_map(row).collect()
}

/// Does everything that counts something.
fn exercise() {
    let clock = Arc::new(ManualClock::default());
    let vfs = MemVfs::new();
    let config = LogConfig {
        segment_size: 64 << 10,
        background: false,
        quota_bytes: Some(400_000),
        ..LogConfig::default()
    };
    let log = Log::options()
        .vfs(Arc::new(vfs.clone()))
        .clock(clock.clone())
        .rng(Arc::new(SeededRng::new(1)))
        .config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    let event = NewEvent::text("once").with_id(EventId::from_bytes([1; 16]));
    for _ in 0..2 {
        engine.append("t", event.clone()).expect("appends");
    }
    assert_eq!(engine.events("t", 0, 0).expect("reads").count(), 1);
    keys.put("a", "1").expect("puts");
    keys.get("a").expect("reads");
    let mut first = true;
    engine
        .transact(|tx| {
            tx.get(&keys, "a")?;
            if std::mem::take(&mut first) {
                keys.put("a", "2")?;
            }
            tx.put(&keys, "b", "3");
            Ok(())
        })
        .expect("commits after a conflict");
    let lease = engine.grant_lease(5).expect("grants");
    engine.keys().put(Put::new(keys.stream(), "l", "x").lease(lease.id)).expect("puts");
    clock.advance(Duration::from_secs(9));
    assert_eq!(engine.maintain().expect("maintains"), 1);
    let create = Command::CreateKeyspace { keyspace: KeyspaceName::new("m").expect("valid") };
    engine.apply(Position::new(1), &create).expect("applies");
    let refused = Command::LeaseKeepAlive { id: LeaseId::new(77) };
    assert!(engine.apply(Position::new(2), &refused).expect("applies").is_refused());
    while keys.put("fill", vec![7; 2000]).is_ok() {}
    let mut erase = |lsn: Lsn, _: &cairn_codec::RecordView<'_>| {
        if lsn.get() == 2 { Fate::Erase } else { Fate::Keep }
    };
    engine.log().clean(&mut erase, &CleanOptions::default()).expect("cleans");
    engine.retain_topics().expect("retains");
    let mut stream = Vec::new();
    engine.snapshot(SnapshotAt::Newest).expect("takes").write_to(&mut stream, 0, None).expect("ok");
    let mut import = SnapshotImport::open(Arc::new(MemVfs::new())).expect("opens");
    import.read_from(&mut stream.as_slice(), None).expect("reads");
    import.finish(engine.log().codecs()).expect("finishes");
    engine.log().backup(&MemVfs::new(), None).expect("copies");
    engine.verify(&cairn_segment::VerifyOptions::default()).expect("verifies");
    engine.keys().compact(engine.revision()).expect("compacts");
    engine.publish_metrics().expect("shows");
    drop_segments();
    poison();
}

fn drop_segments() {
    let config = LogConfig { background: false, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(MemVfs::new())).config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    engine.create_keyspace("k").expect("creates");
    for number in 0..3 {
        engine.keyspace("k").expect("there").put("a", number.to_string()).expect("puts");
        engine.log().roll().expect("rolls");
    }
    engine.keys().compact(engine.revision()).expect("compacts");
    assert!(engine.reclaim().expect("drops").segment_count > 0);
}

/// A log whose disk fails.
fn poison() {
    use cairn_vfs::{CountdownVfs, Failure, FaultKind};
    for count in 1..200 {
        let failing =
            CountdownVfs::new(Arc::new(MemVfs::new()), count, Failure::Forever(FaultKind::Io));
        let config = LogConfig { background: false, ..LogConfig::default() };
        let log = Log::options().vfs(Arc::new(failing)).config(config);
        let Ok(engine) = Engine::options().log(log).open() else { continue };
        let _fails_sooner_or_later = engine.create_keyspace("k");
        let _fails_sooner_or_later = engine.create_keyspace("l");
    }
}

#[test]
#[cfg(feature = "metrics")]
fn every_documented_figure_is_emitted_and_every_emitted_one_documented() {
    let recorder = facade::Remembering::default();
    metrics::with_local_recorder(&recorder, exercise);
    let touched = recorder.touched();
    let emitted: BTreeSet<_> =
        touched.keys().map(|(name, kind)| (name.clone(), (*kind).to_owned())).collect();
    let mut expected = documented(&["counter", "gauge", "histogram"]);
    // Those of another crate, which tests them.
    expected.retain(|(name, _)| !name.starts_with("cairn_cache_"));
    assert_eq!(emitted, expected);
    for ((name, kind), count) in touched {
        assert!(count > 0, "{name} ({kind}) was never touched");
        assert!(recorder.is_described(&name), "{name} has no description");
    }
}

#[test]
#[cfg(not(feature = "metrics"))]
fn without_the_feature_everything_works_and_nothing_is_counted() {
    exercise();
    let names = documented(&["counter", "gauge", "histogram"]);
    assert!(names.len() > 20, "the page has its table");
    let (_, _): (BTreeMap<u8, u8>, Mutex<()>) = Default::default();
    Touched::default().touch(1);
}

#[test]
fn names_follow_the_conventions() {
    for (name, kind) in documented(&["counter", "gauge", "histogram"]) {
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(plain && name.starts_with("cairn_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    }
}

#[cfg(feature = "tracing")]
mod spans {
    use super::{BTreeSet, Mutex};
    use std::sync::Arc;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Dispatch, Event, Metadata, Subscriber};

    /// Remembers the names of spans.
    #[derive(Debug, Default, Clone)]
    struct Remembering {
        names: Arc<Mutex<BTreeSet<&'static str>>>,
    }

    impl Subscriber for Remembering {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("cairn")
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            self.names.lock().expect("no panic before").insert(span.metadata().name());
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn every_documented_span_is_emitted_and_every_emitted_one_documented() {
        let subscriber = Remembering::default();
        let dispatch = Dispatch::new(subscriber.clone());
        // With one subscriber alone a place in the code that another thread comes to first asks
        // that thread's, which is none, and stays off for everybody.
        let _second = Dispatch::new(Remembering::default());
        tracing::dispatcher::with_default(&dispatch, super::exercise);
        let expected: BTreeSet<String> =
            super::documented(&["info", "debug", "trace"]).into_iter().map(|(n, _)| n).collect();
        let names = subscriber.names.lock().expect("no panic before");
        let emitted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(emitted, expected);
    }
}
