//! The reading half of a log.

use std::sync::Arc;
use std::time::Duration;

use cairn_types::{Lsn, StreamId, Timestamp};

use super::{Head, Log, LogStats};
use crate::read::{LoadedBatch, Record, RecordRef, Scan, StreamScan};
use crate::sealed_files::SealedVfs;
use crate::segment::Segment;
use crate::segment_index::SegmentIndex;
use crate::watch::ListenerGuard;
use crate::{Error, RecoveryReport, Result};

impl Log {
    /// LSN after the last record that readers see: on a `Sync` log everything before is on the
    /// disk, on others it was handed to the operating system.
    #[must_use]
    pub fn visible_end(&self) -> Lsn {
        self.shared.marks.visible()
    }

    /// LSN after the last record that is known to be on the disk.
    #[must_use]
    pub fn durable_end(&self) -> Lsn {
        self.shared.marks.durable()
    }

    /// First retained record.
    #[must_use]
    pub fn start_lsn(&self) -> Lsn {
        self.shared.marks.start()
    }

    /// Where the log ends, including batches that were submitted and not waited for.
    #[must_use]
    pub fn head(&self) -> Head {
        match &self.shared.append {
            Some(append) => {
                let state = append.lock();
                Head { next_lsn: state.next_lsn, chain: state.chain }
            }
            None => *self
                .shared
                .read_only_head
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// What opening the log found and did.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.shared.report
    }

    /// Random identity of the store.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.shared.store.id
    }

