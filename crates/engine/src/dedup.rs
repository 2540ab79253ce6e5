//! Recent event ids of a partition. Derived: loaded from the partition's newest events when
//! first needed.

use std::collections::{HashMap, VecDeque};

use cairn_segment::Log;
use cairn_types::{EventId, Lsn, Offset, StreamId};

use crate::{Result, envelope};

/// Events that an id is remembered for, in each partition.
pub(crate) const WINDOW: usize = 65_536;

/// The window of one partition.
#[derive(Debug, Default)]
pub(crate) struct RecentIds {
    places: HashMap<EventId, (Offset, Lsn)>,
    order: VecDeque<EventId>,
}

impl RecentIds {
    /// Reads the newest events of a partition.
    pub(crate) fn load(log: &Log, stream: StreamId) -> Result<Self> {
        let mut recent = Self::default();
        let next = log.next_sequence(stream);
        let mut scan = log.scan_stream(stream, next.saturating_sub(WINDOW as u64));
        while let Some(record) = scan.next_record()? {
            if let Some(id) = record.payload().and_then(envelope::id_of) {
                recent.insert(id, Offset::new(record.view.sequence), record.lsn);
            }
        }
        Ok(recent)
    }

    pub(crate) fn get(&self, id: EventId) -> Option<(Offset, Lsn)> {
        self.places.get(&id).copied()
    }

    pub(crate) fn insert(&mut self, id: EventId, offset: Offset, lsn: Lsn) {
        if self.places.insert(id, (offset, lsn)).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > WINDOW {
            if let Some(oldest) = self.order.pop_front() {
                self.places.remove(&oldest);
            }
        }
    }
}
