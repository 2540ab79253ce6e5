//! A cursor over all records in log order.

use std::sync::Arc;

use cairn_codec::StatementCursor;
use cairn_types::Lsn;

use super::batch::LoadedBatch;
use super::record::RecordRef;
use crate::segment::Segment;
use crate::{Log, Result};

/// A cursor over the log. It sees records that become visible while it runs.
#[derive(Debug, Clone)]
pub struct Scan {
    log: Log,
    next: Lsn,
    place: Option<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    segment: Arc<Segment>,
    batch: Arc<LoadedBatch>,
    cursor: StatementCursor,
}

impl Scan {
    pub(crate) fn new(log: Log, from: Lsn) -> Self {
        Self { log, next: from, place: None }
    }

    /// LSN of the record that comes next.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.next
    }

    /// Moves to a record, cheaply within the current batch.
    pub fn seek(&mut self, lsn: Lsn) {
        if lsn == self.next {
            return;
        }
        self.next = lsn;
        if let Some(place) = &mut self.place {
            let cursor = place.batch.contains(lsn).then(|| place.batch.seek(lsn).ok()).flatten();
            match cursor {
                Some(cursor) => place.cursor = cursor,
                None => self.place = None,
            }
        }
    }

    /// The next record; `None` at the visible end, where a later call may find more.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for damage,
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) when retention dropped the record.
    pub fn next_record(&mut self) -> Result<Option<RecordRef<'_>>> {
        if self.next >= self.log.visible_end() {
            return Ok(None);
        }
        let loaded = self.place.as_ref().is_some_and(|place| place.batch.contains(self.next));
        if !loaded {
            self.load()?;
        }
        let place = self.place.as_mut().expect("loaded above");
        let batch = &*place.batch;
        let Some(view) = place.cursor.next(&batch.header, batch.statements()) else {
            return Err(cairn_codec::Error::NonCanonical("record count").into());
        };
        let view = view?;
        let lsn = self.next;
        self.next = Lsn::new(lsn.get() + 1);
        Ok(Some(RecordRef { lsn, view, batch }))
    }

    /// Loads the batch that holds the next record.
    fn load(&mut self) -> Result<()> {
        // Mostly it is the batch after the current one.
        if let Some(place) = &mut self.place
            && place.batch.header.end_lsn() == self.next
            && place.batch.next_position < place.segment.end()
        {
            let (position, ordinal) = (place.batch.next_position, place.batch.ordinal + 1);
            place.batch = self.log.load(&place.segment, position, ordinal)?;
            place.cursor = StatementCursor::default();
            return Ok(());
        }
        let (segment, batch) = self.log.batch_of(self.next)?;
        let cursor = batch.seek(self.next)?;
        self.place = Some(Place { segment, batch, cursor });
        Ok(())
    }
}
