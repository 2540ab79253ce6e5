//! okaywal: every commit is synced; the caller keeps the positions of what it wrote.

use super::{Base, Mode, OpenLog, Peer};
use crate::payload::Checker;
use anyhow::{Context, Result, ensure};
use okaywal::{Configuration, Entry, EntryId, LogManager, LogPosition, SegmentReader};
use okaywal::{ReadChunkResult, WriteAheadLog};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// It reserves this much by writing zeroes, as far as any row here gets in its time.
const RESERVED_LEN: u32 = 64 << 20;

/// Reads every entry back at open, counts them, and never has anything to checkpoint.
#[derive(Debug)]
struct Manager(Arc<AtomicU64>);

impl LogManager for Manager {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        while let ReadChunkResult::Chunk(mut chunk) = entry.read_chunk()? {
            chunk.read_all()?;
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _last: EntryId,
        _entries: &mut SegmentReader,
        _wal: &WriteAheadLog,
    ) -> io::Result<()> {
        Ok(())
    }
}

struct OkayWal {
    log: WriteAheadLog,
    positions: Mutex<Vec<LogPosition>>,
    recovered: Arc<AtomicU64>,
}

pub fn peer() -> Peer {
    Peer {
        name: "okaywal",
        buffered: Err("every commit is synced"),
        durable: Ok("fdatasync before each acknowledgement, shared by threads; CRC"),
        read: "by a position the caller kept, the file opened each time; CRC checked",
        base: Base::Log,
        bar: Some(1.0),
        open,
    }
}

fn open(dir: &Path, _mode: Mode) -> Result<Box<dyn OpenLog>> {
    // With its defaults it recycles, and so forgets, all beyond 768 KB.
    let config = Configuration::default_for(dir)
        .checkpoint_after_bytes(1 << 40)
        .preallocate_bytes(RESERVED_LEN);
    let recovered = Arc::new(AtomicU64::new(0));
    let log = config.open(Manager(Arc::clone(&recovered)))?;
    Ok(Box::new(OkayWal { log, positions: Mutex::default(), recovered }))
}

impl OkayWal {
    fn positions(&self) -> MutexGuard<'_, Vec<LogPosition>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append<'a>(&self, payloads: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut writer = self.log.begin_entry()?;
        let mut written = Vec::with_capacity(payloads.size_hint().0);
        for payload in payloads {
            written.push(writer.write_chunk(payload)?.position);
        }
        writer.commit()?;
        self.positions().extend(written);
        Ok(())
    }
}

impl OpenLog for OkayWal {
    fn append_one(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        self.append(std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(payloads.iter().map(Vec::as_slice))
    }

    fn read(&self, index: u64, count: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let positions = self.positions();
        let rest = positions.get(usize::try_from(index)?..).context("positions are lost")?;
        let mut buffer = Vec::new();
        for position in rest.iter().take(usize::try_from(count)?) {
            buffer.clear();
            let mut chunk = self.log.read_at(*position)?;
            chunk.read_to_end(&mut buffer)?;
            ensure!(chunk.crc_is_valid()?, "a CRC is wrong");
            checker.take(&buffer);
        }
        Ok(())
    }

    /// Positions do not outlive the process, but recovery hands every entry over.
    fn count_reopened(&self, _count: u64, _payload_len: usize) -> Result<u64> {
        Ok(self.recovered.load(Ordering::Relaxed))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.log.shutdown()?)
    }
}
