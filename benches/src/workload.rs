//! The work: what is timed, and for how long.

use crate::peers::{Level, LogUnderTest, Peer};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// How much work a run does.
#[derive(Clone)]
pub struct Sizes {
    pub payload_len: usize,
    /// Records in the log that is read and reopened.
    pub record_count: u64,
    /// Time after which a repeated operation stops.
    pub budget: Duration,
}

/// One row of the report.
#[derive(Clone, Copy)]
pub enum Workload {
    Batches,
    OneBuffered,
    OneDurable,
    Threads(usize),
    ReadAll,
    ReadRandom,
    ReadLast,
    Reopen,
}

pub const ALL: [Workload; 10] = [
    Workload::Batches,
    Workload::OneBuffered,
    Workload::OneDurable,
    Workload::Threads(8),
    Workload::Threads(32),
    Workload::Threads(128),
    Workload::ReadAll,
    Workload::ReadRandom,
    Workload::ReadLast,
    Workload::Reopen,
];

impl Workload {
    pub fn name(self) -> String {
        match self {
            Self::Batches => "append, batches of 1,000, buffered".into(),
            Self::OneBuffered => "append, one at a time, buffered".into(),
            Self::OneDurable => "append, one at a time, durable".into(),
            Self::Threads(count) => format!("append, durable, {count} threads"),
            Self::ReadAll => "read all, page cache".into(),
            Self::ReadRandom => "read one at random".into(),
            Self::ReadLast => "read the last 10".into(),
            Self::Reopen => "reopen, clean".into(),
        }
    }

    /// Unit of the rate: all figures are per second, more is better.
    pub fn unit(self) -> &'static str {
        match self {
            Self::ReadLast => "reads of 10/s",
            Self::Reopen => "opens/s",
            _ => "records/s",
        }
    }

    pub fn level(self) -> Level {
        match self {
            Self::OneDurable | Self::Threads(_) => Level::Durable,
            _ => Level::Buffered,
        }
    }

    /// Only appends differ by level: what cannot run unsynced may still be read.
    pub fn appends(self) -> bool {
        matches!(self, Self::Batches | Self::OneBuffered | Self::OneDurable | Self::Threads(_))
    }

    /// Runs the work on a fresh log in an empty directory: the rate per second.
    pub fn run(self, peer: &Peer, dir: &Path, sizes: &Sizes) -> Result<f64> {
        let log = (peer.open)(dir, self.level())?;
        let payloads = vec![vec![7_u8; sizes.payload_len]; 1000];
        match self {
            Self::Batches => Ok(1000.0 * repeat(sizes.budget, |_| log.append_batch(&payloads))?),
            Self::OneBuffered | Self::OneDurable => {
                repeat(sizes.budget, |_| log.append_one(&payloads[0]))
            }
            Self::Threads(count) => threads(&*log, count, &payloads[0], sizes.budget),
            _ => {
                fill(&*log, &payloads, sizes.record_count)?;
                self.run_reads(log, peer, dir, sizes)
            }
        }
    }

    fn run_reads(
        self,
        log: Box<dyn LogUnderTest>,
        peer: &Peer,
        dir: &Path,
        sizes: &Sizes,
    ) -> Result<f64> {
        let total = sizes.record_count;
        match self {
            Self::ReadAll => {
                read_exactly(&*log, 0, total, sizes)?;
                Ok(total as f64 * repeat(sizes.budget, |_| read_exactly(&*log, 0, total, sizes))?)
            }
            Self::ReadRandom => {
                let mut state = 1_u64;
                repeat(sizes.budget, |_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let (count, _) = log.read_from((state >> 20) % total, 1)?;
                    ensure!(count >= 1, "a record was not found");
                    Ok(())
                })
            }
            Self::ReadLast => repeat(sizes.budget, |_| read_exactly(&*log, total - 10, 10, sizes)),
            _ => {
                log.sync()?;
                drop(log);
                let start = Instant::now();
                let log = (peer.open)(dir, Level::Buffered).context("reopen")?;
                let elapsed = start.elapsed();
                // okaywal has no way to read by index what an earlier process wrote.
                if peer.buffered.is_some() {
                    read_exactly(&*log, 0, total, sizes).context("after reopen")?;
                }
                Ok(1.0 / elapsed.as_secs_f64())
            }
        }
    }
}

fn fill(log: &dyn LogUnderTest, payloads: &[Vec<u8>], count: u64) -> Result<()> {
    for _ in 0..count / 1000 {
        log.fill(payloads)?;
    }
    Ok(())
}

fn read_exactly(log: &dyn LogUnderTest, index: u64, count: u64, sizes: &Sizes) -> Result<()> {
    let (found, len) = log.read_from(index, count)?;
    ensure!(found == count, "{found} of {count} records readable");
    ensure!(len == count * sizes.payload_len as u64, "payloads of another length");
    Ok(())
}

/// Repeats an operation until the time is over: how often a second. The clock is asked
/// rarely enough to cost nothing and often enough that slow operations do not overrun.
fn repeat(budget: Duration, mut operation: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    let (mut done, mut stride) = (0_u64, 1_u64);
    loop {
        for _ in 0..stride {
            operation(done)?;
            done += 1;
        }
        let elapsed = start.elapsed();
        if elapsed >= budget {
            return Ok(done as f64 / elapsed.as_secs_f64());
        }
        if elapsed < budget / 8 {
            stride = (stride * 2).min(4096);
        } else {
            let left = (budget - elapsed).as_secs_f64() / elapsed.as_secs_f64();
            stride = stride.min(((done as f64 * left) as u64).max(1));
        }
    }
}

fn threads(log: &dyn LogUnderTest, count: usize, payload: &[u8], budget: Duration) -> Result<f64> {
    let start = Instant::now();
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .map(|thread| {
                scope.spawn(move || {
                    let mut done = 0_u64;
                    while start.elapsed() < budget {
                        log.append_from(thread, payload)?;
                        done += 1;
                    }
                    anyhow::Ok(done)
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().expect("a worker does not panic")).sum::<Result<u64>>()
    })?;
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
