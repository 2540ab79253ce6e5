//! The headline work of the five seeds, beside Cairn with its hash chain and its tree of proofs
//! on. rusd is a server without a library: there is nothing to call in this process.

use crate::kv::{self, OpenStore};
use crate::log::{Base, Mode, OpenLog, Peer, kawa, kimberlite};
use crate::measure::{Cannot, Row, in_turn, repeat};
use crate::options::Options;
use crate::payload::{Checker, Payloads};
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// Records of the longer appends and of the logs that are read.
const LONG: u64 = 100_000;
/// Keys of hightower's hot gets.
const HOT: u64 = 4096;

/// One headline of a log.
#[derive(Debug, Clone, Copy)]
enum LogWork {
    /// Length of a record, records in a call.
    Append(usize, usize, Mode),
    /// Records, in calls of a thousand, until the tree has them all.
    UntilProven(u64),
    /// Records in one call, from the beginning of a log of as many.
    Read(u64, u64),
    /// The last ten of a log.
    Last10,
}

impl LogWork {
    fn name(self, seed: &str) -> String {
        let what = match self {
            Self::Append(len, count, mode) => {
                let level = if mode == Mode::Durable { "synced" } else { "buffered" };
                format!("{count} records of {len} B a call, {level}")
            }
            Self::UntilProven(count) => {
                format!("{count} records of 100 B by 1000, buffered, until in the tree")
            }
            Self::Read(count, _) => format!("read {count} records in one call"),
            Self::Last10 => format!("read the last 10 of {LONG}"),
        };
        format!("{seed}: {what}")
    }

    fn mode(self) -> Mode {
        match self {
            Self::Append(_, _, mode) => mode,
            Self::UntilProven(_) => Mode::Buffered,
            Self::Read(..) | Self::Last10 => Mode::Read,
        }
    }

    fn payload_len(self) -> usize {
        match self {
            Self::Append(len, _, _) => len,
            _ => 100,
        }
    }

    fn unit(self) -> &'static str {
        if matches!(self, Self::Last10) { "reads of 10" } else { "records" }
    }

    fn run(self, peer: &Peer, dir: &Path, budget: Duration) -> Result<f64> {
        let len = self.payload_len();
        let mut payloads = Payloads::new(len, 1000);
        let log = (peer.open)(dir, self.mode())?;
        let rate = match self {
            Self::Append(_, 1, _) => {
                log.append_one(0, payloads.one(0))?;
                repeat(budget, |at| log.append_one(0, payloads.one(at)))?
            }
            Self::Append(_, count, _) => {
                log.append_one(0, payloads.one(0))?;
                let batch = payloads.batch(count);
                count as f64 * repeat(budget, |_| log.append_batch(batch))?
            }
            Self::UntilProven(count) => {
                let start = Instant::now();
                for _ in 0..count / 1000 {
                    log.append_batch(payloads.batch(1000))?;
                }
                log.settle()?;
                count as f64 / start.elapsed().as_secs_f64()
            }
            Self::Read(count, total) => {
                fill(&*log, total, &mut payloads)?;
                read(&*log, 0, count, len)?;
                count as f64 * repeat(budget, |_| read(&*log, 0, count, len))?
            }
            Self::Last10 => {
                fill(&*log, LONG, &mut payloads)?;
                repeat(budget, |_| read(&*log, LONG - 10, 10, len))?
            }
        };
        log.close()?;
        Ok(rate)
    }
}

fn fill(log: &dyn OpenLog, count: u64, payloads: &mut Payloads) -> Result<()> {
    for first in (0..count).step_by(1000) {
        payloads.number(first);
        log.fill(payloads.batch(1000))?;
    }
    // Reads are not to wait for a tree that catches up.
    log.settle()
}

fn read(log: &dyn OpenLog, index: u64, count: u64, len: usize) -> Result<()> {
    let mut checker = Checker::new(index, len);
    log.read(index, count, len, &mut checker)?;
    checker.finish(count)
}

const KAWA: [LogWork; 6] = [
    LogWork::Append(100, 1, Mode::Buffered),
    LogWork::Append(100, 1000, Mode::Buffered),
    LogWork::UntilProven(1000),
    LogWork::UntilProven(LONG),
    LogWork::Read(1000, 1000),
    LogWork::Last10,
];

