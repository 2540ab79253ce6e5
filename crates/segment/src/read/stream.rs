//! A cursor over one stream in order of its sequences.

use cairn_types::StreamId;

use super::record::RecordRef;
use super::scan::Scan;
use crate::{Log, Result};

/// A cursor over one stream. It sees records that become visible while it runs, and passes
/// over sequences that were dropped.
#[derive(Debug, Clone)]
pub struct StreamScan {
    scan: Scan,
    log: Log,
    stream: StreamId,
    next: u64,
    /// Records that follow each other from the scan's position on.
    run_left: u32,
}

impl StreamScan {
    pub(crate) fn new(log: Log, stream: StreamId, from: u64) -> Self {
        let scan = Scan::new(log.clone(), log.start_lsn());
        Self { scan, log, stream, next: from, run_left: 0 }
    }

    /// The least sequence that the next record can have.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next record; `None` at the visible end, where a later call may find more.
    ///
    /// # Errors
    /// As [`Scan::next_record`].
    pub fn next_record(&mut self) -> Result<Option<RecordRef<'_>>> {
        if self.run_left == 0 {
            let Some((sequence, lsn, len)) = self.log.run_at_or_after(self.stream, self.next)?
            else {
                return Ok(None);
            };
            self.scan.seek(lsn);
            (self.next, self.run_left) = (sequence, len);
        }
        let record = self.scan.next_record()?;
        if record.is_some() {
            self.next += 1;
            self.run_left -= 1;
        }
        Ok(record)
    }
}
