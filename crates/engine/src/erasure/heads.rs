//! What stays known of erased events: who appended them, so that a repeat is known for one and a
//! producer goes on where it was. Derived: from the records of erasures.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use cairn_segment::RecordRef;
use cairn_types::Lsn;

use super::ErasedPlace;

/// Heads of the payloads of erased events.
#[derive(Debug, Default)]
pub(crate) struct EventHeads {
    by_place: RwLock<BTreeMap<Lsn, Vec<u8>>>,
}

impl EventHeads {
    pub(crate) fn note(&self, place: ErasedPlace) {
        if !place.head.is_empty() {
            let mut heads = self.by_place.write().unwrap_or_else(PoisonError::into_inner);
            heads.insert(place.lsn, place.head);
        }
    }

    /// Reads something from the head of an event, erased or not.
    pub(crate) fn read<T>(
        &self,
        record: &RecordRef<'_>,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        match record.payload() {
            Some(payload) => read(payload),
            None => {
                let heads = self.by_place.read().unwrap_or_else(PoisonError::into_inner);
                heads.get(&record.lsn).and_then(|head| read(head))
            }
        }
    }
}
