//! What the threads of the mixed load do, each at its own pace.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cairn_engine::{CleanKeys, Engine, Keyspace, NewEvent};
use cairn_mvcc::{Range, RangeRequest, WatchRequest};
use cairn_types::StreamId;
use cairn_vfs::SeededRng;

use super::latency::Latencies;
use super::stalls::{Stall, TOO_LONG, Thread};

pub(super) const SPACE: &str = "cache";
pub(super) const TOPIC: &str = "events";
pub(super) const BATCH: u64 = 200;
/// Changes that a reader of the past may still ask for.
const REVISIONS_KEPT: u64 = 1000;

/// What all threads share.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) begun: Instant,
    pub(super) stop: AtomicBool,
    /// Newest acknowledged version of each key, by its number.
    pub(super) newest: Vec<AtomicU32>,
    /// Changes acknowledged, which a watch must deliver.
    pub(super) changed: AtomicU64,
    /// Revision up to which the watch has come.
    pub(super) watched: AtomicU64,
    /// Answers that were not right.
    pub(super) wrong: Mutex<Vec<String>>,
    /// The disk is given back slower than it is taken: batches pause.
    pub(super) is_full: AtomicBool,
}

impl World {
    pub(super) fn space(&self) -> Keyspace {
        self.engine.keyspace(SPACE).expect("was created")
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Acquire)
    }

    pub(super) fn check(&self, is_right: bool, what: impl FnOnce() -> String) {
        if !is_right {
            let what = what();
            println!("wrong: {what}");
            self.wrong.lock().expect("not poisoned").push(what);
        }
    }
}

/// What one thread measured.
pub(super) struct Notes {
    pub(super) latencies: BTreeMap<&'static str, Latencies>,
    pub(super) stalls: Vec<Stall>,
}

impl Notes {
    fn new() -> Self {
        Self { latencies: BTreeMap::new(), stalls: Vec::new() }
    }

    fn add(&mut self, operation: &'static str, took: Duration) {
        self.latencies.entry(operation).or_insert_with(Latencies::new).add(took);
    }

    fn time<T>(&mut self, world: &World, operation: &'static str, work: impl FnOnce() -> T) -> T {
        let before = Thread::now();
        let from = world.begun.elapsed();
        let done = work();
        let to = world.begun.elapsed();
        self.add(operation, to - from);
        if to - from > TOO_LONG {
            self.stalls.push(Stall::new(operation, (from, to), before, Thread::now()));
        }
        done
    }
}

/// Lets something happen so many times a second, without making up for what was missed.
struct Pace {
    every: Duration,
    next: Instant,
}

impl Pace {
    fn per_second(count: u32) -> Self {
        Self { every: Duration::from_secs(1) / count, next: Instant::now() }
    }

    fn wait(&mut self) {
        self.next += self.every;
        match self.next.checked_duration_since(Instant::now()) {
            Some(left) => std::thread::sleep(left),
            None => self.next = Instant::now(),
        }
    }
}

/// Keys in an order that looks random; the number stands behind, so that it can be checked.
pub(super) fn key(number: u64) -> Vec<u8> {
    let mut key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
    key.extend(number.to_be_bytes());
    key
}

