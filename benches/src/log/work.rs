//! The work on logs: what is timed, and in which order.

use super::{Mode, OpenLog, Peer};
use crate::measure::{Row, in_turn, repeat, repeat_by_threads};
use crate::options::{Options, Sizes};
use crate::payload::{Checker, Payloads};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Instant;

/// Appends, each to a fresh log.
#[derive(Debug, Clone, Copy)]
enum Append {
    One(Mode),
    Batches(Mode),
    Threads(usize),
}

/// Reads, all from one log that was filled before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    All,
    Random,
    Verified,
    Last10,
    Reopen,
}

const READS: [Read; 5] = [Read::All, Read::Random, Read::Verified, Read::Last10, Read::Reopen];

impl Append {
    fn name(self, sizes: &Sizes) -> String {
        let level = |mode| if mode == Mode::Durable { "synced" } else { "buffered" };
        match self {
            Self::One(mode) => format!("append one at a time, {}", level(mode)),
            Self::Batches(mode) => {
                format!("append batches of {}, {}", sizes.batch_len, level(mode))
            }
            Self::Threads(count) => format!("append one at a time, synced, {count} threads"),
        }
    }

    fn mode(self) -> Mode {
        match self {
            Self::One(mode) | Self::Batches(mode) => mode,
            Self::Threads(_) => Mode::Durable,
        }
    }

    fn run(self, peer: &Peer, dir: &Path, sizes: &Sizes, payloads: &Payloads) -> Result<f64> {
        let log = (peer.open)(dir, self.mode())?;
        let batch = payloads.batch(sizes.batch_len);
        // The first append makes files and syncs what was reserved.
        log.append_one(0, payloads.one(0))?;
        let rate = match self {
            Self::One(_) => repeat(sizes.budget, |at| log.append_one(0, payloads.one(at)))?,
            Self::Batches(_) => {
                sizes.batch_len as f64 * repeat(sizes.budget, |_| log.append_batch(batch))?
            }
            Self::Threads(count) => repeat_by_threads(count, sizes.budget, |thread, at| {
                log.append_one(thread, payloads.one(at))
            })?,
        };
        log.close().context("close")?;
        Ok(rate)
    }
}

impl Read {
    fn name(self, sizes: &Sizes) -> String {
        let of = format!("of {}", sizes.record_count);
        match self {
            Self::All => format!("read all {of} in order"),
            Self::Random => format!("read one at random {of}"),
            Self::Verified => format!("read one at random {of}, chain verified"),
            Self::Last10 => format!("read the last 10 {of}"),
            Self::Reopen => format!("reopen after a clean stop, {} records", sizes.record_count),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Last10 => "reads of 10",
            Self::Reopen => "opens",
            _ => "records",
        }
    }

    fn run(self, log: &dyn OpenLog, sizes: &Sizes) -> Result<f64> {
        let (total, len) = (sizes.record_count, sizes.payload_len);
        let read = |index, count| {
            let mut checker = Checker::new(index, len);
            log.read(index, count, len, &mut checker)?;
            checker.finish(count)
        };
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 20) % total
        };
        match self {
            Self::All => {
                // Once without a clock: checksums that are checked once are checked here.
                read(0, total)?;
                Ok(total as f64 * repeat(sizes.budget, |_| read(0, total))?)
            }
            Self::Random => repeat(sizes.budget, |_| read(random(), 1)),
            Self::Verified => repeat(sizes.budget, |_| {
                let index = random();
                let mut checker = Checker::new(index, len);
                log.read_verified(index, len, &mut checker)?;
                checker.finish(1)
            }),
            Self::Last10 => repeat(sizes.budget, |_| read(total - 10, 10)),
            Self::Reopen => unreachable!("it needs a closed log"),
        }
    }
}

/// Every row: for each kind of work all rounds, in each round each of the others beside Cairn.
pub fn run(options: &Options, others: &[Peer]) -> Result<Vec<Row>> {
    let chosen = |name: &str| name.contains(&options.work);
    let single = [
        Append::One(Mode::Buffered),
        Append::Batches(Mode::Buffered),
        Append::Batches(Mode::Durable),
        Append::One(Mode::Durable),
    ];
    let threads = options.threads.iter().map(|count| Append::Threads(*count));
    let mut rows = Vec::new();
    for append in single.into_iter().chain(threads) {
        if chosen(&append.name(&options.sizes)) {
            rows.extend(appends(append, options, others)?);
        }
    }
    let chosen_reads: Vec<Read> =
        READS.into_iter().filter(|read| chosen(&read.name(&options.sizes))).collect();
    if !chosen_reads.is_empty() {
        rows.extend(reads(&chosen_reads, options, others)?);
    }
    Ok(rows)
}

fn row(work: String, unit: &str, peer: &Peer, mode: Mode) -> Row {
    let base = peer.base.peer();
    let other = (peer.name, peer.promise(mode));
    let mut row = Row::new(work, unit, other, (base.name, base.promise(mode).unwrap_or("-")));
    row.bar = peer.bar;
    row
}

