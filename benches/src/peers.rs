//! The logs that are compared, behind one trait, and how durable each really is.

mod cairn;
mod commitlog;
mod kawa;
mod kimberlite;
mod okaywal;
mod raft_engine;

use anyhow::Result;
use std::path::Path;

/// What an acknowledged append is asked to survive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The data may still be in memory.
    Buffered,
    /// The data was synced to the disk.
    Durable,
}

/// One open log.
pub trait LogUnderTest: Send + Sync {
    /// Appends one record at the level the log was opened with.
    fn append_one(&self, payload: &[u8]) -> Result<()>;
    /// As `append_one`, by one of many threads at once.
    fn append_from(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        self.append_one(payload)
    }
    /// Appends all records in one call.
    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()>;
    /// Fills the log that is read afterwards.
    fn fill(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append_batch(payloads)
    }
    /// Hands everything to the disk.
    fn sync(&self) -> Result<()>;
    /// Reads up to `count_max` records from an index on: how many, and their bytes.
    fn read_from(&self, index: u64, count_max: u64) -> Result<(u64, u64)>;
}

/// A log that can be opened, and what its acknowledgements mean.
pub struct Peer {
    pub name: &'static str,
    /// What it does at [`Level::Buffered`]; `None` when it cannot run unsynced.
    pub buffered: Option<&'static str>,
    /// What it does at [`Level::Durable`]; `None` when it never syncs.
    pub durable: Option<&'static str>,
    pub open: fn(&Path, Level) -> Result<Box<dyn LogUnderTest>>,
}

impl Peer {
    /// What an acknowledgement means at a level.
    pub fn label(&self, level: Level) -> Option<&'static str> {
        match level {
            Level::Buffered => self.buffered,
            Level::Durable => self.durable,
        }
    }
}

/// Cairn first, then all others.
pub fn all() -> Vec<Peer> {
    vec![
        cairn::peer(),
        kawa::peer(),
        kimberlite::peer(),
        raft_engine::peer(),
        okaywal::peer(),
        commitlog::peer(),
    ]
}
