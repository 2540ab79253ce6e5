//! Everything at once on a real disk, with several times as many keys as memory may hold: how
//! long each kind of operation takes, and who is to blame for those that take too long.
//! `CAIRN_SOAK_SECONDS` sets how long, `CAIRN_KEYS` how many keys; an ordinary test run tries it for a
//! moment.

mod latency;
mod stalls;
mod threads;
mod timed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cairn_engine::{Engine, KeyspaceRetention, TopicConfig};
use cairn_mvcc::Range;
use cairn_segment::{Log, LogConfig, VerifyOptions};
use cairn_vfs::StdVfs;

use latency::Latencies;
use stalls::{REASONS, Stall, judge};
use threads::{Notes, SPACE, TOPIC, World};
use timed::{TimedVfs, Waits};

/// How much of it.
struct Size {
    keys: u64,
    run: Duration,
    /// Bytes of the log above which batches pause.
    space_max: u64,
}

impl Size {
    fn asked_for() -> Self {
        let seconds = std::env::var("CAIRN_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
        let keys = std::env::var("CAIRN_KEYS").ok().and_then(|text| text.parse().ok());
        let usual = if seconds.is_some() { 4_000_000 } else { 20_000 };
        let run = Duration::from_secs(seconds.unwrap_or(2));
        Self { keys: keys.unwrap_or(usual), run, space_max: 5 << 30 }
    }
}

fn open(dir: &Path, waits: &Waits) -> Engine {
    let disk = Arc::new(StdVfs::create(dir).expect("a directory"));
    let log = Log::options().vfs(Arc::new(TimedVfs { disk, waits: waits.clone() }));
    let config = LogConfig { segment_size: 64 << 20, ..LogConfig::default() };
    Engine::options().log(log.config(config)).open().expect("opens")
}

fn load(world: &World) {
    let (space, count) = (world.space(), world.newest.len() as u64);
    let mut next = 0;
    while next < count {
        let end = count.min(next + 2000);
        let pairs =
            (next..end).map(|number| (threads::key(number), threads::value(world, number, 0)));
        space.put_all(pairs).expect("puts");
        next = end;
    }
    let took = world.begun.elapsed();
    println!("{count} keys loaded in {took:?}: {:?}", world.engine.keys().tree_stats());
}

/// Lets all threads work for so long; what they measured, and when the machine stopped us.
fn work(world: &World, size: &Size) -> (Vec<Notes>, Vec<timed::Interval>) {
    let (watch_over, guard_over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let guard = scope.spawn(|| stalls::watch_the_machine(world.begun, &guard_over));
        let watch = scope.spawn(|| threads::watch(world, &watch_over));
        // It begins with the revision it finds.
        std::thread::sleep(Duration::from_millis(200));
        let jobs: [fn(&World) -> Notes; 4] =
            [threads::write, threads::write_batches, threads::read, threads::append];
        let mut workers: Vec<_> = jobs.map(|job| scope.spawn(move || job(world))).into();
        workers.push(scope.spawn(|| threads::keep(world, size.space_max)));
        std::thread::sleep(size.run);
        world.stop.store(true, Ordering::Release);
        let mut notes: Vec<_> = workers.into_iter().map(|w| w.join().expect("ends")).collect();
        watch_over.store(true, Ordering::Release);
        let (watched, delivered) = watch.join().expect("ends");
        let changed = world.changed.load(Ordering::Acquire);
        world.check(delivered == changed, || {
            format!("watch: {delivered} of {changed} changes were delivered")
        });
        notes.push(watched);
        guard_over.store(true, Ordering::Release);
        (notes, guard.join().expect("ends"))
    })
}

/// Every key as it was acknowledged last, and the store well.
fn judge_store(engine: &Engine, newest: &[AtomicU32]) {
    let mut found = 0_usize;
    for kv in engine.keyspace(SPACE).expect("there").scan(Range::all(), 0).expect("scans") {
        let kv = kv.expect("reads");
        let (number, version, _) = threads::parse(&kv.key, &kv.value).expect("whole");
        if let Some(newest) = newest.get(number as usize) {
            assert_eq!(version, newest.load(Ordering::Acquire), "key {number}");
            found += 1;
        }
    }
    assert_eq!(found, newest.len());
    engine.keys().verify_tables().expect("tables are well");
    let report = engine.log().verify(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "{report:?}");
}

fn print_latencies(notes: &[Notes], waits: &Waits) -> u64 {
    let mut all: BTreeMap<&str, Latencies> = BTreeMap::new();
    for (operation, latencies) in notes.iter().flat_map(|notes| &notes.latencies) {
        all.entry(*operation).or_insert_with(Latencies::new).merge(latencies);
    }
    let operations = all.values().map(Latencies::count).sum();
    all.insert("(sync of a file or directory)", waits.sync_latencies());
    println!("latency: | operation | count | p50 | p99 | p99.9 | longest |");
    for (operation, latencies) in &all {
        let [p50, p99, p999] = [500, 990, 999].map(|share| latencies.per_mille(share));
        let (count, longest) = (latencies.count(), latencies.longest());
        println!(
            "latency: | {operation} | {count} | {p50:.1?} | {p99:.1?} | {p999:.1?} | {longest:.1?} |"
        );
    }
    operations
}

#[test]
fn soak_of_a_mixed_load_names_the_reason_of_every_stall() {
    let size = Size::asked_for();
    let root = std::env::var("CAIRN_MIXED_DIR").unwrap_or(env!("CARGO_TARGET_TMPDIR").to_owned());
    let dir = tempfile::tempdir_in(root).expect("a directory");
    let begun = Instant::now();
    let waits = Waits::new(begun);
    let engine = open(dir.path(), &waits);
    engine.create_keyspace_with(SPACE, KeyspaceRetention::LatestOnly).expect("creates");
    let config = TopicConfig { max_len: Some(64 << 20), ..TopicConfig::default() };
    engine.create_topic(TOPIC, config).expect("creates");
    let world = World {
        engine,
        begun,
        stop: AtomicBool::new(false),
        newest: (0..size.keys).map(|_| AtomicU32::new(0)).collect(),
        changed: AtomicU64::new(0),
        watched: AtomicU64::new(0),
        wrong: Mutex::new(Vec::new()),
        is_full: AtomicBool::new(false),
    };
    load(&world);
    let (notes, gaps) = work(&world, &size);
    let operations = print_latencies(&notes, &waits);
    let stalls: Vec<Stall> = notes.iter().flat_map(|notes| notes.stalls.clone()).collect();
    let stopped: Duration = gaps.iter().map(|gap| gap.1 - gap.0).sum();
    println!("the machine stopped us {} times, {stopped:?} in all", gaps.len());
    let judged = judge(&stalls, waits.syncs(), waits.others(), gaps);
    for line in &judged.lines {
        println!("{line}");
    }
    let World { engine, newest, wrong, .. } = world;
    judge_store(&engine, &newest);
    engine.close().expect("closes");
    drop(engine);
    judge_store(&open(dir.path(), &waits), &newest);
    let wrong = wrong.into_inner().expect("not poisoned");
    let reasons = REASONS.map(|reason| format!("stalls_{reason}={}", judged.counts[reason]));
    println!("total: operations={operations} {} violations={}", reasons.join(" "), wrong.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}
