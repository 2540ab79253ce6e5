//! The work on key-value engines: what is timed, and in which order.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use crate::measure::{Row, in_turn, repeat, repeat_by_threads};
use crate::options::{Options, Sizes};
use crate::payload::Payloads;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Instant;

/// Everything that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Put(Mode, usize),
    Load,
    Get { hit: bool, threads: usize },
    Range,
    Scan,
    Overwrite,
    Reopen,
}

/// Work on fresh stores.
const PUTS: [Work; 4] = [
    Work::Put(Mode::Buffered, 1),
    Work::Put(Mode::Durable, 1),
    Work::Put(Mode::Durable, 8),
    Work::Put(Mode::Durable, 32),
];

/// Work on one loaded store, in this order.
const LOADED: [Work; 8] = [
    Work::Load,
    Work::Get { hit: true, threads: 1 },
    Work::Get { hit: false, threads: 1 },
    Work::Get { hit: true, threads: 2 },
    Work::Range,
    Work::Scan,
    Work::Overwrite,
    Work::Reopen,
];

impl Work {
    fn name(self, sizes: &Sizes) -> String {
        let batch = sizes.batch_len;
        match self {
            Self::Put(Mode::Buffered, _) => "put one at a time, buffered".into(),
            Self::Put(Mode::Durable, 1) => "put one at a time, synced".into(),
            Self::Put(Mode::Durable, count) => {
                format!("put one at a time, synced, {count} threads")
            }
            Self::Load => {
                format!("load {} keys, batches of {batch}, synced at the end", sizes.key_count)
            }
            Self::Get { hit: false, .. } => "get, miss".into(),
            Self::Get { threads: 1, .. } => "get, hit".into(),
            Self::Get { threads, .. } => format!("get, hit, {threads} threads"),
            Self::Range => "range of 100".into(),
            Self::Scan => "scan of all keys and values in order".into(),
            Self::Overwrite => format!("overwrite, batches of {batch}, buffered"),
            Self::Reopen => "reopen after a clean stop".into(),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Range => "ranges",
            Self::Reopen => "opens",
            _ => "keys",
        }
    }

    /// The ratio to reach against every other.
    fn bar(self) -> f64 {
        match self {
            Self::Load | Self::Overwrite => 3.0,
            Self::Put(Mode::Buffered, _) => 2.0,
            Self::Put(Mode::Durable, 1) | Self::Range | Self::Scan | Self::Reopen => 1.0,
            Self::Put(Mode::Durable, _) => 1.1,
            Self::Get { hit: true, .. } => 2.5,
            Self::Get { hit: false, .. } => 4.0,
        }
    }

    fn promise(self, peer: &Peer) -> Result<&'static str, &'static str> {
        match self {
            Self::Put(Mode::Buffered, _) => peer.buffered,
            Self::Put(Mode::Durable, _) => peer.durable,
            _ => Ok(peer.load),
        }
    }

    fn row(self, sizes: &Sizes, cairn: &Peer, other: &Peer) -> Row {
        let base = (cairn.name, self.promise(cairn).unwrap_or("-"));
        let mut row =
            Row::new(self.name(sizes), self.unit(), (other.name, self.promise(other)), base);
        row.bar = Some(self.bar());
        row
    }
}

/// A random key that follows from its number.
pub fn key(number: u64) -> Vec<u8> {
    let mix = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut key = Vec::with_capacity(16);
    key.extend_from_slice(&mix(number * 2 + 1).to_le_bytes());
    key.extend_from_slice(&mix(number * 2 + 2).to_le_bytes());
    key
}

/// Pairs of consecutive numbers; a value carries its number.
pub fn pairs(first: u64, count: usize, payloads: &mut Payloads) -> Vec<Pair> {
    payloads.number(first);
    (first..)
        .zip(payloads.batch(count))
        .map(|(number, value)| (key(number), value.clone()))
        .collect()
}

/// A store that was loaded, with the directory it lies in.
struct Loaded {
    store: Box<dyn OpenStore>,
    dir: tempfile::TempDir,
    load_rate: f64,
    disk_len: u64,
}

