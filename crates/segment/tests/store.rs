//! A small log in memory, and drafts for it.

use cairn_segment::*;
use cairn_types::StreamId;
use cairn_vfs::{ManualClock, MemVfs, SeededRng, Vfs};
use std::sync::Arc;

pub fn config() -> LogConfig {
    LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() }
}

pub fn open_with(vfs: &MemVfs, config: LogConfig) -> Result<Log> {
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let clock = Arc::new(ManualClock::default());
    Log::options().vfs(vfs).clock(clock).rng(Arc::new(SeededRng::new(1))).config(config).open()
}

pub fn open(vfs: &MemVfs) -> Log {
    open_with(vfs, config()).expect("opens")
}

pub fn draft(stream: u32, payloads: &[&[u8]]) -> Draft {
    let mut draft = Draft::new();
    for payload in payloads {
        draft
            .push(RecordDraft::new(RecordKind::USER, StreamId::new(stream)), payload)
            .expect("fits");
    }
    draft
}

/// Payloads of all records but checkpoints.
pub fn all(log: &Log) -> Vec<Vec<u8>> {
    let mut scan = log.scan(log.start_lsn());
    let mut payloads = Vec::new();
    while let Some(record) = scan.next_record().expect("reads") {
        if record.view.kind != RecordKind::CHECKPOINT {
            payloads.push(record.payload().expect("there").to_vec());
        }
    }
    payloads
}
