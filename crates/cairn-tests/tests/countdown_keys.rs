//! Every operation of the disk fails once, and from there on, while keys are written, flushed,
//! merged, compacted, cleaned, erased, shredded, signed: no panic, nothing acknowledged is lost,
//! and on a disk that works again the store goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_engine::*;
use cairn_mvcc::Range;
use cairn_segment::{Log, LogConfig, VerifyOptions};
use cairn_vfs::{CountdownVfs, Failure, FaultKind, ManualClock, MemVfs, SeededRng, Vfs};

/// What was acknowledged: values, `None` for a deleted key; of an erased one nothing is known.
type Acknowledged = BTreeMap<(&'static str, String), Option<String>>;
type Flow = fn(&Engine, &mut Acknowledged) -> Result<()>;

const ALL: CleanKeys<'_> = CleanKeys { dead_share: 0.0, roll: true, progress: None };

fn make(engine: &Engine) -> Result<()> {
    engine.create_keyspace("ledger")?;
    engine.create_keyspace_with("cache", KeyspaceRetention::LatestOnly)?;
    engine.create_keyspace_by_subject("people")?;
    Ok(())
}

/// Overwrites keys; what a failed write left is not known any more.
fn put(
    engine: &Engine,
    space: &'static str,
    range: std::ops::Range<u32>,
    done: &mut Acknowledged,
) -> Result<()> {
    for number in range {
        let place = (space, format!("s{}/{}", number % 2, number % 8));
        let value = format!("{number} {}", "y".repeat(number as usize * 11 % 400));
        done.remove(&place);
        engine.keyspace(space)?.put(place.1.clone(), value.clone())?;
        done.insert(place, Some(value));
    }
    Ok(())
}

const FLOWS: [(&str, Flow); 10] = [
    ("put", |engine, done| put(engine, "ledger", 0..3, done)),
    ("put many at once", |engine, done| {
        let pairs: Vec<_> = (0..300).map(|n| (format!("k{n}"), "v".repeat(n % 90))).collect();
        engine.keyspace("ledger")?.put_all(pairs.clone())?;
        done.extend(pairs.into_iter().map(|(key, value)| (("ledger", key), Some(value))));
        Ok(())
    }),
    ("delete", |engine, done| {
        put(engine, "ledger", 0..4, done)?;
        done.clear();
        engine.keyspace("ledger")?.delete_range(Range::all())?;
        done.insert(("ledger", "s1/1".to_owned()), None);
        put(engine, "ledger", 6..8, done)
    }),
    ("flush and merge", |engine, done| {
        put(engine, "ledger", 0..6, done)?;
        engine.keys().flush()?;
        put(engine, "ledger", 4..9, done)?;
        engine.keys().flush()?;
        engine.keys().merge_tables()?;
        put(engine, "ledger", 9..10, done)
    }),
    ("compact", |engine, done| {
        put(engine, "ledger", 0..12, done)?;
        engine.keys().compact(engine.revision() - 2)?;
        put(engine, "ledger", 12..13, done)
    }),
    ("clean", |engine, done| {
        put(engine, "cache", 0..20, done)?;
        engine.keys().compact(engine.revision())?;
        engine.clean_keyspaces(&ALL)?;
        put(engine, "cache", 20..21, done)
    }),
    ("erase", |engine, done| {
        put(engine, "ledger", 0..4, done)?;
        let place = ("ledger", "s1/1".to_owned());
        done.remove(&place);
        let key = place.1.as_bytes();
        let target = EraseTarget::Key { keyspace: place.0, key, versions: Versions::All };
        engine.erase(&target, "asked for")?;
        put(engine, "ledger", 4..5, done)
    }),
    ("shred", |engine, done| {
        put(engine, "people", 0..4, done)?;
        done.retain(|place, _| !place.1.starts_with("s1/"));
        engine.shred("s1", "asked for")?;
        put(engine, "ledger", 4..5, done)
    }),
    ("sign", |engine, done| {
        put(engine, "ledger", 0..4, done)?;
        let failed = |error| Error::Proof(Arc::new(error));
        let proofs = engine.proofs().map_err(failed)?;
        proofs.checkpoint().map_err(failed)?;
        proofs.save_key_map().map_err(failed)?;
        put(engine, "ledger", 4..5, done)
    }),
    ("roll and close", |engine, done| {
        put(engine, "ledger", 0..4, done)?;
        engine.log().roll()?;
        put(engine, "ledger", 4..6, done)?;
        engine.close()
    }),
];

fn open(disk: Arc<dyn Vfs>) -> Result<Engine> {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(disk)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(1)))
        .config(config);
    Engine::options().log(log).open()
}

/// Everything acknowledged is there on a disk that works again, and the store goes on.
fn judge(disk: &MemVfs, done: &Acknowledged, context: &str) {
    let engine = open(Arc::new(disk.clone()))
        .unwrap_or_else(|error| panic!("{context}: the healed disk is refused: {error}"));
    for ((space, key), expected) in done {
        let found = engine.keyspace(space).and_then(|space| space.get(key));
        let found = found.unwrap_or_else(|error| panic!("{context}: {space} {key}: {error}"));
        let found = found.map(|value| String::from_utf8(value.to_vec()).expect("text"));
        assert_eq!(&found, expected, "{context}: {space} {key}");
    }
    let (report, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "{context}: {report:?}");
    assert!(erasures.missing.is_empty(), "{context}: {:?}", erasures.missing);
    engine.keys().verify_tables().unwrap_or_else(|error| panic!("{context}: {error}"));
    make(&engine).unwrap_or_else(|error| panic!("{context}: {error}"));
    put(&engine, "cache", 0..1, &mut Acknowledged::new())
        .unwrap_or_else(|error| panic!("{context}: it does not go on: {error}"));
    engine.keys().flush().unwrap_or_else(|error| panic!("{context}: {error}"));
}

/// Runs a flow with one failing operation; whether it was never reached.
fn run(flow: Flow, fail_at: u64, failure: Failure, context: &str) -> bool {
    let disk = MemVfs::new();
    let faulty = Arc::new(CountdownVfs::new(Arc::new(disk.clone()), fail_at, failure));
    let mut done = Acknowledged::new();
    if let Ok(engine) = open(faulty.clone()) {
        let outcome = make(&engine).and_then(|()| flow(&engine, &mut done));
        if outcome.is_err() {
            // It may go on, if it can: what it acknowledges then counts as well.
            let _refused_or_not = put(&engine, "ledger", 30..32, &mut done);
        }
    }
    judge(&disk, &done, context);
    !faulty.fired()
}

#[test]
fn every_operation_fails_while_keys_are_kept_and_nothing_acknowledged_is_lost() {
    let mut failures = 0_u64;
    for (name, flow) in FLOWS {
        for kind in [FaultKind::Io, FaultKind::NoSpace] {
            for failure in [Failure::Once(kind), Failure::Forever(kind)] {
                for fail_at in 1.. {
                    if run(flow, fail_at, failure, &format!("{name}, {fail_at}, {failure:?}")) {
                        break;
                    }
                    failures += 1;
                }
            }
        }
    }
    println!("total: failures={failures} violations=0");
    assert!(failures > 1000, "{failures}");
}
