//! Logs: what each must be able to do, and which there are.

mod cairn;
mod commitlog;
pub mod kawa;
pub mod kimberlite;
mod okaywal;
mod raft_engine;
mod topics;
mod work;

#[cfg(feature = "kv")]
pub use cairn::config as cairn_config;

use crate::measure::{Cannot, Row};
use crate::options::Options;
use crate::payload::Checker;
use anyhow::Result;
use std::path::Path;

/// What a log is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An acknowledgement promises no more than that a read finds the record.
    Buffered,
    /// An acknowledgement means that the record was synced to the disk.
    Durable,
    /// As `Buffered`, with a checkpoint for verified reads every batch where there are any.
    Read,
}

/// One open log.
pub trait OpenLog: Send + Sync {
    /// Appends one record as durably as the log was opened for. Threads that append at once
    /// have different numbers.
    fn append_one(&self, thread: usize, payload: &[u8]) -> Result<()>;

    /// Appends all records in one call, as durably as the log was opened for.
    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()>;

    /// As `append_batch`, for the log that will be read.
    fn fill(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append_batch(payloads)
    }

    /// Hands `count` records from an index on to the checker.
    fn read(&self, index: u64, count: u64, payload_len: usize, checker: &mut Checker)
    -> Result<()>;

    /// Hands one record to the checker after verifying the hash chain up to it.
    fn read_verified(&self, _index: u64, _payload_len: usize, _: &mut Checker) -> Result<()> {
        Err(Cannot("it has no verified read").into())
    }

    /// How many of `count` records are still there after it was opened again.
    fn count_reopened(&self, count: u64, payload_len: usize) -> Result<u64> {
        let mut checker = Checker::new(0, payload_len);
        self.read(0, count, payload_len, &mut checker)?;
        Ok(checker.count)
    }

    /// Waits until whatever goes on behind is done; only Cairn's tree does.
    #[cfg(feature = "kv")]
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Stops it the clean way.
    fn close(self: Box<Self>) -> Result<()>;
}

/// A log that can be opened, and what its acknowledgements mean.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub name: &'static str,
    /// What `Mode::Buffered` promises, or why there is no such mode.
    pub buffered: Result<&'static str, &'static str>,
    /// What `Mode::Durable` promises, or why there is no such mode.
    pub durable: Result<&'static str, &'static str>,
    /// What it does to a record before it hands it out.
    pub read: &'static str,
    /// The part of Cairn that does the same work.
    pub base: Base,
    /// The ratio that Cairn has to reach.
    pub bar: Option<f64>,
    pub open: fn(&Path, Mode) -> Result<Box<dyn OpenLog>>,
}

/// A part of Cairn that others are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The log alone: streams of records.
    Log,
    /// Topics of the engine: events with ids, times and partitions.
    Topics,
    /// Topics with a tree that follows.
    #[cfg(feature = "kv")]
    Tree,
}

impl Base {
    pub fn peer(self) -> Peer {
        match self {
            Self::Log => cairn::peer(),
            Self::Topics => topics::peer(),
            #[cfg(feature = "kv")]
            Self::Tree => topics::with_tree(),
        }
    }
}

impl Peer {
    /// What an append promises, or why it is not offered.
    pub fn promise(&self, mode: Mode) -> Result<&'static str, &'static str> {
        match mode {
            Mode::Buffered => self.buffered,
            Mode::Durable => self.durable,
            Mode::Read => Ok(self.read),
        }
    }
}

/// All others, with two rows that show what Cairn's own parts cost.
fn others() -> Vec<Peer> {
    vec![
        kawa::peer(),
        kimberlite::peer(),
        raft_engine::peer(),
        okaywal::peer(),
        commitlog::peer(),
        cairn::synced_behind(),
        topics::beside_the_log(),
    ]
}

/// Runs all rows that the options choose.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let mut others = others();
    options.check_names(&others.iter().map(|peer| peer.name).collect::<Vec<_>>())?;
    others.retain(|peer| options.wants(peer.name));
    work::run(options, &others)
}
