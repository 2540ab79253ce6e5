//! Where everything is within one segment: batches by LSN, records by stream and sequence,
//! checkpoints. Derived: rebuilt from the segment whenever it is absent or damaged.

pub(crate) mod file;
mod streams;

use cairn_codec::{BatchHeader, BatchView, RecordKind};
use cairn_types::{Lsn, StreamId, Timestamp};

pub(crate) use streams::{Run, StreamRuns};

use crate::Result;
use crate::append::Buffer;

/// Where a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub(crate) ordinal: usize,
    pub(crate) first_lsn: Lsn,
    pub(crate) position: u64,
}

/// The index of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentIndex {
    base_lsn: Lsn,
    next_lsn: Lsn,
    last_commit_time: Timestamp,
    /// First LSN (relative to the base) and position of every batch.
    batches: Vec<(u32, u32)>,
    streams: StreamRuns,
    /// LSNs of checkpoint records, relative to the base.
    checkpoints: Vec<u32>,
    /// Whether there are records that belong to no stream's sequence, besides checkpoints:
    /// keys, leases, compactions.
    has_keys: bool,
}

impl SegmentIndex {
    pub(crate) fn growing(base_lsn: Lsn) -> Self {
        Self {
            base_lsn,
            next_lsn: base_lsn,
            last_commit_time: Timestamp::MIN,
            batches: Vec::new(),
            streams: StreamRuns::default(),
            checkpoints: Vec::new(),
            has_keys: false,
        }
    }

    pub(crate) fn has_keys(&self) -> bool {
        self.has_keys
    }

    pub(crate) fn next_lsn(&self) -> Lsn {
        self.next_lsn
    }

    pub(crate) fn last_commit_time(&self) -> Timestamp {
        self.last_commit_time
    }

    pub(crate) fn streams(&self) -> &StreamRuns {
        &self.streams
    }

    pub(crate) fn batch_count(&self) -> usize {
        self.batches.len()
    }

    pub(crate) fn checkpoints(&self) -> impl DoubleEndedIterator<Item = Lsn> {
        self.checkpoints.iter().map(|delta| Lsn::new(self.base_lsn.get() + u64::from(*delta)))
    }

    /// Adds what was just written.
    pub(crate) fn add_buffer(&mut self, buffer: &Buffer) {
        for batch in &buffer.batches {
            self.add_place(batch.first_lsn, batch.position, batch.records, batch.commit_time);
            self.has_keys |= batch.has_keys;
            if batch.checkpoint {
                self.checkpoints.push(self.relative(batch.first_lsn));
            }
        }
        for record in &buffer.records {
            self.streams.push(record.stream, record.sequence, record.lsn, record.timestamp);
        }
    }

    /// Adds a batch that was read, which must be whole and next in order.
    pub(crate) fn add_batch(
        &mut self,
        header: &BatchHeader,
        position: u64,
        body: &[u8],
    ) -> Result<()> {
        self.add_place(header.first_lsn, position, header.record_count, header.commit_time);
        for record in BatchView::new(header, body)?.records() {
            let record = record?;
            let lsn = Lsn::new(header.first_lsn.get() + u64::from(record.index));
            if record.kind == RecordKind::CHECKPOINT {
                self.checkpoints.push(self.relative(lsn));
            }
            self.has_keys |= is_about_keys(record.kind);
            if record.kind.is_sequenced() {
                self.streams.push(record.stream, record.sequence, lsn, record.timestamp);
            }
        }
        Ok(())
    }

    fn add_place(&mut self, first_lsn: Lsn, position: u64, records: u32, commit_time: Timestamp) {
        assert_eq!(first_lsn, self.next_lsn, "batches are indexed in order");
        let position = u32::try_from(position).expect("a segment is limited to less than 4 GiB");
        self.batches.push((self.relative(first_lsn), position));
        self.next_lsn = Lsn::new(first_lsn.get() + u64::from(records));
        self.last_commit_time = self.last_commit_time.max(commit_time);
    }

    fn relative(&self, lsn: Lsn) -> u32 {
        u32::try_from(lsn.get() - self.base_lsn.get()).expect("a segment holds fewer records")
    }

    /// The batch that holds `lsn`.
    pub(crate) fn locate(&self, lsn: Lsn) -> Option<BatchPlace> {
        if lsn < self.base_lsn || lsn >= self.next_lsn {
            return None;
        }
        let relative = self.relative(lsn);
        let last = *self.batches.last()?;
        let ordinal = if relative >= last.0 {
            self.batches.len() - 1
        } else {
            self.batches.partition_point(|(first, _)| *first <= relative) - 1
        };
        self.place(ordinal)
    }

    /// The batch with this ordinal.
    pub(crate) fn place(&self, ordinal: usize) -> Option<BatchPlace> {
        let (first, position) = *self.batches.get(ordinal)?;
        let first_lsn = Lsn::new(self.base_lsn.get() + u64::from(first));
        Some(BatchPlace { ordinal, first_lsn, position: u64::from(position) })
    }

    /// Next sequence of every stream that has records here.
    pub(crate) fn next_sequences(&self) -> impl Iterator<Item = (StreamId, u64)> {
        self.streams.next_sequences()
    }
}

/// Whether replaying keys has to look at records of this kind.
pub(crate) fn is_about_keys(kind: RecordKind) -> bool {
    !kind.is_sequenced() && kind != RecordKind::CHECKPOINT && kind != RecordKind::DROPPED
}