fn fresh_dir(options: &Options) -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("log-").tempdir_in(&options.dir)?)
}

fn appends(append: Append, options: &Options, others: &[Peer]) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    let name = append.name(sizes);
    eprintln!("{name}");
    let payloads = Payloads::new(sizes.payload_len, sizes.batch_len);
    // Cairn's own variants differ in what they do buffered; synced they are the same.
    let others = others.iter().filter(|peer| peer.promise(append.mode()) != Ok(""));
    let mut rows: Vec<(Row, &Peer)> =
        others.map(|peer| (row(name.clone(), "records", peer, append.mode()), peer)).collect();
    for round in 0..options.rounds {
        for (row, peer) in rows.iter_mut().filter(|(row, _)| row.failure.is_none()) {
            let run = |peer: &Peer| {
                let dir = fresh_dir(options)?;
                append.run(peer, &dir.path().join("log"), sizes, &payloads)
            };
            let (cairn, other) = in_turn(round, || run(&peer.base.peer()), || run(peer));
            row.record(cairn, other);
        }
    }
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

/// A log that was filled, with the directory it lies in.
struct Filled {
    log: Box<dyn OpenLog>,
    dir: tempfile::TempDir,
}

impl Filled {
    fn new(peer: &Peer, options: &Options, payloads: &mut Payloads) -> Result<Self> {
        let sizes = &options.sizes;
        let dir = fresh_dir(options)?;
        let log = (peer.open)(&dir.path().join("log"), Mode::Read)?;
        for first in (0..sizes.record_count).step_by(sizes.batch_len) {
            payloads.number(first);
            log.fill(payloads.batch(sizes.batch_len)).context("filling it")?;
        }
        Ok(Self { log, dir })
    }

    /// The rate of opening again, and how many records were still there.
    fn reopen(self, peer: &Peer, sizes: &Sizes) -> Result<(f64, Result<u64>)> {
        self.log.close().context("close")?;
        let start = Instant::now();
        let log = (peer.open)(&self.dir.path().join("log"), Mode::Read).context("open")?;
        let elapsed = start.elapsed();
        let found = log.count_reopened(sizes.record_count, sizes.payload_len);
        Ok((1.0 / elapsed.as_secs_f64(), found))
    }
}

fn reads(reads: &[Read], options: &Options, others: &[Peer]) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    let mut payloads = Payloads::new(sizes.payload_len, sizes.batch_len);
    let mut rows: Vec<Vec<Row>> = reads
        .iter()
        .map(|read| {
            let others =
                others.iter().map(|peer| row(read.name(sizes), read.unit(), peer, Mode::Read));
            others.collect()
        })
        .collect();
    for round in 0..options.rounds {
        for (at, peer) in others.iter().enumerate() {
            if rows.iter().all(|rows| rows[at].failure.is_some()) {
                continue;
            }
            eprintln!("reads, round {}, {}", round + 1, peer.name);
            let cairn = Filled::new(&peer.base.peer(), options, &mut payloads)?;
            let other = match Filled::new(peer, options, &mut payloads) {
                Ok(other) => other,
                Err(error) => {
                    let reason = format!("{error:#}");
                    rows.iter_mut().for_each(|rows| rows[at].failure = Some(reason.clone()));
                    continue;
                }
            };
            for (read, rows) in reads.iter().zip(&mut rows) {
                let row = &mut rows[at];
                if *read != Read::Reopen && row.failure.is_none() {
                    let run = |log: &Filled| read.run(&*log.log, sizes);
                    let (cairn, other) = in_turn(round, || run(&cairn), || run(&other));
                    row.record(cairn, other);
                }
            }
            if let Some(found) = reads.iter().position(|read| *read == Read::Reopen) {
                reopen(
                    &mut rows[found][at],
                    round,
                    sizes,
                    (cairn, peer.base.peer()),
                    (other, *peer),
                );
            }
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

fn reopen(
    row: &mut Row,
    round: usize,
    sizes: &Sizes,
    (cairn, base): (Filled, Peer),
    (other, peer): (Filled, Peer),
) {
    if row.failure.is_some() {
        return;
    }
    let (cairn, other) =
        in_turn(round, || cairn.reopen(&base, sizes), || other.reopen(&peer, sizes));
    let complete = |outcome: Result<(f64, Result<u64>)>| {
        let (rate, found) = outcome?;
        let found = found.context("reading it again")?;
        anyhow::ensure!(found == sizes.record_count, "opened, but {found} records were there");
        Ok(rate)
    };
    // An open that loses the records has a rate too, but not of the same work.
    if let Ok((rate, found)) = &other
        && found.as_ref().is_ok_and(|found| *found < sizes.record_count)
    {
        row.note = Some(format!("it opened at {rate:.1} a second"));
    }
    row.record(complete(cairn), complete(other));
    if row.failure.is_none() {
        row.note = Some("all records there".into());
    }
}