const KIMBERLITE: [LogWork; 14] = [
    LogWork::Append(100, 1, Mode::Buffered),
    LogWork::Append(100, 100, Mode::Buffered),
    LogWork::Append(100, 1000, Mode::Buffered),
    LogWork::Append(100, 1, Mode::Durable),
    LogWork::Append(100, 100, Mode::Durable),
    LogWork::Append(100, 1000, Mode::Durable),
    LogWork::Append(1000, 1, Mode::Buffered),
    LogWork::Append(1000, 100, Mode::Buffered),
    LogWork::Append(1000, 1000, Mode::Buffered),
    LogWork::Append(1000, 1, Mode::Durable),
    LogWork::Append(1000, 100, Mode::Durable),
    LogWork::Append(1000, 1000, Mode::Durable),
    LogWork::Read(LONG, LONG),
    LogWork::Last10,
];

/// One headline of a key-value engine.
#[derive(Debug, Clone, Copy)]
enum KeyWork {
    /// Length of a key and of a value.
    Put(usize, usize, kv::Mode),
    HotGet,
    /// Keys with one prefix, of ten times as many.
    Prefix(u64),
    /// Keys, each written twice.
    Compact(u64),
}

impl KeyWork {
    fn name(self, seed: &str) -> String {
        let what = match self {
            Self::Put(key, value, mode) => {
                let level =
                    if mode == kv::Mode::Durable { "put + flush each" } else { "put, buffered" };
                format!("{level}, {key}/{value} B")
            }
            Self::HotGet => format!("get of {HOT} hot keys"),
            Self::Prefix(count) => format!("the {count} of {} with a prefix", count * 10),
            Self::Compact(count) => format!("compaction of {count}"),
        };
        format!("{seed}: {what}")
    }

    fn mode(self) -> kv::Mode {
        match self {
            Self::Put(_, _, mode) => mode,
            _ => kv::Mode::Buffered,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Prefix(_) => "reads",
            Self::Compact(_) => "compactions",
            _ => "keys",
        }
    }

    fn bar(self) -> f64 {
        if matches!(self, Self::HotGet) { 1.0 } else { 3.0 }
    }

    fn run(self, peer: &kv::Peer, dir: &Path, budget: Duration) -> Result<f64> {
        let store = (peer.open)(dir, self.mode())?;
        let rate = match self {
            Self::Put(key_len, value_len, _) => {
                let payloads = Payloads::new(value_len, 1000);
                store.put(&key(u64::MAX, key_len), payloads.one(0))?;
                repeat(budget, |at| store.put(&key(at, key_len), payloads.one(at)))?
            }
            Self::HotGet => {
                write(&*store, HOT)?;
                store.settle()?;
                let mut random = kv::work::random(1);
                repeat(budget, |_| {
                    let (number, mut found) = (random(HOT), false);
                    store.get(&key(number, 16), &mut |value| {
                        found = value.starts_with(&number.to_le_bytes());
                    })?;
                    ensure!(found, "key {number} was not found");
                    Ok(())
                })?
            }
            Self::Prefix(count) => {
                write(&*store, count * 10)?;
                store.settle()?;
                repeat(budget, |at| {
                    let found = store.count_prefix(&[u8::try_from(at % 10)?])?;
                    ensure!(found == count, "{found} of {count} keys");
                    Ok(())
                })?
            }
            Self::Compact(count) => {
                write(&*store, count)?;
                write(&*store, count)?;
                let start = Instant::now();
                store.compact(dir)?;
                return Ok(1.0 / start.elapsed().as_secs_f64());
            }
        };
        store.close()?;
        Ok(rate)
    }
}

/// Keys that begin with one of ten bytes in turn.
fn key(number: u64, len: usize) -> Vec<u8> {
    let mut key = kv::work::key(number);
    key.resize(len, 0);
    key[0] = (number % 10) as u8;
    key
}

