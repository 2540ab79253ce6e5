//! Cairn's log: chain and checksum always on.

use super::{Level, LogUnderTest, Peer};
use anyhow::Result;
use cairn_segment::{Draft, Log, LogConfig, RecordDraft, RecordKind};
use cairn_types::{Durability, StreamId};
use cairn_vfs::StdVfs;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

const STREAM: StreamId = StreamId::new(1);

thread_local! {
    static DRAFT: RefCell<Draft> = RefCell::new(Draft::new());
}

struct Cairn(Log);

pub fn peer() -> Peer {
    Peer {
        name: "cairn",
        buffered: Some("written, synced within 1 s"),
        durable: Some("fdatasync before each acknowledgement, shared by threads"),
        open,
    }
}

fn open(dir: &Path, level: Level) -> Result<Box<dyn LogUnderTest>> {
    let durability = match level {
        Level::Buffered => Durability::Buffered,
        Level::Durable => Durability::Sync,
    };
    let config = LogConfig { durability, ..LogConfig::default() };
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

impl LogUnderTest for Cairn {
    fn append_one(&self, payload: &[u8]) -> Result<()> {
        self.append(std::iter::once(payload))
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(payloads.iter().map(Vec::as_slice))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.0.sync()?)
    }

    fn read_from(&self, index: u64, count_max: u64) -> Result<(u64, u64)> {
        let mut scan = self.0.scan_stream(STREAM, index);
        let (mut count, mut len) = (0, 0);
        while count < count_max {
            let Some(record) = scan.next_record()? else { break };
            count += 1;
            len += record.payload().map_or(0, <[u8]>::len) as u64;
        }
        Ok((count, len))
    }
}
