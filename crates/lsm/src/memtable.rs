//! Keys in memory: those changed since the last flush, and as many others as the budget allows.
//! Derived: from the log and the tables.
//!
//! A key is here with its newest versions, or not at all: who asks for what is now needs no look
//! into a table when the key is here. A hash table finds the slot of a key, and a counted ordered
//! index knows the slots in the order of keys: point reads and overwrites touch the hash table
//! alone, ranges and counts the ordered index. While nothing was ever left out, memory is
//! **complete**, and tables are not read at all.
//!
//! Callers bring the hash of a key ([`Seed::hash`]), which they compute once for everything.

mod flushing;
mod history;
mod key;
mod numbers;
mod order;
mod slot;

use cairn_index::PrefixIndex;

use crate::bounds::{Bounds, contains};
use crate::entry::Version;
pub(crate) use history::History;
pub(crate) use key::{Key, Seed};
use numbers::Numbers;
pub(crate) use slot::{Base, Look, Slot};

/// Versions of a key that stay in memory when tables have them, too.
const VERSIONS_KEPT: usize = 4;

/// Bytes that a key costs besides its own and its versions': table, order, slot.
const SLOT_OVERHEAD: usize = 96;

fn short_hash(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// About what a slot takes besides its versions; the order has the key too.
fn slot_len(key: &Key) -> usize {
    SLOT_OVERHEAD + key.len() + key.heap_len()
}

/// All keys in memory.
#[derive(Debug)]
pub(crate) struct Memtable<V> {
    seed: Seed,
    by_key: Numbers,
    /// Of all keys while memory is complete, else at least of those with changes that no table
    /// has: ranges read the others from tables anyway.
    order: PrefixIndex<u32>,
    /// Orders so far, this one included.
    order_number: u32,
    /// Slots that the ordered index is to know and does not yet: it takes them in when it is
    /// asked next, so that who only writes and reads keys does not pay for it.
    unordered: Vec<u32>,
    slots: Vec<Option<Slot<V>>>,
    free: Vec<u32>,
    /// Slots with changes that no flush has begun to write.
    dirty: Vec<u32>,
    dirty_len: usize,
    /// Slots whose changes are being written.
    flushing: Vec<u32>,
    /// Freed slots that `dirty` may still name; they are not given again before it is let go of.
    limbo: Vec<u32>,
    /// Freed slots that `flushing` may still name.
    flushing_limbo: Vec<u32>,
    /// Every key that exists is here.
    complete: bool,
    /// Changes up to this sequence are in tables.
    flushed: u64,
    /// No reader asks for anything older.
    oldest: u64,
    len: usize,
    live_count: u64,
    version_count: u64,
    /// Where the search for something to evict goes on.
    hand: usize,
}

impl<V: Version> Memtable<V> {
    /// An empty memory that hashes under a seed; `complete` when there are no tables.
    pub(crate) fn new(seed: Seed, flushed: u64, complete: bool) -> Self {
        Self {
            seed,
            by_key: Numbers::new(),
            order: PrefixIndex::new(),
            order_number: 1,
            unordered: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            dirty_len: 0,
            flushing: Vec::new(),
            limbo: Vec::new(),
            flushing_limbo: Vec::new(),
            complete,
            flushed,
            oldest: 0,
            len: 0,
            live_count: 0,
            version_count: 0,
            hand: 0,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn flushed(&self) -> u64 {
        self.flushed
    }

    /// About how many bytes all of it takes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// About how many bytes were changed since the last flush.
    pub(crate) fn dirty_len(&self) -> usize {
        self.dirty_len
    }

    pub(crate) fn version_count(&self) -> u64 {
        self.version_count
    }

    fn slot(&self, number: u32) -> &Slot<V> {
        let slot = self.slots.get(number as usize).and_then(Option::as_ref);
        slot.expect("table and order name slots that are in use")
    }

    fn slot_mut(&mut self, number: u32) -> &mut Slot<V> {
        let slot = self.slots.get_mut(number as usize).and_then(Option::as_mut);
        slot.expect("table and order name slots that are in use")
    }

    /// A key with its history.
    #[inline]
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<&Slot<V>> {
        Some(self.slot(self.number(hash, key)?))
    }

    #[inline]
    fn number(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.by_key.find(short_hash(hash), |number| *self.slot(number).key == *key)
    }

    /// Adds a version of a key. `base` is what tables have of it when it is not here.
    pub(crate) fn insert(&mut self, hash: u64, key: &[u8], version: V, base: Base) {
        let cost = size_of::<V>() + version.heap_len();
        let is_live = !version.is_tombstone();
        self.version_count += 1;
        self.len += cost;
        self.dirty_len += cost;
        let Some(number) = self.number(hash, key) else {
            let number = self.add(hash, Slot::new(Key::new(key), History::One(version), base));
            self.live_count += u64::from(is_live);
            self.mark(number);
            return;
        };
        let slot = self.slot_mut(number);
        let lived = !slot.history.newest().is_tombstone();
        slot.history.push(version);
        self.live_count += u64::from(is_live);
        self.live_count -= u64::from(lived);
        self.mark(number);
    }

    fn mark(&mut self, number: u32) {
        let slot = self.slot_mut(number);
        if !slot.dirty {
            slot.dirty = true;
            let cost = slot.key.len() + SLOT_OVERHEAD;
            let order = slot.order;
            self.dirty_len += cost;
            self.dirty.push(number);
            if order != self.order_number {
                self.unordered.push(number);
                if self.unordered.len() > 1024 + 2 * self.slots.len() {
                    self.list_unordered();
                }
            }
        }
    }

    fn add(&mut self, hash: u64, slot: Slot<V>) -> u32 {
        self.len += slot_len(&slot.key);
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = Some(slot);
                number
            }
            None => {
                self.slots.push(Some(slot));
                u32::try_from(self.slots.len() - 1).expect("memory ends before 2^32 keys")
            }
        };
        self.by_key.insert(short_hash(hash), number);
        number
    }

    /// Takes in the newest version of a key as the tables have it, unless the key is here.
    pub(crate) fn load(&mut self, hash: u64, key: &[u8], newest: V) {
        if self.number(hash, key).is_some() {
            return;
        }
        let is_live = !newest.is_tombstone();
        let base = if is_live { Base::Live } else { Base::Dead };
        let history = History::One(newest);
        self.version_count += 1;
        self.len += history.heap_len();
        self.live_count += u64::from(is_live);
        self.add(hash, Slot::new(Key::new(key), history, base));
    }

    /// Puts others in the place of versions of a key where `change` has one; they keep sequence,
    /// weight and reference.
    pub(crate) fn amend(&mut self, key: &[u8], change: &mut dyn FnMut(&V) -> Option<V>) {
        let Some(number) = self.number(self.seed.hash(key), key) else { return };
        let slot = self.slot_mut(number);
        let before = slot.history.heap_len();
        slot.history.amend(change);
        let after = slot.history.heap_len();
        self.len = (self.len + after).saturating_sub(before);
    }

    fn remove(&mut self, number: u32) {
        let slot = self.slots.get(number as usize).and_then(Option::as_ref);
        if let Some(hash) = slot.map(|slot| self.seed.hash(&slot.key)) {
            self.remove_hashed(hash, number);
        }
    }

    fn remove_hashed(&mut self, hash: u64, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize).and_then(Option::take) else { return };
        if slot.order == self.order_number {
            self.order.remove(&slot.key);
        }
        self.by_key.remove(short_hash(hash), number);
        let is_named = slot.dirty || slot.newest_sequence() > self.flushed;
        if is_named {
            self.limbo.push(number)
        } else {
            self.free.push(number)
        }
        self.len = self.len.saturating_sub(slot_len(&slot.key));
        self.len = self.len.saturating_sub(slot.history.heap_len());
        self.version_count -= slot.history.versions().len() as u64;
        self.live_count -= u64::from(!slot.history.newest().is_tombstone());
    }

    /// Lets go of up to `count` keys that tables have too, until the budget holds; `gone` is
    /// told their hashes and newest versions.
    pub(crate) fn evict(&mut self, budget: usize, count: usize, mut gone: impl FnMut(u64, &V)) {
        let mut looked = 0;
        let mut evicted = 0;
        while self.len > budget && evicted < count && looked < 4 * count && !self.slots.is_empty() {
            self.hand = (self.hand + 1) % self.slots.len();
            looked += 1;
            let Some(slot) = self.slots.get(self.hand).and_then(Option::as_ref) else { continue };
            if slot.dirty || slot.newest_sequence() > self.flushed || slot.take_used() {
                continue;
            }
            let hash = self.seed.hash(&slot.key);
            gone(hash, slot.history.newest());
            self.complete = false;
            let number = u32::try_from(self.hand).expect("slots are numbered so");
            self.remove_hashed(hash, number);
            evicted += 1;
        }
    }

    /// Compacts the keys of `count` slots from `from` on: how many versions went, and where to go
    /// on, or `None` at the end.
    pub(crate) fn compact_some(
        &mut self,
        from: usize,
        oldest: u64,
        count: usize,
    ) -> (usize, Option<usize>) {
        let end = from.saturating_add(count).min(self.slots.len());
        let mut dropped = 0;
        for index in from..end {
            if self.slots.get(index).is_some_and(Option::is_some) {
                let number = u32::try_from(index).expect("slots are numbered so");
                dropped += self.compact_one(number, oldest);
            }
        }
        (dropped, (end < self.slots.len()).then_some(end))
    }

    fn compact_one(&mut self, number: u32, oldest: u64) -> usize {
        self.oldest = self.oldest.max(oldest);
        let flushed = self.flushed;
        let slot = self.slot_mut(number);
        let before = slot.history.heap_len();
        let (gone, is_dead) = slot.history.compact(oldest, slot.base == Base::Absent);
        let freed = before - slot.history.heap_len();
        let is_flushed = !slot.dirty && slot.newest_sequence() <= flushed;
        let tables_know = match slot.base {
            Base::Absent => true,
            Base::Dead => is_flushed,
            Base::Unknown | Base::Live => false,
        };
        self.len = self.len.saturating_sub(freed);
        self.version_count -= gone as u64;
        if is_dead && tables_know {
            self.remove(number);
            return gone + 1;
        }
        gone
    }

    /// Forgets all keys of a range.
    pub(crate) fn forget(&mut self, bounds: Bounds<'_>) {
        for index in 0..self.slots.len() {
            let slot = self.slots.get(index).and_then(Option::as_ref);
            if slot.is_some_and(|slot| contains(&bounds, &slot.key)) {
                self.remove(u32::try_from(index).expect("slots are numbered so"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
