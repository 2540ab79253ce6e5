//! The keys of the memtable in their order. Derived.

use std::ops::Bound;

use super::{Key, Memtable, Slot};
use crate::bounds::{Bounds, is_empty_range};
use crate::entry::Version;

impl<V: Version> Memtable<V> {
    /// Lists anew the slots that the ordered index is to know and does not: the list may name
    /// slots that were freed, and slots twice.
    pub(super) fn list_unordered(&mut self) {
        let (order, complete, flushed) = (self.order_number, self.complete, self.flushed);
        let is_missing = |slot: &Slot<V>| {
            slot.order != order && (complete || slot.dirty || slot.newest_sequence() > flushed)
        };
        let numbered = self.slots.iter().enumerate();
        let missing = numbered.filter(|(_, slot)| slot.as_ref().is_some_and(is_missing));
        let number = |(index, _)| u32::try_from(index).expect("slots are numbered so");
        self.unordered = missing.map(number).collect();
    }

    /// Whether the ordered index knows all keys that it is to know.
    pub(crate) fn is_ordered(&self) -> bool {
        self.unordered.is_empty()
    }

    /// Brings the ordered index up to date.
    pub(crate) fn bring_into_order(&mut self) {
        self.bring_some_into_order(self.unordered.len());
    }

    /// Takes up to `count` keys into the ordered index; says whether there are more.
    pub(crate) fn bring_some_into_order(&mut self, count: usize) -> bool {
        let from = self.unordered.len().saturating_sub(count);
        let mut added: Vec<(Key, u32)> = Vec::with_capacity(self.unordered.len() - from);
        for number in self.unordered.split_off(from) {
            let slot = self.slots.get_mut(number as usize).and_then(Option::as_mut);
            let order = self.order_number;
            let Some(slot) = slot.filter(|slot| slot.order != order) else { continue };
            slot.order = order;
            added.push((slot.key.clone(), number));
        }
        // Neighbours one after the other: the second finds its way in the cache.
        added.sort_unstable();
        for (key, number) in added {
            self.order.insert(&key, number).expect("keys are limited to what the index takes");
        }
        !self.unordered.is_empty()
    }

    /// Calls `each` with every key of a range in order until it says stop; where memory is not
    /// complete, with those that tables know as well only by chance. The ordered index must be up
    /// to date.
    pub(crate) fn walk<'a>(
        &'a self,
        bounds: Bounds<'_>,
        mut each: impl FnMut(&'a Slot<V>) -> bool,
    ) {
        if is_empty_range(&bounds) {
            return;
        }
        let mut keys = self.order.range(bounds);
        while let Some((_, number)) = keys.step() {
            if !each(self.slot(*number)) {
                return;
            }
        }
    }

    /// The last key of a range, of those that [`walk`](Self::walk) shows.
    pub(crate) fn last(&self, bounds: Bounds<'_>) -> Option<&Slot<V>> {
        if is_empty_range(&bounds) {
            return None;
        }
        let mut keys = self.order.range(bounds);
        keys.step_back().map(|(_, number)| self.slot(*number))
    }

    /// How many keys of a range exist, when that is known without looking at each. O(log n).
    pub(crate) fn quick_count(&self, bounds: Bounds<'_>) -> Option<u64> {
        if !self.complete {
            return None;
        }
        if is_empty_range(&bounds) {
            return Some(0);
        }
        if bounds == (Bound::Unbounded, Bound::Unbounded) {
            return Some(self.live_count);
        }
        let no_tombstones = self.live_count == self.by_key.len() as u64;
        no_tombstones.then(|| self.order.count(bounds) as u64)
    }
}