    /// Whether it was opened for reading only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.shared.append.is_none()
    }

    /// The files the log lies in; views keep theirs beside it.
    #[must_use]
    pub fn vfs(&self) -> &Arc<dyn cairn_vfs::Vfs> {
        &self.shared.store.vfs
    }

    /// Where views keep files with keys or values beside the log: encrypted when the log is.
    #[must_use]
    pub fn sealed_vfs(&self) -> Arc<dyn cairn_vfs::Vfs> {
        let store = &self.shared.store;
        if !store.registry.is_sealing() {
            return store.vfs.clone();
        }
        Arc::new(SealedVfs {
            inner: store.vfs.clone(),
            registry: store.registry.clone(),
            rng: store.rng.clone(),
            store_id: store.id,
        })
    }

    /// The codecs that the log can read and write with, and the keys that it opens.
    #[must_use]
    pub fn codecs(&self) -> &cairn_codec::CodecRegistry {
        &self.shared.store.registry
    }

    /// The log's clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn cairn_vfs::Clock> {
        &self.shared.store.clock
    }

    /// The log's source of random bytes.
    #[must_use]
    pub fn rng(&self) -> &Arc<dyn cairn_vfs::Rng> {
        &self.shared.store.rng
    }

    /// The record at an LSN.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the log does not hold it, [`Error::Corrupt`] for damage.
    pub fn read(&self, lsn: Lsn) -> Result<Record> {
        let mut scan = self.scan(lsn);
        let record = scan.next_record()?.map(|record| record.to_record());
        record.ok_or_else(|| self.out_of_range(lsn))
    }

    /// A cursor over all records from an LSN on.
    #[must_use]
    pub fn scan(&self, from: Lsn) -> Scan {
        Scan::new(self.clone(), from)
    }

    /// A cursor over one stream from a sequence on.
    #[must_use]
    pub fn scan_stream(&self, stream: StreamId, from: u64) -> StreamScan {
        StreamScan::new(self.clone(), stream, from)
    }

    /// The record of a stream with this sequence.
    ///
    /// # Errors
    /// [`Error::NoSuchSequence`] when the stream does not hold it.
    pub fn read_stream(&self, stream: StreamId, sequence: u64) -> Result<Record> {
        match self.run_at_or_after(stream, sequence)? {
            Some((found, lsn, _)) if found == sequence => self.read(lsn),
            _ => Err(Error::NoSuchSequence { stream, sequence }),
        }
    }

    /// The greatest sequence of a stream that is at most this one and that readers see.
    ///
    /// # Errors
    /// When an index cannot be rebuilt.
    pub fn sequence_at_or_before(&self, stream: StreamId, sequence: u64) -> Result<Option<u64>> {
        // Indexes also hold what is written and not yet durable.
        let visible = self.visible_end();
        for segment in self.shared.segments.load().iter().rev() {
            if segment.header.base_lsn >= visible {
                continue;
            }
            let found = segment
                .with_index(|index| index.streams().at_or_before(stream, sequence, visible))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The least sequence that a stream still holds, of what readers see.
    ///
    /// # Errors
    /// When an index cannot be rebuilt.
    pub fn first_sequence(&self, stream: StreamId) -> Result<Option<u64>> {
        Ok(self.run_at_or_after(stream, 0)?.map(|(sequence, _, _)| sequence))
    }

    /// The least sequence at or after `from` that a stream still holds, of what readers see.
    ///
    /// # Errors
    /// When an index cannot be rebuilt.
    pub fn first_sequence_from(&self, stream: StreamId, from: u64) -> Result<Option<u64>> {
        Ok(self.run_at_or_after(stream, from)?.map(|(sequence, _, _)| sequence))
    }

    /// The sequence of a stream's first record with a time at or after this one, of what readers
    /// see. Times need not be in order.
    ///
    /// # Errors
    /// When an index cannot be rebuilt, or for damage.
    pub fn sequence_at_time(&self, stream: StreamId, time: Timestamp) -> Result<Option<u64>> {
        for segment in self.shared.segments.load().iter() {
            let run = segment.with_index(|index| index.streams().at_time(stream, time))?;
            let Some(run) = run else { continue };
            let mut scan = self.scan_stream(stream, run.sequence);
            while let Some(record) = scan.next_record()? {
                if record.view.timestamp >= time {
                    return Ok(Some(record.view.sequence));
                }
                if record.view.sequence >= run.end() {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Streams that hold records, by number.
    ///
    /// # Errors
    /// When an index cannot be rebuilt.
    pub fn streams(&self) -> Result<Vec<StreamId>> {
        let mut streams = std::collections::BTreeSet::new();
        for segment in self.shared.segments.load().iter() {
            segment.with_index(|index| {
                streams.extend(index.streams().all().map(|(stream, _)| stream));
            })?;
        }
        Ok(streams.into_iter().collect())
    }

    /// Calls `callback` with the new visible end after every advance, from the thread that led
    /// the commit, under the append lock: it must be quick, and call nothing of the log that writes,
    /// asks for its head or next sequences, or adds or ends a callback. Dropping the guard ends it.
    pub fn on_advance(&self, callback: Box<dyn Fn(Lsn) + Send + Sync>) -> ListenerGuard {
        self.shared.listeners.add(callback)
    }

    /// Blocks until the record at `lsn` is visible (`true`) or the time is over (`false`).
    #[must_use]
    pub fn wait_for(&self, lsn: Lsn, timeout: Duration) -> bool {
        let marks = self.shared.marks.clone();
        self.shared.listeners.wait(timeout, || marks.visible() > lsn)
    }

    /// Sizes and positions. Of segments opened since, it reads or rebuilds the indexes.
    ///
    /// # Errors
    /// When an index cannot be rebuilt.
    pub fn stats(&self) -> Result<LogStats> {
        let segments = self.shared.segments.load();
        let mut stats = LogStats {
            start_lsn: self.start_lsn(),
            visible_end: self.visible_end(),
            durable_end: self.durable_end(),
            segment_count: segments.len(),
            stored_len: 0,
            batch_count: 0,
            checkpoint_count: 0,
        };
        for segment in segments.iter() {
            stats.stored_len += segment.end();
            segment.with_index(|index| {
                stats.batch_count += index.batch_count() as u64;
                stats.checkpoint_count += index.checkpoints().count() as u64;
            })?;
        }
        Ok(stats)
    }

    /// Where replaying keys goes on after `lsn`: whole segments without records about keys
    /// (events alone) are skipped. Returns the next part of the log to look at, from and to;
    /// `None` at the visible end.
    ///
    /// # Errors
    /// When an index cannot be rebuilt.
    pub fn next_keys(&self, lsn: Lsn) -> Result<Option<(Lsn, Lsn)>> {
        let visible = self.visible_end();
        for segment in self.shared.segments.load().iter() {
            let end = segment.end_lsn().min(visible);
            if end <= lsn || !segment.with_index(SegmentIndex::has_keys)? {
                continue;
            }
            let from = lsn.max(segment.header.base_lsn);
            if from < end {
                return Ok(Some((from, end)));
            }
        }
        Ok(None)
    }

    /// The newest checkpoint record at or before an LSN.
    ///
    /// # Errors
    /// When an index cannot be rebuilt.
    pub fn checkpoint_before(&self, lsn: Lsn) -> Result<Option<Lsn>> {
        for segment in self.shared.segments.load().iter().rev() {
            let found =
                segment.with_index(|index| index.checkpoints().rev().find(|at| *at <= lsn))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    pub(crate) fn load(
        &self,
        segment: &Segment,
        position: u64,
        ordinal: usize,
    ) -> Result<Arc<LoadedBatch>> {
        self.shared.batches.load(segment, position, ordinal)
    }

    /// Looks at one record where it lies in a mapped segment; the fastest way to a record whose
    /// place is known. `None` when it cannot be had that way: its batch is compressed or sealed,
    /// or too long to be read whole where nothing is mapped; a [`scan`](Self::scan) reads those.
    ///
    /// # Errors
    /// As a scan.
    pub fn look_at<T>(
        &self,
        lsn: Lsn,
        look: impl FnOnce(&RecordRef<'_>) -> T,
    ) -> Result<Option<T>> {
        if lsn >= self.visible_end() {
            return Err(self.out_of_range(lsn));
        }
        let found = self.shared.segments.with(lsn, |segment| {
            let place = segment.with_index(|index| index.locate(lsn))?;
            let Some(place) = place else { return Err(self.out_of_range(lsn)) };
            let (position, ordinal) = (place.position, place.ordinal);
            let batch = self.shared.batches.load_in_place(segment, position, ordinal)?;
            if batch.as_ref().is_some_and(|batch| !batch.contains(lsn)) {
                return Err(misplaced(segment, position));
            }
            Ok(batch)
        });
        let Some(batch) = found.unwrap_or_else(|| Err(self.out_of_range(lsn)))? else {
            return Ok(None);
        };
        let mut cursor = batch.seek(lsn)?;
        let view = cursor.next(&batch.header, batch.statements());
        let view = view.ok_or(cairn_codec::Error::NonCanonical("record count"))??;
        Ok(Some(look(&RecordRef { lsn, view, batch: &batch })))
    }

    /// The batch that holds an LSN, with its segment.
    pub(crate) fn batch_of(&self, lsn: Lsn) -> Result<(Arc<Segment>, Arc<LoadedBatch>)> {
        let segment = self.shared.segments.find(lsn).ok_or_else(|| self.out_of_range(lsn))?;
        let place = segment.with_index(|index| index.locate(lsn))?;
        let place = place.ok_or_else(|| self.out_of_range(lsn))?;
        let batch = self.load(&segment, place.position, place.ordinal)?;
        if !batch.contains(lsn) {
            return Err(misplaced(&segment, place.position));
        }
        Ok((segment, batch))
    }

    /// The first record of a stream at or after a sequence: its sequence, its LSN, and how many
    /// records follow it without a gap (itself included).
    pub(crate) fn run_at_or_after(
        &self,
        stream: StreamId,
        sequence: u64,
    ) -> Result<Option<(u64, Lsn, u32)>> {
        let visible = self.visible_end();
        let segments = self.shared.segments.load();
        // Readers mostly want the newest: look from the end for the first segment to start in.
        let mut best = None;
        for segment in segments.iter().rev() {
            if segment.header.base_lsn >= visible {
                continue;
            }
            let (first, found) = segment.with_index(|index| {
                let runs = index.streams();
                (runs.runs(stream).first().copied(), runs.at_or_after(stream, sequence))
            })?;
            if let Some((_, run)) = found {
                best = Some(run);
            }
            if first.is_some_and(|first| first.sequence <= sequence) {
                break;
            }
        }
        Ok(best.and_then(|run| {
            let at = sequence.max(run.sequence);
            let lsn = run.lsn_of(at);
            let len = (run.end() - at).min(visible.get().saturating_sub(lsn.get()));
            (len > 0).then(|| (at, lsn, u32::try_from(len).expect("runs are bounded")))
        }))
    }

    pub(crate) fn visible_next_sequence(&self, stream: StreamId) -> Result<u64> {
        let last = self.sequence_at_or_before(stream, u64::MAX)?;
        Ok(last.map_or(0, |sequence| sequence + 1))
    }

    fn out_of_range(&self, lsn: Lsn) -> Error {
        Error::OutOfRange { lsn, start: self.start_lsn(), end: self.visible_end() }
    }
}

fn misplaced(segment: &Segment, position: u64) -> Error {
    let cause = "the batch here does not hold the record that the index promises";
    Error::corrupt(segment.path.clone(), position, cause)
}
