//! Recent event ids of a partition. Derived: loaded from the partition's newest events when
//! first needed.

use std::collections::{HashMap, VecDeque};

use cairn_segment::Log;
use cairn_types::{EventId, Lsn, Offset, StreamId};

use crate::erasure::EventHeads;
use crate::{Engine, Result, envelope};

/// Events that an id is remembered for, in each partition.
pub(crate) const WINDOW: usize = 65_536;

impl Engine {
    /// The first event of a partition that appends are still compared with: within the window,
    /// and not trimmed.
    pub(crate) fn oldest_remembered(&self, stream: StreamId) -> Offset {
        let next = self.log().next_sequence(stream);
        Offset::new(next.saturating_sub(WINDOW as u64).max(self.trimmed(stream)))
    }
}

/// The window of one partition.
#[derive(Debug, Default)]
pub(crate) struct RecentIds {
    places: HashMap<EventId, (Offset, Lsn)>,
    order: VecDeque<(EventId, Offset)>,
    /// Events before this are known.
    next: u64,
    /// Events before this are forgotten.
    oldest: Offset,
}

impl RecentIds {
    /// Takes in events from `oldest` on that were appended without looking here: all of them
    /// at first, later those without an id of their own, and those of transactions. Older ones
    /// are forgotten, whether they still happen to be here or not: what is a repeat must not
    /// depend on when the store was opened.
    pub(crate) fn catch_up(
        &mut self,
        log: &Log,
        heads: &EventHeads,
        stream: StreamId,
        oldest: Offset,
    ) -> Result<()> {
        self.oldest = oldest;
        if self.next >= log.next_sequence(stream) {
            return Ok(());
        }
        let mut scan = log.scan_stream(stream, self.next.max(oldest.get()));
        while let Some(record) = scan.next_record()? {
            self.next = record.view.sequence + 1;
            if let Some(id) = heads.read(&record, envelope::id_of) {
                self.remember(id, Offset::new(record.view.sequence), record.lsn);
            }
        }
        Ok(())
    }

    /// The place of an event that is remembered.
    pub(crate) fn get(&self, id: EventId) -> Option<(Offset, Lsn)> {
        self.places.get(&id).copied().filter(|(offset, _)| *offset >= self.oldest)
    }

    /// Notes an event that was just given its place.
    pub(crate) fn insert(&mut self, id: EventId, offset: Offset, lsn: Lsn) {
        // With a gap before it the log is read when the window is used again.
        if offset.get() == self.next {
            self.next += 1;
        }
        self.remember(id, offset, lsn);
    }

    fn remember(&mut self, id: EventId, offset: Offset, lsn: Lsn) {
        if self.places.insert(id, (offset, lsn)).is_none_or(|(before, _)| before != offset) {
            self.order.push_back((id, offset));
        }
        while self.order.len() > WINDOW {
            if let Some((id, offset)) = self.order.pop_front()
                && self.places.get(&id).is_some_and(|(newest, _)| *newest == offset)
            {
                self.places.remove(&id);
            }
        }
    }
}
