//! Cairn's log: hash chain and checksums always on.

use super::{Base, Mode, OpenLog, Peer};
use crate::payload::Checker;
use anyhow::{Context, Result};
use cairn_segment::{CheckpointPolicy, Draft, Log, LogConfig, RecordDraft, RecordKind};
use cairn_types::{Durability, StreamId};
use cairn_vfs::StdVfs;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const STREAM: StreamId = StreamId::new(1);

thread_local! {
    static DRAFT: RefCell<Draft> = RefCell::new(Draft::new());
}

struct Cairn(Log);

/// The log as others are compared with: unsynced where they are unsynced.
pub fn peer() -> Peer {
    Peer {
        name: "cairn-segment",
        buffered: Ok("written to the OS, never synced meanwhile; chain and CRC"),
        durable: Ok("fdatasync before each acknowledgement, shared by threads; chain and CRC"),
        read: "CRC of a batch checked at its first read",
        base: Base::Log,
        bar: None,
        open: |dir, mode| open(dir, config(mode)),
    }
}

/// The log with the settings a user gets.
pub fn synced_behind() -> Peer {
    Peer {
        name: "cairn-segment with defaults",
        buffered: Ok("written to the OS, synced behind within 1 s or 16 MiB"),
        durable: Ok(""),
        open: |dir, mode| {
            open(dir, LogConfig { durability: durability(mode), ..LogConfig::default() })
        },
        ..peer()
    }
}

fn durability(mode: Mode) -> Durability {
    match mode {
        Mode::Buffered | Mode::Read => Durability::Buffered,
        Mode::Durable => Durability::Sync,
    }
}

/// Settings that promise what the others promise.
pub fn config(mode: Mode) -> LogConfig {
    let mut config = LogConfig { durability: durability(mode), ..LogConfig::default() };
    if mode != Mode::Durable {
        config.sync_interval = Duration::from_secs(3600);
        config.unsynced_len_max = u64::MAX;
    }
    if mode == Mode::Read {
        config.checkpoint = CheckpointPolicy { records: Some(1000), interval: None };
    }
    config
}

fn open(dir: &Path, config: LogConfig) -> Result<Box<dyn OpenLog>> {
    let vfs = Arc::new(StdVfs::create(dir)?);
    Ok(Box::new(Cairn(Log::options().vfs(vfs).config(config).open()?)))
}

impl Cairn {
    fn append<'a>(&self, payloads: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        DRAFT.with_borrow_mut(|draft| {
            draft.clear();
            for payload in payloads {
                draft.push(RecordDraft::new(RecordKind::USER, STREAM), payload)?;
            }
            self.0.append(draft)?;
            Ok(())
        })
    }
}

impl OpenLog for Cairn {
    fn append_one(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        self.append(std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(payloads.iter().map(Vec::as_slice))
    }

    fn read(&self, index: u64, count: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let mut scan = self.0.scan_stream(STREAM, index);
        while checker.count < count {
            let Some(record) = scan.next_record()? else { break };
            checker.take(record.payload().context("its payload is gone")?);
        }
        Ok(())
    }

    fn read_verified(&self, index: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let lsn = self.0.read_stream(STREAM, index)?.lsn;
        let verified = self.0.read_verified(lsn)?;
        checker.take(&verified.record.payload.context("its payload is gone")?);
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
