//! The one mutable state of an open log, behind the append lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use cairn_codec::Scratch;
use cairn_types::{ChainHash, Lsn, SegmentId, StreamId, Timestamp};

use super::sequences::NextSequences;
use super::waiters::Waiters;
use crate::segment::Segment;
use crate::segments::Segments;
use crate::store::{Store, SuperblockFile};
use crate::watch::Listeners;
use crate::{Error, Result};

/// One batch in the buffer: what publishing it needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingBatch {
    pub(crate) first_lsn: Lsn,
    pub(crate) position: u64,
    pub(crate) records: u32,
    pub(crate) commit_time: Timestamp,
    pub(crate) checkpoint: bool,
    pub(crate) has_keys: bool,
}

/// One record of a sequenced kind in the buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingRecord {
    pub(crate) stream: StreamId,
    pub(crate) sequence: u64,
    pub(crate) lsn: Lsn,
    pub(crate) timestamp: Timestamp,
}

/// Encoded batches that are not written yet, with what publishing them needs.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) batches: Vec<PendingBatch>,
    pub(crate) records: Vec<PendingRecord>,
}

impl Buffer {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.batches.clear();
        self.records.clear();
        // A single huge batch must not pin its memory for ever.
        self.bytes.shrink_to(8 << 20);
    }
}

/// The segment that takes writes.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    /// Where the next submitted batch goes.
    pub(crate) end: u64,
    /// Where the buffer's first byte goes.
    pub(crate) written_end: u64,
    /// Bytes of the file that are reserved on disk.
    pub(crate) allocated: u64,
    /// Bytes this segment may grow to.
    pub(crate) capacity: u64,
    pub(crate) batch_count: u64,
}

/// Where the segment before the next one ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Predecessor {
    pub(crate) next_id: SegmentId,
    pub(crate) prev_end: u64,
}

/// Everything the append lock guards.
#[derive(Debug)]
pub(crate) struct AppendState {
    pub(crate) next_lsn: Lsn,
    pub(crate) chain: ChainHash,
    pub(crate) last_commit_time: Timestamp,
    pub(crate) next_sequence: NextSequences,
    pub(crate) active: Option<Active>,
    pub(crate) predecessor: Predecessor,
    pub(crate) buffer: Buffer,
    pub(crate) spare: Buffer,
    pub(crate) scratch: Scratch,
    pub(crate) sequences: Vec<u64>,
    pub(crate) io_running: bool,
    pub(crate) waiters: Waiters,
    /// Threads to wake once the lock is free: each costs a system call, and what is woken
    /// under the lock only runs into it.
    pub(crate) to_wake: Vec<Thread>,
    pub(crate) failure: Option<String>,
    pub(crate) closed: bool,
    pub(crate) records_since_checkpoint: u64,
    pub(crate) checkpoint_count: u64,
    pub(crate) last_checkpoint_at: Duration,
    /// Monotonic time of the oldest written but unsynced batch.
    pub(crate) dirty_since: Option<Duration>,
    pub(crate) unsynced_len: u64,
}

impl AppendState {
    pub(crate) fn check_open(&self) -> Result<()> {
        if let Some(cause) = &self.failure {
            return Err(Error::Poisoned { cause: cause.clone() });
        }
        if self.closed { Err(Error::Closed) } else { Ok(()) }
    }

    /// Asserts what must hold whenever the lock is free.
    pub(crate) fn check_invariants(&self) {
        if let Some(active) = &self.active {
            assert!(active.written_end <= active.end, "the buffer lies after what is written");
            assert_eq!(
                active.end - active.written_end,
                self.buffer.bytes.len() as u64 + if self.io_running { self.io_len() } else { 0 },
                "the buffer covers exactly the unwritten range"
            );
            assert!(active.end <= active.allocated, "batches lie in reserved space");
        } else {
            assert!(self.buffer.bytes.is_empty(), "without a segment nothing is buffered");
        }
    }

    /// Bytes on their way to the file, which have left the buffer.
    fn io_len(&self) -> u64 {
        self.active
            .as_ref()
            .map_or(0, |active| active.end - active.written_end - self.buffer.bytes.len() as u64)
    }
}

/// The append side of an open log.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) store: Arc<Store>,
    pub(crate) superblock: SuperblockFile,
    pub(crate) segments: Arc<Segments>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) marks: Arc<Watermarks>,
    pub(super) state: Mutex<AppendState>,
}

/// Where the log stands when writing begins.
#[derive(Debug)]
pub(crate) struct AppendStart {
    pub(crate) next_lsn: Lsn,
    pub(crate) chain: ChainHash,
    pub(crate) last_commit_time: Timestamp,
    pub(crate) next_sequence: NextSequences,
    pub(crate) predecessor: Predecessor,
    pub(crate) checkpoint_count: u64,
}

impl Append {
    pub(crate) fn new(
        store: Arc<Store>,
        superblock: SuperblockFile,
        segments: Arc<Segments>,
        start: AppendStart,
    ) -> Self {
        let marks = Arc::new(Watermarks::new(start.next_lsn, superblock.current().start_lsn));
        let last_checkpoint_at = store.clock.monotonic();
        let state = AppendState {
            next_lsn: start.next_lsn,
            chain: start.chain,
            last_commit_time: start.last_commit_time,
            next_sequence: start.next_sequence,
            active: None,
            predecessor: start.predecessor,
            buffer: Buffer::default(),
            spare: Buffer::default(),
            scratch: Scratch::default(),
            sequences: Vec::new(),
            io_running: false,
            waiters: Waiters::default(),
            to_wake: Vec::new(),
            failure: None,
            closed: false,
            records_since_checkpoint: 0,
            checkpoint_count: start.checkpoint_count,
            last_checkpoint_at,
            dirty_since: None,
            unsynced_len: 0,
        };
        let listeners = Arc::new(Listeners::default());
        Self { store, superblock, segments, listeners, marks, state: Mutex::new(state) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, AppendState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The published ends of the log, read without a lock.
#[derive(Debug)]
pub(crate) struct Watermarks {
    start: AtomicU64,
    written: AtomicU64,
    durable: AtomicU64,
    visible: AtomicU64,
}

impl Watermarks {
    pub(crate) fn new(end: Lsn, start: Lsn) -> Self {
        let end = end.get();
        Self {
            start: start.get().into(),
            written: end.into(),
            durable: end.into(),
            visible: end.into(),
        }
    }

    pub(crate) fn start(&self) -> Lsn {
        Lsn::new(self.start.load(Ordering::Acquire))
    }

    pub(crate) fn written(&self) -> Lsn {
        Lsn::new(self.written.load(Ordering::Acquire))
    }

    pub(crate) fn durable(&self) -> Lsn {
        Lsn::new(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn visible(&self) -> Lsn {
        Lsn::new(self.visible.load(Ordering::Acquire))
    }

    pub(crate) fn raise_start(&self, to: Lsn) {
        self.start.fetch_max(to.get(), Ordering::AcqRel);
    }

    pub(crate) fn raise_written(&self, to: Lsn) {
        self.written.fetch_max(to.get(), Ordering::AcqRel);
    }

    pub(crate) fn raise_durable(&self, to: Lsn) {
        self.durable.fetch_max(to.get(), Ordering::AcqRel);
    }

    pub(crate) fn raise_visible(&self, to: Lsn) {
        self.visible.fetch_max(to.get(), Ordering::AcqRel);
    }
}