impl Loaded {
    fn new(peer: &Peer, options: &Options, payloads: &mut Payloads) -> Result<Self> {
        let sizes = &options.sizes;
        let dir = fresh_dir(options)?;
        let store = (peer.open)(&dir.path().join("store"), Mode::Buffered)?;
        let mut elapsed = 0.0;
        for first in (0..sizes.key_count).step_by(sizes.batch_len) {
            let pairs = pairs(first, sizes.batch_len, payloads);
            let start = Instant::now();
            store.put_batch(&pairs)?;
            elapsed += start.elapsed().as_secs_f64();
        }
        let start = Instant::now();
        store.sync()?;
        elapsed += start.elapsed().as_secs_f64();
        let disk_len = disk_len(dir.path())?;
        Ok(Self { store, dir, load_rate: sizes.key_count as f64 / elapsed, disk_len })
    }

    fn reopen(self, peer: &Peer, sizes: &Sizes) -> Result<f64> {
        self.store.close().context("close")?;
        let start = Instant::now();
        let store = (peer.open)(&self.dir.path().join("store"), Mode::Buffered).context("open")?;
        let elapsed = start.elapsed();
        for number in (0..sizes.key_count).step_by(997) {
            get(&*store, number, true).context("after opening again")?;
        }
        store.close()?;
        Ok(1.0 / elapsed.as_secs_f64())
    }

    fn run(&self, work: Work, sizes: &Sizes, payloads: &mut Payloads) -> Result<f64> {
        let (store, total) = (&*self.store, sizes.key_count);
        match work {
            Work::Load => Ok(self.load_rate),
            Work::Get { hit, threads: 1 } => {
                let mut random = random(1);
                let offset = if hit { 0 } else { total };
                repeat(sizes.budget, |_| get(store, offset + random(total), hit))
            }
            Work::Get { hit, threads } => repeat_by_threads(threads, sizes.budget, |thread, at| {
                // A generator a step: closures of threads share nothing.
                let number = random(at * 64 + thread as u64)(total);
                get(store, number, hit)
            }),
            Work::Range => {
                let mut random = random(1);
                repeat(sizes.budget, |_| {
                    let mut count = 0;
                    store.scan(&key(random(total)), 100, &mut |_, value| {
                        count += usize::from(!value.is_empty());
                    })?;
                    // Near the end there are fewer.
                    ensure!(count > 0 && count <= 100, "{count} keys in a range");
                    Ok(())
                })
            }
            Work::Scan => Ok(total as f64 * repeat(sizes.budget, |_| scan_all(store, total))?),
            Work::Overwrite => {
                let batches = total / sizes.batch_len as u64;
                let prepared: Vec<Vec<Pair>> = (0..batches.min(64))
                    .map(|at| {
                        pairs(
                            at * (batches / batches.min(64)) * sizes.batch_len as u64,
                            sizes.batch_len,
                            payloads,
                        )
                    })
                    .collect();
                let count = prepared.len() as u64;
                let rate = repeat(sizes.budget, |at| {
                    store.put_batch(&prepared[usize::try_from(at % count)?])
                })?;
                Ok(rate * sizes.batch_len as f64)
            }
            Work::Put(..) | Work::Reopen => unreachable!("not on a loaded store"),
        }
    }
}

pub fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 20) % below
    }
}

pub fn get(store: &(impl Reads + ?Sized), number: u64, hit: bool) -> Result<()> {
    let mut found = None;
    store.get(&key(number), &mut |value| {
        found = value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    })?;
    ensure!(found == hit.then_some(number), "key {number}: found {found:?}");
    Ok(())
}

fn scan_all(store: &dyn OpenStore, total: u64) -> Result<()> {
    let (mut count, mut touched, mut ordered) = (0, 0, true);
    let mut last = Vec::new();
    store.scan(&[], usize::MAX, &mut |key, value| {
        ordered &= last.as_slice() < key;
        last.clear();
        last.extend_from_slice(key);
        touched ^= value.last().copied().unwrap_or(0);
        count += 1;
    })?;
    std::hint::black_box(touched);
    ensure!(count == total && ordered, "{count} of {total} keys, in order: {ordered}");
    Ok(())
}

pub fn fresh_dir(options: &Options) -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("kv-").tempdir_in(&options.dir)?)
}

