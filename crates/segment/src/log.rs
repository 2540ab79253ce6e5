//! The log as its users hold it.

mod background;
mod follow;
mod open;
mod reading;
mod writing;

use std::sync::Arc;

use cairn_types::{ChainHash, Lsn};
use cairn_vfs::VfsLock;

pub(crate) use open::LOCK_PATH;
pub use open::LogOptions;

use crate::RecoveryReport;
use crate::append::{Append, Watermarks};
use crate::read::Batches;
use crate::segments::Segments;
use crate::store::Store;
use crate::watch::Listeners;

/// A verified, segmented, append-only log. Clones share it; the last one to go closes it.
///
/// ```
/// use cairn_segment::{Draft, Log, RecordDraft, RecordKind};
/// use cairn_types::StreamId;
/// let dir = tempfile::tempdir()?;
/// let log = Log::open(dir.path().join("store"))?;
/// let mut draft = Draft::new();
/// draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), b"stone")?;
/// let appended = log.append(&draft)?;
/// let record = log.read(appended.first_lsn)?;
/// assert_eq!(record.payload.as_deref(), Some(b"stone".as_slice()));
/// assert!(log.verify(&Default::default())?.is_intact());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
}

/// What all handles of one open log share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) marks: Arc<Watermarks>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) batches: Batches,
    /// `None` when the log was opened for reading only.
    pub(crate) append: Option<Arc<Append>>,
    pub(crate) report: RecoveryReport,
    /// Held while segments are dropped or replaced: one such work at a time.
    pub(crate) maintenance: std::sync::Mutex<()>,
    pub(crate) background: background::Background,
    pub(crate) read_only_head: std::sync::Mutex<Head>,
    /// Released last, after the log was closed.
    pub(crate) _lock: Option<Box<dyn VfsLock>>,
}

/// Where the log ends: an LSN and the chain value before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// LSN that the next record will get.
    pub next_lsn: Lsn,
    /// Chain value over everything before.
    pub chain: ChainHash,
}

/// Sizes and positions of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStats {
    /// First retained record.
    pub start_lsn: Lsn,
    /// LSN after the last record that readers see.
    pub visible_end: Lsn,
    /// LSN after the last record that is on the disk.
    pub durable_end: Lsn,
    /// Segments.
    pub segment_count: usize,
    /// Bytes of all segments up to the end of their batches, headers included.
    pub stored_len: u64,
    /// Batches in all segments.
    pub batch_count: u64,
    /// Checkpoint records in all segments.
    pub checkpoint_count: u64,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.background.stop();
        if let Some(append) = &self.append {
            // Nobody is left to hear of a failure; the next open recovers.
            let _recovered_at_next_open = append.close();
        }
    }
}
