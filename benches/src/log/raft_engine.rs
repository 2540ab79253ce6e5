//! raft-engine: many raft groups in one log; one group here, one per thread when contended.

use super::{Base, Mode, OpenLog, Peer};
use crate::payload::Checker;
use anyhow::{Context, Result};
use protobuf::descriptor::UninterpretedOption as Entry;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Threads that may append at once, each to its own group.
const THREAD_COUNT_MAX: usize = 256;
/// Entries fetched in one call.
const FETCH_COUNT: u64 = 1000;

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
        buffered: Ok("written to the OS, never synced; CRC"),
        durable: Ok("fdatasync before each acknowledgement, shared by threads; CRC"),
        read: "entries decoded, CRC checked",
        base: Base::Log,
        bar: Some(1.0),
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenLog>> {
    let dir = dir.to_str().context("the directory's name is not UTF-8")?.to_owned();
    // Nobody compresses here: it would only find that it cannot.
    let batch_compression_threshold = ReadableSize(0);
    let config = Config { dir, batch_compression_threshold, ..Config::default() };
    let engine = Engine::open(config)?;
    let next_index = |group: usize| engine.last_index(group as u64 + 1).unwrap_or(0) + 1;
    let next = (0..THREAD_COUNT_MAX).map(|group| AtomicU64::new(next_index(group))).collect();
    Ok(Box::new(RaftEngine { engine, next, durable: mode == Mode::Durable }))
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

impl OpenLog for RaftEngine {
    fn append_one(&self, thread: usize, payload: &[u8]) -> Result<()> {
        self.append(thread % THREAD_COUNT_MAX, std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(0, payloads.iter().map(Vec::as_slice))
    }

    fn read(&self, index: u64, count: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        // Its indexes begin at 1.
        let last = self.engine.last_index(1).context("the log is empty")?;
        let end = (index + 1 + count).min(last + 1);
        let mut entries = Vec::new();
        let mut from = index + 1;
        while from < end {
            let to = end.min(from + FETCH_COUNT);
            entries.clear();
            self.engine.fetch_entries_to::<Indexed>(1, from, to, None, &mut entries)?;
            entries.iter().for_each(|entry| checker.take(entry.get_string_value()));
            from = to;
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.engine.sync()?)
    }
}