fn write(store: &dyn OpenStore, count: u64) -> Result<()> {
    let mut payloads = Payloads::new(64, 1000);
    payloads.number(0);
    for number in 0..count {
        let mut value = payloads.one(number).to_vec();
        value[..8].copy_from_slice(&number.to_le_bytes());
        store.put(&key(number, 16), &value)?;
    }
    Ok(())
}

const HIGHTOWER: [KeyWork; 7] = [
    KeyWork::Put(16, 64, kv::Mode::Buffered),
    KeyWork::Put(16, 512, kv::Mode::Buffered),
    KeyWork::Put(32, 4096, kv::Mode::Buffered),
    KeyWork::Put(16, 64, kv::Mode::Durable),
    KeyWork::HotGet,
    KeyWork::Prefix(1000),
    KeyWork::Compact(20_000),
];

const KOTOBA: [KeyWork; 2] = [KeyWork::Put(16, 64, kv::Mode::Buffered), KeyWork::HotGet];

/// Every row of every seed that was asked for.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let logs = [(kawa::peer(), &KAWA[..], "kawa"), (kimberlite::peer(), &KIMBERLITE, "kimberlite")];
    let stores = [
        (kv::hightower::peer(), &HIGHTOWER[..], "hightower"),
        (kv::kotoba::peer(), &KOTOBA, "kotoba"),
    ];
    let names = logs.iter().map(|one| one.0.name).chain(stores.iter().map(|one| one.0.name));
    options.check_names(&names.collect::<Vec<_>>())?;
    for (peer, works, seed) in logs.iter().filter(|one| options.wants(one.0.name)) {
        for work in works.iter().filter(|work| work.name(seed).contains(&options.work)) {
            rows.push(log_row(*work, peer, seed, options)?);
        }
    }
    for (peer, works, seed) in stores.iter().filter(|one| options.wants(one.0.name)) {
        for work in works.iter().filter(|work| work.name(seed).contains(&options.work)) {
            rows.push(store_row(*work, peer, seed, options)?);
        }
    }
    Ok(rows)
}

fn log_row(work: LogWork, peer: &Peer, seed: &str, options: &Options) -> Result<Row> {
    let cairn = Base::Tree.peer();
    let base = (cairn.name, cairn.promise(work.mode()).unwrap_or("-"));
    let promise = (peer.name, peer.promise(work.mode()));
    let mut row = Row::new(work.name(seed), work.unit(), promise, base);
    row.bar = Some(3.0);
    let budget = options.sizes.budget;
    rounds(
        &mut row,
        options,
        |dir| work.run(&cairn, dir, budget),
        |dir| work.run(peer, dir, budget),
    )?;
    Ok(row)
}

fn store_row(work: KeyWork, peer: &kv::Peer, seed: &str, options: &Options) -> Result<Row> {
    let cairn = kv::cairn::with_tree();
    let promise = |peer: &kv::Peer| match work.mode() {
        kv::Mode::Buffered => peer.buffered,
        kv::Mode::Durable => peer.durable,
    };
    let base = (cairn.name, promise(&cairn).unwrap_or("-"));
    let mut row = Row::new(work.name(seed), work.unit(), (peer.name, promise(peer)), base);
    row.bar = Some(work.bar());
    let budget = options.sizes.budget;
    rounds(
        &mut row,
        options,
        |dir| work.run(&cairn, dir, budget),
        |dir| work.run(peer, dir, budget),
    )?;
    Ok(row)
}

fn rounds(
    row: &mut Row,
    options: &Options,
    cairn: impl Fn(&Path) -> Result<f64>,
    other: impl Fn(&Path) -> Result<f64>,
) -> Result<()> {
    eprintln!("{}", row.work);
    for round in 0..options.rounds {
        if row.failure.is_some() {
            break;
        }
        let fresh = || tempfile::Builder::new().prefix("seed-").tempdir_in(&options.dir);
        let (ours, theirs) = (fresh()?, fresh()?);
        let (ours, theirs) = in_turn(
            round,
            || cairn(&ours.path().join("store")),
            || other(&theirs.path().join("store")),
        );
        if let Err(error) = &ours {
            ensure!(error.is::<Cannot>(), "Cairn failed at {}: {error:#}", row.work);
        }
        row.record(ours, theirs);
    }
    Ok(())
}
