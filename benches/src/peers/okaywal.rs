//! okaywal: every commit is synced; the caller keeps the positions of what it wrote.

use super::{Level, LogUnderTest, Peer};
use anyhow::{Context, Result};
use okaywal::{Configuration, Entry, EntryId, LogManager, LogPosition, SegmentReader};
use okaywal::{ReadChunkResult, WriteAheadLog};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Reads every entry back at open and never has anything to checkpoint.
#[derive(Debug)]
struct Manager;

impl LogManager for Manager {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        while let ReadChunkResult::Chunk(mut chunk) = entry.read_chunk()? {
            chunk.read_all()?;
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
}

pub fn peer() -> Peer {
    Peer {
        name: "okaywal",
        buffered: None,
        durable: Some("fdatasync per commit, shared by threads"),
        open,
    }
}

fn open(dir: &Path, _level: Level) -> Result<Box<dyn LogUnderTest>> {
    // With its defaults it recycles, and so forgets, all beyond 768 KB.
    let config = Configuration::default_for(dir).checkpoint_after_bytes(1 << 40);
    Ok(Box::new(OkayWal { log: config.open(Manager)?, positions: Mutex::default() }))
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

impl LogUnderTest for OkayWal {
    fn append_one(&self, payload: &[u8]) -> Result<()> {
        self.append(std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(payloads.iter().map(Vec::as_slice))
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn read_from(&self, index: u64, count_max: u64) -> Result<(u64, u64)> {
        let positions = self.positions();
        let rest = positions.get(usize::try_from(index)?..).context("positions lost at reopen")?;
        let (mut count, mut len) = (0, 0);
        let mut buffer = Vec::new();
        for position in rest.iter().take(usize::try_from(count_max).unwrap_or(usize::MAX)) {
            buffer.clear();
            len += self.log.read_at(*position)?.read_to_end(&mut buffer)? as u64;
            count += 1;
        }
        Ok((count, len))
    }
}
