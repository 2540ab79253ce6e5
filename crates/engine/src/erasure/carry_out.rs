//! Carrying erasures out: the bytes go. Nothing here decides what; doing it again, after a crash
//! at any step, changes nothing that was done.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;
use cairn_codec::{Content, RecordView};
use cairn_segment::{CleanOptions, Cleaned, Fate, RecordKind};
use cairn_types::{Lsn, StreamId};

use super::Progress;
use crate::{Engine, Error, Result};

/// What is still to be done for some erased records.
#[derive(Default)]
struct Work {
    /// Keys whose versions they are.
    keys: BTreeSet<(StreamId, Bytes)>,
    /// Records whose payload is in the log.
    present: BTreeSet<Lsn>,
}

impl Engine {
    /// Carries out what erasures are recorded and were interrupted; how many segments and tables
    /// were written again. Opening does it, too.
    ///
    /// # Errors
    /// The log's, and those of tables; reads do not show what is erased even so.
    pub fn finish_erasures(&self) -> Result<(usize, usize)> {
        let (cleaned, table_count) = self.finish(&mut self.progress())?;
        Ok((cleaned.replaced_count, table_count))
    }

    /// How far erasures were carried out; whoever holds it is the only one at it.
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.shared.erasing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out all erasures that are recorded and were not.
    pub(super) fn finish(&self, progress: &mut Progress) -> Result<(Cleaned, usize)> {
        let begin = progress.until;
        let mut erased = self.shared.erased.all();
        erased.retain(|(_, by)| *by >= begin);
        let Some(last) = erased.iter().map(|(_, by)| *by).max() else {
            return Ok((Cleaned::default(), 0));
        };
        let log = self.log();
        if log.is_read_only() {
            return Ok((Cleaned::default(), 0));
        }
        // Nothing goes before its authority is on the disk.
        log.sync()?;
        let work = self.work_for(&erased)?;
        let keys: Vec<_> = work.keys.into_iter().collect();
        let table_count = self.keys().give_up(&keys)?;
        let cleaned = self.clean_of(&work.present)?;
        *progress = Progress { until: Lsn::new(last.get() + 1) };
        let written = progress.write(&*log.sealed_vfs(), &log.store_id());
        written.map_err(|error| Error::Proof(Arc::new(error)))?;
        Ok((cleaned, table_count))
    }

    fn work_for(&self, erased: &[(Lsn, Lsn)]) -> Result<Work> {
        let log = self.log();
        let mut work = Work::default();
        for (lsn, _) in erased.iter().filter(|(lsn, _)| *lsn >= log.start_lsn()) {
            let mut scan = log.scan(*lsn);
            let Some(record) = scan.next_record()? else { continue };
            if let (RecordKind::PUT, Some(key)) = (record.view.kind, record.key_bytes()) {
                work.keys.insert((record.view.stream, Bytes::copy_from_slice(&key)));
            }
            if matches!(record.view.content, Content::Payload(_)) {
                work.present.insert(*lsn);
            }
        }
        Ok(work)
    }

    /// Ends the last segment if it holds this record: only others can be replaced. Says whether
    /// it did; the next record begins another.
    pub(super) fn end_segment_of(&self, lsn: Lsn) -> Result<bool> {
        let last = self.log().segment_stats()?.last().map_or(Lsn::ZERO, |last| last.base_lsn);
        if lsn >= last {
            self.log().roll()?;
        }
        Ok(lsn >= last)
    }

    /// Writes the segments again that hold payloads of these records.
    fn clean_of(&self, present: &BTreeSet<Lsn>) -> Result<Cleaned> {
        let Some(last) = present.last() else { return Ok(Cleaned::default()) };
        let log = self.log();
        if self.end_segment_of(*last)? {
            // Nothing follows it yet, as it does after a crash: only what is followed is replaced.
            log.checkpoint()?;
        }
        let wanted = |from: Lsn, to: Lsn| present.range(from..to.max(from)).next().is_some();
        let options = CleanOptions { wanted: Some(&wanted), ..CleanOptions::default() };
        let mut fate = |lsn: Lsn, _: &RecordView<'_>| {
            if present.contains(&lsn) { Fate::Erase } else { Fate::Keep }
        };
        Ok(log.clean(&mut fate, &options)?)
    }
}
