//! commitlog: segments and a mapped index, one writer; threads take turns.

use super::{Base, Mode, OpenLog, Peer};
use crate::payload::Checker;
use anyhow::{Context, Result, anyhow};
use commitlog::message::{MessageBuf, MessageSet};
use commitlog::{CommitLog, LogOptions, ReadLimit};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes read in one call at most.
const READ_LEN_MAX: usize = 256 << 10;
/// Bytes it stores beside each payload.
const HEADER_LEN: usize = 20;

struct OneWriter(Mutex<CommitLog>);

pub fn peer() -> Peer {
    Peer {
        name: "commitlog",
        buffered: Ok("written to the OS, never synced; CRC"),
        durable: Err("its `flush` syncs the index but never the records"),
        read: "copied into a buffer, CRC checked",
        base: Base::Log,
        bar: Some(1.0),
        open,
    }
}

fn open(dir: &Path, _mode: Mode) -> Result<Box<dyn OpenLog>> {
    let mut options = LogOptions::new(dir);
    options.segment_max_bytes(256 << 20).message_max_bytes(8 << 20);
    Ok(Box::new(OneWriter(Mutex::new(CommitLog::new(options)?))))
}

impl OneWriter {
    fn lock(&self) -> MutexGuard<'_, CommitLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append<'a>(&self, payloads: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut messages = MessageBuf::default();
        for payload in payloads {
            messages.push(payload).map_err(|error| anyhow!("{error:?}"))?;
        }
        self.lock().append(&mut messages).map_err(|error| anyhow!("{error:?}"))?;
        Ok(())
    }
}

impl OpenLog for OneWriter {
    fn append_one(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        self.append(std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(payloads.iter().map(Vec::as_slice))
    }

    fn read(&self, index: u64, count: u64, len: usize, checker: &mut Checker) -> Result<()> {
        let log = self.lock();
        while checker.count < count {
            let missing = usize::try_from(count - checker.count)?;
            let wanted = missing.checked_mul(HEADER_LEN + len).context("too many bytes")?;
            // One more: at the log's end it refuses a limit that fits exactly.
            let limit = ReadLimit::max_bytes(wanted.min(READ_LEN_MAX) + 1);
            let from = index + checker.count;
            let messages = log.read(from, limit).map_err(|error| anyhow!("{error:?}"))?;
            if messages.is_empty() {
                break;
            }
            messages.iter().for_each(|message| checker.take(message.payload()));
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.lock().flush()?)
    }
}
