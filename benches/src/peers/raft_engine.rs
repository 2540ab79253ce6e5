//! raft-engine: many raft groups in one log; one group here, one per thread when contended.

use super::{Level, LogUnderTest, Peer};
use anyhow::{Context, Result};
use protobuf::descriptor::UninterpretedOption as Entry;
use raft_engine::{Config, Engine, LogBatch, MessageExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Threads that may append at once, each to its own group.
const THREAD_COUNT_MAX: usize = 256;

/// Any message with an integer and bytes will do for an entry.
struct Indexed;

impl MessageExt for Indexed {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.get_positive_int_value()
    }
}

struct RaftEngine {
    engine: Engine,
    next: Vec<AtomicU64>,
    durable: bool,
}

pub fn peer() -> Peer {
    Peer {
        name: "raft-engine",
        buffered: Some("not synced"),
        durable: Some("fdatasync per write, shared by threads"),
        open,
    }
}

fn open(dir: &Path, level: Level) -> Result<Box<dyn LogUnderTest>> {
    let dir = dir.to_str().context("the directory's name is not UTF-8")?.to_owned();
    let engine = Engine::open(Config { dir, ..Config::default() })?;
    let next_index = |group: usize| engine.last_index(group as u64 + 1).unwrap_or(0) + 1;
    let next = (0..THREAD_COUNT_MAX).map(|group| AtomicU64::new(next_index(group))).collect();
    Ok(Box::new(RaftEngine { engine, next, durable: level == Level::Durable }))
}

impl RaftEngine {
    fn append<'a>(
        &self,
        group: usize,
        payloads: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<()> {
        let first = self.next[group].fetch_add(payloads.len() as u64, Ordering::Relaxed);
        let entry = |(index, payload): (u64, &[u8])| {
            let mut entry = Entry::new();
            entry.set_positive_int_value(index);
            entry.set_string_value(payload.to_vec());
            entry
        };
        let entries: Vec<Entry> = (first..).zip(payloads).map(entry).collect();
        let mut batch = LogBatch::with_capacity(1);
        batch.add_entries::<Indexed>(group as u64 + 1, &entries)?;
        self.engine.write(&mut batch, self.durable)?;
        Ok(())
    }
}

impl LogUnderTest for RaftEngine {
    fn append_one(&self, payload: &[u8]) -> Result<()> {
        self.append(0, std::iter::once(payload))
    }

    fn append_from(&self, thread: usize, payload: &[u8]) -> Result<()> {
        self.append(thread % THREAD_COUNT_MAX, std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(0, payloads.iter().map(Vec::as_slice))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.engine.sync()?)
    }

    fn read_from(&self, index: u64, count_max: u64) -> Result<(u64, u64)> {
        let end = self.engine.last_index(1).context("the log is empty")?.min(index + count_max) + 1;
        let (mut count, mut len) = (0, 0);
        let mut entries = Vec::new();
        let mut from = index + 1;
        let end = end.min(from + count_max);
        while from < end {
            let to = end.min(from + 1000);
            entries.clear();
            self.engine.fetch_entries_to::<Indexed>(1, from, to, None, &mut entries)?;
            count += entries.len() as u64;
            len += entries.iter().map(|e| e.get_string_value().len() as u64).sum::<u64>();
            from = to;
        }
        Ok((count, len))
    }
}
