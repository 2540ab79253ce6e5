//! What of the memtable no table has yet, on its way there. Derived.

use cairn_index::PrefixIndex;

use super::{Base, Key, Memtable, Slot, VERSIONS_KEPT};
use crate::bounds::{Bounds, contains};
use crate::entry::Version;

impl<V: Version> Memtable<V> {
    /// How many more keys of a range exist than the tables know. O(unflushed keys).
    pub(crate) fn unflushed_weight(&self, bounds: Bounds<'_>) -> i64 {
        let slot = |number: &u32| self.slots.get(*number as usize).and_then(Option::as_ref);
        let dirty = self.dirty.iter().filter_map(slot);
        let flushing = self.flushing.iter().filter_map(slot).filter(|slot| !slot.dirty);
        let within = |slot: &&Slot<V>| contains(&bounds, &slot.key);
        dirty.chain(flushing).filter(within).map(Slot::weight).sum()
    }

    /// Begins a flush: the slots that have changes up to now, in no order. Until it ends, these
    /// numbers are given to no other key.
    pub(crate) fn begin_flush(&mut self) -> Vec<(Key, u32)> {
        debug_assert!(self.flushing.is_empty(), "one flush at a time");
        self.flushing = std::mem::take(&mut self.dirty);
        self.flushing_limbo = std::mem::take(&mut self.limbo);
        self.dirty_len = 0;
        let mut keys = Vec::with_capacity(self.flushing.len());
        for number in &self.flushing {
            let slot = self.slots.get_mut(*number as usize).and_then(Option::as_mut);
            let Some(slot) = slot else { continue };
            slot.dirty = false;
            if slot.base == Base::Absent {
                slot.base = Base::Unknown;
            }
            keys.push((slot.key.clone(), *number));
        }
        keys
    }

    /// A slot of the flush under way, unless its key has gone.
    pub(crate) fn flushing(&self, number: u32) -> Option<&Slot<V>> {
        self.slots.get(number as usize).and_then(Option::as_ref)
    }

    /// Takes a flush back that failed.
    pub(crate) fn abandon_flush(&mut self) {
        for number in std::mem::take(&mut self.flushing) {
            let slot = self.slots.get_mut(number as usize).and_then(Option::as_mut);
            let Some(slot) = slot else { continue };
            if slot.base == Base::Unknown {
                slot.base = Base::Absent;
            }
            self.dirty_len += slot.history.heap_len();
            self.mark(number);
        }
        self.free.append(&mut self.flushing_limbo);
    }

    /// Ends a flush: all changes up to a sequence are in tables now. `written` has for each slot
    /// that was written whether its newest version there is a tombstone. Gives an order that is
    /// of no use any more, to be dropped outside the lock.
    pub(crate) fn end_flush(&mut self, written: &[(u32, bool)], sequence: u64) -> PrefixIndex<u32> {
        for (number, is_tombstone) in written {
            let slot = self.slots.get_mut(*number as usize).and_then(Option::as_mut);
            let Some(slot) = slot else { continue };
            slot.base = if *is_tombstone { Base::Dead } else { Base::Live };
        }
        self.flushed = sequence;
        for number in std::mem::take(&mut self.flushing) {
            self.settle(number, sequence);
        }
        self.free.append(&mut self.flushing_limbo);
        // What tables have by now need not be in order any more.
        match self.order_number.checked_add(1) {
            Some(next) if !self.complete => {
                self.order_number = next;
                self.unordered.clone_from(&self.dirty);
                std::mem::take(&mut self.order)
            }
            _ => PrefixIndex::new(),
        }
    }

    /// What of a key need not stay in memory once the tables have its changes.
    fn settle(&mut self, number: u32, sequence: u64) {
        let slot = self.slots.get_mut(number as usize).and_then(Option::as_mut);
        let Some(slot) = slot else { return };
        if slot.base == Base::Unknown {
            slot.base = Base::Absent;
        }
        let newest = slot.history.newest();
        let is_flushed = newest.sequence() <= sequence;
        if is_flushed && newest.is_tombstone() && newest.sequence() <= self.oldest {
            // It was kept only until the tables know that it is gone.
            self.remove(number);
        } else if is_flushed && slot.history.versions().len() > VERSIONS_KEPT {
            let before = slot.history.heap_len();
            let gone = slot.history.keep_newest();
            slot.partial = true;
            let freed = before - slot.history.heap_len();
            self.len = self.len.saturating_sub(freed);
            self.version_count -= gone as u64;
        }
    }

    /// The least reference of all keys with versions that are not in tables.
    pub(crate) fn least_reference(&self) -> Option<u64> {
        let slot = |number: &u32| self.slots.get(*number as usize).and_then(Option::as_ref);
        let unflushed = self.dirty.iter().chain(&self.flushing).filter_map(slot);
        unflushed.flat_map(|slot| slot.history.versions()).map(Version::reference).min()
    }
}
