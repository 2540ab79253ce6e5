//! commitlog: segments and a mapped index, one writer.

use super::{Level, LogUnderTest, Peer};
use anyhow::{Result, anyhow};
use commitlog::message::{MessageBuf, MessageSet};
use commitlog::{CommitLog, LogOptions, ReadLimit};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes read in one call.
const READ_LEN: usize = 256 << 10;
/// Bytes it stores beside each payload.
const HEADER_LEN: usize = 20;

struct Peered(Mutex<CommitLog>);

pub fn peer() -> Peer {
    Peer {
        name: "commitlog",
        buffered: Some("not synced"),
        // Its flush hands nothing to the disk: no sync call is ever made.
        durable: None,
        open,
    }
}

fn open(dir: &Path, _: Level) -> Result<Box<dyn LogUnderTest>> {
    let mut options = LogOptions::new(dir);
    options.segment_max_bytes(256 << 20).message_max_bytes(8 << 20);
    Ok(Box::new(Peered(Mutex::new(CommitLog::new(options)?))))
}

impl Peered {
    fn lock(&self) -> MutexGuard<'_, CommitLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append<'a>(&self, payloads: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut messages = MessageBuf::default();
        for payload in payloads {
            messages.push(payload).map_err(|e| anyhow!("{e:?}"))?;
        }
        self.lock().append(&mut messages).map_err(|e| anyhow!("{e:?}"))?;
        Ok(())
    }
}

impl LogUnderTest for Peered {
    fn append_one(&self, payload: &[u8]) -> Result<()> {
        self.append(std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(payloads.iter().map(Vec::as_slice))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.lock().flush()?)
    }

    fn read_from(&self, index: u64, count_max: u64) -> Result<(u64, u64)> {
        let log = self.lock();
        let (mut count, mut len) = (0, 0);
        // A limit below one message finds nothing: room for one of the largest measured.
        let read_len = if count_max == 1 { HEADER_LEN + 1024 } else { READ_LEN };
        while count < count_max {
            let limit = ReadLimit::max_bytes(read_len);
            let messages = log.read(index + count, limit).map_err(|e| anyhow!("{e:?}"))?;
            if messages.is_empty() {
                break;
            }
            for message in messages.iter() {
                count += 1;
                len += message.payload().len() as u64;
            }
        }
        Ok((count, len))
    }
}