pub(super) fn value(world: &World, number: u64, version: u32) -> Vec<u8> {
    let micros = u64::try_from(world.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut value = number.to_le_bytes().to_vec();
    value.extend(version.to_le_bytes());
    value.extend(micros.to_le_bytes());
    value.resize(100, value[0]);
    value
}

/// Number, version and time of a value, if it is whole and belongs to the key.
pub(super) fn parse(key: &[u8], value: &[u8]) -> Option<(u64, u32, Duration)> {
    let number = u64::from_le_bytes(value.get(..8)?.try_into().ok()?);
    let version = u32::from_le_bytes(value.get(8..12)?.try_into().ok()?);
    let micros = u64::from_le_bytes(value.get(12..20)?.try_into().ok()?);
    let is_whole = value.len() == 100 && value[20..].iter().all(|byte| *byte == value[0]);
    let is_its = key == self::key(number);
    (is_whole && is_its).then_some((number, version, Duration::from_micros(micros)))
}

/// Overwrites keys of even numbers, puts and deletes others.
pub(super) fn write(world: &World) -> Notes {
    let (mut notes, mut pace) = (Notes::new(), Pace::per_second(500));
    let (rng, space) = (SeededRng::new(1), world.space());
    let count = world.newest.len() as u64;
    while world.goes_on() {
        pace.wait();
        let number = rng.below(count / 2) * 2;
        let passing = count + rng.below(count / 10);
        match rng.below(10) {
            0 => {
                let value = value(world, passing, 0);
                notes.time(world, "put", || space.put(key(passing), value)).expect("puts");
                world.changed.fetch_add(1, Ordering::AcqRel);
            }
            1 => {
                let deleted = notes.time(world, "delete", || space.delete(key(passing)));
                let deleted = deleted.expect("deletes").deleted;
                world.changed.fetch_add(deleted, Ordering::AcqRel);
            }
            _ => {
                let newest = &world.newest[number as usize];
                let version = newest.load(Ordering::Acquire) + 1;
                let value = value(world, number, version);
                notes.time(world, "overwrite", || space.put(key(number), value)).expect("puts");
                newest.store(version, Ordering::Release);
                world.changed.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
    notes
}

/// Overwrites keys of odd numbers, many at a time: what fills tables.
pub(super) fn write_batches(world: &World) -> Notes {
    let (mut notes, mut pace) = (Notes::new(), Pace::per_second(10));
    let (rng, space) = (SeededRng::new(2), world.space());
    let count = world.newest.len() as u64;
    while world.goes_on() {
        pace.wait();
        if world.is_full.load(Ordering::Acquire) {
            continue;
        }
        // Next to each other by number, so far apart by key.
        let first = rng.below(count / 2 - BATCH) * 2 + 1;
        let numbers = || (first..).step_by(2).take(BATCH as usize);
        let pairs: Vec<_> = numbers()
            .map(|number| {
                let version = world.newest[number as usize].load(Ordering::Acquire) + 1;
                (key(number), value(world, number, version))
            })
            .collect();
        notes.time(world, "batch of 200", || space.put_all(pairs)).expect("puts");
        for number in numbers() {
            world.newest[number as usize].fetch_add(1, Ordering::AcqRel);
        }
        world.changed.fetch_add(BATCH, Ordering::AcqRel);
    }
    notes
}

/// Gets, two of three of them of one key in a hundred, and ranges of fifty keys.
pub(super) fn read(world: &World) -> Notes {
    let (mut notes, mut pace) = (Notes::new(), Pace::per_second(2000));
    let (rng, space) = (SeededRng::new(3), world.space());
    let count = world.newest.len() as u64;
    let mut looks = 0_u64;
    while world.goes_on() {
        pace.wait();
        looks += 1;
        let number = rng.below(if rng.below(3) > 0 { count / 100 } else { count });
        let key = key(number);
        if looks.is_multiple_of(20) {
            let range = Range::from_key(key);
            let request = RangeRequest::new(StreamId::SYSTEM, range);
            let request = RangeRequest { limit: 50, without_count: true, ..request };
            let found = notes.time(world, "range of 50", || space.range(&request));
            let kvs = found.expect("ranges").kvs;
            let is_sorted = kvs.is_sorted_by(|one, next| one.key < next.key);
            let is_whole = kvs.iter().all(|kv| parse(&kv.key, &kv.value).is_some());
            world.check(is_sorted && is_whole, || format!("a range from number {number}"));
            continue;
        }
        let known = world.newest[number as usize].load(Ordering::Acquire);
        let found = notes.time(world, "get", || space.get(&key)).expect("gets");
        let version = found.and_then(|value| parse(&key, &value)).map(|parsed| parsed.1);
        let is_right = version.is_some_and(|version| version >= known);
        world.check(is_right, || format!("key {number}: {version:?}, {known} was acknowledged"));
    }
    notes
}

/// Appends events, and reads one of ten back.
pub(super) fn append(world: &World) -> Notes {
    let (mut notes, mut pace) = (Notes::new(), Pace::per_second(300));
    let mut number = 0_u64;
    while world.goes_on() {
        pace.wait();
        let text = format!("{number:0>200}");
        let event = NewEvent::text(text.clone());
        let appended = notes.time(world, "append", || world.engine.append(TOPIC, event));
        let offset = appended.expect("appends").offset.get();
        world.check(offset == number, || format!("event {number} has offset {offset}"));
        if number.is_multiple_of(10) {
            let event = notes.time(world, "event", || world.engine.event(TOPIC, 0, offset));
            let event = event.expect("reads");
            world.check(event.data.as_str() == Some(&text), || format!("event {number}"));
        }
        number += 1;
    }
    notes
}

/// Watches all keys: ordered, none missing, and how long after its write began a change came.
pub(super) fn watch(world: &World, is_over: &AtomicBool) -> (Notes, u64) {
    let mut notes = Notes::new();
    let request = WatchRequest::new(StreamId::SYSTEM, Range::all());
    let mut watcher =
        world.space().watch(request.from(world.engine.revision() + 1)).expect("watches");
    let (mut delivered, mut last) = (0, 0);
    loop {
        let is_last = is_over.load(Ordering::Acquire);
        let next = watcher.next(Duration::from_millis(100)).expect("reads");
        let Some(batch) = next else {
            if is_last {
                return (notes, delivered);
            }
            continue;
        };
        let revision = batch.revision;
        // There is one keyspace, so every revision changes it: by a single write or by a batch.
        let is_next = last == 0 || revision == last + 1;
        world.check(is_next, || format!("watch: revision {revision} after {last}"));
        let len = batch.changes.len() as u64;
        world.check(len == 1 || len == BATCH, || format!("watch: {len} changes at {revision}"));
        last = revision;
        world.watched.store(revision, Ordering::Release);
        delivered += batch.changes.len() as u64;
        for change in batch.changes.iter().filter(|change| !change.deleted).take(1) {
            let parsed = parse(&change.kv.key, &change.kv.value);
            world.check(parsed.is_some(), || format!("watch: a value at revision {revision}"));
            if let Some((_, _, at)) = parsed {
                notes.add("watch (since its write began)", world.begun.elapsed() - at);
            }
        }
    }
}

/// Compacts, cleans and retains now and then, as an owner would.
pub(super) fn keep(world: &World, space_max: u64) -> Notes {
    let (mut notes, mut pace) = (Notes::new(), Pace::per_second(1));
    let mut seconds = 0_u64;
    while world.goes_on() {
        pace.wait();
        seconds += 1;
        world.engine.maintain().expect("maintains");
        let target = world.watched.load(Ordering::Acquire).saturating_sub(REVISIONS_KEPT);
        if seconds.is_multiple_of(10) && target > world.engine.keys().compact_revision() {
            let compacted = notes.time(world, "compact", || world.engine.keys().compact(target));
            compacted.expect("compacts");
        }
        if seconds.is_multiple_of(60) {
            let options = CleanKeys::default();
            let cleaned = notes.time(world, "clean", || world.engine.clean_keyspaces(&options));
            let cleaned = cleaned.expect("cleans");
            let retained = notes.time(world, "retain", || world.engine.retain_topics());
            retained.expect("retains");
            let segments = world.engine.log().segment_stats().expect("stats");
            let len: u64 = segments.iter().map(|segment| segment.len).sum();
            world.is_full.store(len > space_max, Ordering::Release);
            println!(
                "{seconds} s: revision {}, log {} MB, {} records cleaned away, {:?}",
                world.engine.revision(),
                len >> 20,
                cleaned.dropped_count,
                world.engine.keys().tree_stats(),
            );
        }
    }
    // Waiting is their business: they have no caller who would mind.
    notes.stalls.clear();
    notes
}
