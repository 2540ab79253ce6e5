//! Settings of a log: plain data, checked once at open.

use std::time::Duration;

use cairn_codec::Compression;
use cairn_types::{Durability, limits};

use crate::{Error, Result};

/// How stored bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoMode {
    /// Map segments into memory and hand out slices without copying. Falls back to
    /// [`IoMode::Pread`] where the file system cannot map.
    #[default]
    Map,
    /// Read with positioned reads into owned memory, checking every read.
    Pread,
}

/// When the log writes a checkpoint record by itself; it does so with the append that makes one
/// due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// After this many records. `None`: never by count.
    pub records: Option<u64>,
    /// When a write arrives this long after the last checkpoint. `None`: never by time.
    pub interval: Option<Duration>,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        Self { records: Some(100_000), interval: None }
    }
}

impl CheckpointPolicy {
    /// No checkpoints but those asked for with [`Log::checkpoint`](crate::Log::checkpoint).
    pub const ON_DEMAND: Self = Self { records: None, interval: None };
}

/// Settings of a [`Log`](crate::Log).
///
/// ```
/// use cairn_segment::LogConfig;
/// let config = LogConfig { segment_size: 1 << 20, ..LogConfig::default() };
/// assert!(config.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Bytes after which a segment is sealed and the next begun, 64 KiB to 1 GiB. A batch that is
    /// larger has a segment to itself.
    pub segment_size: u64,
    /// When an append is acknowledged. The default is [`Durability::Sync`].
    pub durability: Durability,
    /// With [`Durability::Buffered`]: how long written data may stay unsynced.
    pub sync_interval: Duration,
    /// Written but unsynced bytes after which the background thread syncs early, so that
    /// recovery has little to copy.
    pub unsynced_len_max: u64,
    /// How stored bytes are read.
    pub io: IoMode,
    /// Codec of payloads; a draft that was compressed by its owner keeps its own.
    pub compression: Compression,
    /// When checkpoint records are written.
    pub checkpoint: CheckpointPolicy,
    /// Bytes of submitted batches held in memory. Who would pass it writes them out first, or
    /// waits for whoever is writing; so at most twice as much is in memory, or a batch that is
    /// larger by itself.
    pub buffer_len_max: usize,
    /// Bytes of decoded batches kept for readers (compressed data, or [`IoMode::Pread`]); the last
    /// one is kept even if it is larger, unless this is 0.
    pub batch_cache_len: usize,
    /// Bytes that the log's batches may take. A write of data that would pass it is refused with
    /// [`Error::NoSpace`]; what frees space goes through. `None`: no limit.
    pub quota_bytes: Option<u64>,
    /// Bytes that must stay free on the disk when the log reserves more of it; as the quota.
    pub min_free_bytes: Option<u64>,
    /// Run a thread that syncs by time, where not every append is synced. Without it the owner
    /// calls [`Log::maintain`](crate::Log::maintain); the simulator does.
    pub background: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_size: 256 << 20,
            durability: Durability::Sync,
            sync_interval: Duration::from_secs(1),
            unsynced_len_max: 16 << 20,
            io: IoMode::Map,
            compression: Compression::None,
            checkpoint: CheckpointPolicy::default(),
            buffer_len_max: 4 << 20,
            batch_cache_len: 8 << 20,
            quota_bytes: None,
            min_free_bytes: None,
            background: true,
        }
    }
}

impl LogConfig {
    /// Checks that the settings can work together.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the setting and its bounds.
    pub fn check(&self) -> Result<()> {
        let range = limits::MIN_SEGMENT_SIZE..=limits::MAX_SEGMENT_SIZE;
        if !range.contains(&self.segment_size) {
            return Err(Error::Invalid {
                what: "segment_size",
                reason: format!(
                    "{} is outside {}..={}",
                    self.segment_size,
                    range.start(),
                    range.end()
                ),
            });
        }
        if self.checkpoint.records == Some(0) {
            return Err(Error::Invalid {
                what: "checkpoint.records",
                reason: "0 would write nothing but checkpoints; use None to switch them off".into(),
            });
        }
        Ok(())
    }

    /// How long written data may stay unsynced; `None` when every append is synced.
    #[must_use]
    pub fn unsynced_time_max(&self) -> Option<Duration> {
        match self.durability {
            Durability::Sync => None,
            Durability::Interval(interval) => Some(interval),
            Durability::Buffered => Some(self.sync_interval),
        }
    }
}