/// Bytes that the files of a directory take up on the disk.
pub fn disk_len(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut len = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // Files may go while they are counted: compaction runs behind.
        let Ok(metadata) = entry.metadata() else { continue };
        len += if metadata.is_dir() { disk_len(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(len)
}

/// Every row.
pub fn run(options: &Options, cairn: &Peer, others: &[Peer]) -> Result<Vec<Row>> {
    let chosen = |work: &Work| work.name(&options.sizes).contains(&options.work);
    let mut rows = Vec::new();
    for work in PUTS.into_iter().filter(chosen) {
        rows.extend(puts(work, options, cairn, others)?);
    }
    let loaded_work: Vec<Work> = LOADED.into_iter().filter(chosen).collect();
    if !loaded_work.is_empty() {
        rows.extend(loaded(&loaded_work, options, cairn, others)?);
    }
    Ok(rows)
}

fn puts(work: Work, options: &Options, cairn: &Peer, others: &[Peer]) -> Result<Vec<Row>> {
    let Work::Put(mode, threads) = work else { unreachable!("only puts") };
    let sizes = &options.sizes;
    eprintln!("{}", work.name(sizes));
    let payloads = Payloads::new(sizes.payload_len, sizes.batch_len);
    let mut rows: Vec<Row> = others.iter().map(|other| work.row(sizes, cairn, other)).collect();
    let run = |peer: &Peer| -> Result<f64> {
        let dir = fresh_dir(options)?;
        let store = (peer.open)(&dir.path().join("store"), mode)?;
        store.put(&key(u64::MAX / 4), payloads.one(0))?;
        let put =
            |thread: usize, at: u64| store.put(&key(at * 64 + thread as u64), payloads.one(at));
        let rate = match threads {
            1 => repeat(sizes.budget, |at| put(0, at))?,
            _ => repeat_by_threads(threads, sizes.budget, put)?,
        };
        store.close()?;
        Ok(rate)
    };
    for round in 0..options.rounds {
        for (row, other) in rows.iter_mut().zip(others) {
            if row.failure.is_none() {
                let (cairn, other) = in_turn(round, || run(cairn), || run(other));
                row.record(cairn, other);
            }
        }
    }
    Ok(rows)
}

fn loaded(works: &[Work], options: &Options, cairn: &Peer, others: &[Peer]) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    let mut payloads = Payloads::new(sizes.payload_len, sizes.batch_len);
    let mut rows: Vec<Vec<Row>> = works
        .iter()
        .map(|work| others.iter().map(|other| work.row(sizes, cairn, other)).collect())
        .collect();
    for round in 0..options.rounds {
        for (at, other) in others.iter().enumerate() {
            if rows.iter().all(|rows| rows[at].failure.is_some()) {
                continue;
            }
            eprintln!("loaded stores, round {}, {}", round + 1, other.name);
            let mut load = |peer: &Peer| Loaded::new(peer, options, &mut payloads);
            let base = load(cairn)?;
            let loaded = match load(other) {
                Ok(loaded) => loaded,
                Err(error) => {
                    let reason = format!("{error:#}");
                    rows.iter_mut().for_each(|rows| rows[at].failure = Some(reason.clone()));
                    continue;
                }
            };
            for (work, rows) in works.iter().zip(&mut rows) {
                let row = &mut rows[at];
                if row.failure.is_some() || *work == Work::Reopen {
                    continue;
                }
                if *work == Work::Load {
                    let megabytes = |len: u64| len as f64 / 1e6;
                    let (ours, theirs) = (megabytes(base.disk_len), megabytes(loaded.disk_len));
                    row.note = Some(format!("on disk {theirs:.0} MB, Cairn {ours:.0} MB"));
                }
                let first = if round.is_multiple_of(2) { &base } else { &loaded };
                let second = if round.is_multiple_of(2) { &loaded } else { &base };
                let one = first.run(*work, sizes, &mut payloads);
                let two = second.run(*work, sizes, &mut payloads);
                if round.is_multiple_of(2) { row.record(one, two) } else { row.record(two, one) }
            }
            if let Some(found) = works.iter().position(|work| *work == Work::Reopen)
                && rows[found][at].failure.is_none()
            {
                let (ours, theirs) =
                    in_turn(round, || base.reopen(cairn, sizes), || loaded.reopen(other, sizes));
                rows[found][at].record(ours, theirs);
            }
        }
    }
    Ok(rows.into_iter().flatten().collect())
}
