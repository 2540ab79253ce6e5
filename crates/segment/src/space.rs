//! Room for the log: what it takes, what it may take, and why a write was refused.

use std::fmt;

use cairn_codec::{Draft, RecordKind};
use cairn_types::{Lsn, SegmentId};

use crate::{Log, LogConfig, Result};

/// What kept a write from being stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceLimit {
    /// The disk is full.
    Disk,
    /// [`LogConfig::quota_bytes`].
    Quota {
        /// Bytes of the log.
        used: u64,
        /// Bytes of the write, at most.
        needed: u64,
        /// The quota.
        quota: u64,
    },
    /// [`LogConfig::min_free_bytes`].
    MinFree {
        /// Bytes free on the disk.
        free: u64,
        /// Bytes of the write and the room reserved for it.
        needed: u64,
        /// Bytes that must stay free.
        min_free: u64,
    },
}

impl fmt::Display for SpaceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FREE: &str = "or delete and compact keys, set retention of topics and drop what \
            that frees (`cairn maintain --reclaim`); reads, deletes and retention go on";
        match self {
            Self::Disk => f.write_str("the disk is full; free some space and try again"),
            Self::Quota { used, needed, quota } => write!(
                f,
                "the log holds {used} bytes, {needed} more would pass its quota of {quota}; \
                 raise quota_bytes, {FREE}"
            ),
            Self::MinFree { free, needed, min_free } => write!(
                f,
                "{free} bytes are free on the disk, with {needed} more fewer than the \
                 {min_free} that must stay free; free some, lower min_free_bytes, {FREE}"
            ),
        }
    }
}

impl LogConfig {
    /// Whether writes are limited at all.
    pub(crate) const fn limits_space(&self) -> bool {
        self.quota_bytes.is_some() || self.min_free_bytes.is_some()
    }
}

/// Whether a batch counts against the limits: it does when it holds data of users. Deletes,
/// compactions, trims, leases and the records of topics and groups always go through, because
/// space is freed by writing them.
pub(crate) fn is_limited(config: &LogConfig, draft: &Draft) -> bool {
    let is_data = |kind: RecordKind| {
        kind == RecordKind::EVENT || kind == RecordKind::PUT || kind >= RecordKind::USER
    };
    config.limits_space() && draft.records().iter().any(|record| is_data(record.kind))
}

/// Figures of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStats {
    /// Its number.
    pub id: SegmentId,
    /// Its first record.
    pub base_lsn: Lsn,
    /// LSN after its last record that can be read.
    pub end_lsn: Lsn,
    /// Bytes up to the end of its batches, its header included.
    pub len: u64,
    /// Bytes of its file, reserved ones included.
    pub file_len: u64,
    /// Whether another segment follows: it takes no more records.
    pub is_complete: bool,
    /// How often the cleaner replaced it.
    pub rewrites: u64,
}

impl Log {
    /// The settings.
    #[must_use]
    pub fn config(&self) -> &LogConfig {
        &self.shared.store.config
    }

    /// The greatest [mark](crate::CleanOptions::mark) that a cleaning of the segments there are was
    /// given; 0 for none. What the owner knew of the log at that mark has to be in it, too.
    #[must_use]
    pub fn cleaned_to(&self) -> u64 {
        let segments = self.shared.segments.load();
        segments.iter().map(|segment| segment.header.cleaned_to).max().unwrap_or(0)
    }

    /// Figures of every segment, in order.
    ///
    /// # Errors
    /// When the length of a file cannot be read.
    pub fn segment_stats(&self) -> Result<Vec<SegmentStats>> {
        let segments = self.shared.segments.load();
        let count = segments.len();
        let stats = |(place, segment): (usize, &std::sync::Arc<crate::segment::Segment>)| {
            Ok(SegmentStats {
                id: segment.header.id,
                base_lsn: segment.header.base_lsn,
                end_lsn: segment.end_lsn(),
                len: segment.end(),
                file_len: segment.file.len()?,
                is_complete: place + 1 < count,
                rewrites: segment.header.rewrites,
            })
        };
        segments.iter().enumerate().map(stats).collect()
    }
}
