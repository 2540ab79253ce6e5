//! Retention: whole old segments are dropped. The superblock says first where the log begins,
//! so an interrupted drop is finished at the next open and never looks like a loss.

use std::sync::PoisonError;
use std::time::Duration;

use cairn_types::Lsn;

use crate::format::{index_path, segment_path};
use crate::{Log, Result};

/// How much of the log is kept. The default keeps everything. A segment is dropped when one of
/// the first three asks for it and [`keep_from`](Self::keep_from) does not forbid it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Drop segments whose last commit is older.
    pub max_age: Option<Duration>,
    /// Drop the oldest segments while all together are longer, in bytes.
    pub max_len: Option<u64>,
    /// Drop segments that end at or before this LSN.
    pub before: Option<Lsn>,
    /// Whatever else is asked for, keep everything from this LSN on.
    pub keep_from: Option<Lsn>,
}

/// What retention dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Segments.
    pub segment_count: usize,
    /// Records.
    pub record_count: u64,
    /// Bytes.
    pub len: u64,
}

impl Log {
    /// Drops the oldest segments that `retention` does not ask to keep. Kept always: the last
    /// segment, and a segment with the newest record of any stream (and all after it), because
    /// the stream's next sequence is known from that record.
    ///
    /// # Errors
    /// When the superblock cannot be written; nothing was dropped then. [`ReadOnly`](crate::Error::ReadOnly),
    /// [`Closed`](crate::Error::Closed) and [`Poisoned`](crate::Error::Poisoned) as every write.
    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_log_retain", skip_all, err))]
    pub fn retain(&self, retention: &Retention) -> Result<Dropped> {
        let append = self.writer()?;
        let _alone = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        // The append lock keeps rolls and other retentions away.
        let state = append.lock();
        state.check_open()?;
        let store = &self.shared.store;
        let segments = self.shared.segments.load();
        let mut total: u64 = segments.iter().map(|segment| segment.end()).sum();
        let oldest = retention.max_age.map(|age| store.clock.now().saturating_sub(age));
        let mut dropped = Dropped::default();
        for segment in segments.iter().take(segments.len().saturating_sub(1)) {
            let (last_commit, holds_newest) = segment.with_index(|index| {
                let newest = |(stream, next)| state.next_sequence.get(&stream) == Some(&next);
                (index.last_commit_time(), index.next_sequences().any(newest))
            })?;
            let too_old = oldest.is_some_and(|oldest| last_commit < oldest);
            let too_much = retention.max_len.is_some_and(|max| total > max);
            let before = retention.before.is_some_and(|lsn| segment.end_lsn() <= lsn);
            let needed = retention.keep_from.is_some_and(|lsn| segment.end_lsn() > lsn);
            if needed || holds_newest || !(too_old || too_much || before) {
                break;
            }
            total -= segment.end();
            dropped.segment_count += 1;
            dropped.record_count += segment.end_lsn().get() - segment.header.base_lsn.get();
            dropped.len += segment.end();
        }
        let Some(first) = segments.get(dropped.segment_count) else { return Ok(dropped) };
        if dropped.segment_count == 0 {
            return Ok(dropped);
        }
        let start = first.header.base_lsn;
        append.superblock.update(|block| {
            block.start_lsn = start;
            block.first_segment = first.header.id;
            block.durable_end = block.durable_end.max(start);
        })?;
        self.shared.marks.raise_start(start);
        self.shared.segments.drop_first(dropped.segment_count);
        store.counters.dropped_segments.increment(dropped.segment_count as u64);
        for segment in segments.iter().take(dropped.segment_count) {
            self.shared.batches.forget(segment.header.id);
            let id = segment.header.id;
            // A file that cannot be removed now is removed at the next open.
            let _swept_later = store.vfs.remove(&index_path(id));
            let _swept_later = store.vfs.remove(&segment_path(id));
        }
        drop(state);
        store.sync_log_dir()?;
        Ok(dropped)
    }
}
