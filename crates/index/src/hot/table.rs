//! One shard of the hot index: buckets in the order of the fingerprints. **Derived**.
//!
//! A key's home is `fingerprint * buckets >> 32`, for any count of buckets: so a table grows by
//! a quarter, not by doubling, and growing copies front to back. A full home passes the key on
//! to the next bucket and counts it; the count tells searches when to stop, also after keys
//! were removed, so there are no tombstones.

use super::bucket::{Bucket, SLOTS};
use crate::bits::spread;

/// How far a key may stand from home. Only keys made to collide come here, and they are then
/// left out of the index: so no search is longer than this.
const REACH_MAX: usize = 64;

/// Where a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    bucket: usize,
    slot: usize,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    buckets: Box<[Bucket]>,
    len: usize,
    /// Changes of any kind so far: what was read under another number may be out of date.
    pub(super) changes: u64,
    /// Any key may be missing here.
    pub(super) incomplete: bool,
}

impl Table {
    pub(super) fn with_buckets(count: usize) -> Self {
        let buckets = (0..count).map(|_| Bucket::default()).collect();
        Self { buckets, ..Self::default() }
    }

    /// Nothing indexed, everything possible.
    pub(super) fn unknown() -> Self {
        Self { incomplete: true, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    pub(super) fn memory(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// Four fifths full: beyond, the runs of full buckets get long, and with them searches (at
    /// seven eighths, one key in a million would find no room within 32 buckets).
    pub(super) fn is_crowded(&self) -> bool {
        self.len >= self.buckets.len() * SLOTS * 4 / 5
    }

    /// How many buckets the table would have after growing.
    pub(super) fn grown(&self) -> usize {
        (self.buckets.len() * 5).div_ceil(4).max(self.buckets.len() + 1).max(2)
    }

    #[inline]
    pub(super) fn home(&self, fingerprint: u32) -> usize {
        spread(u64::from(fingerprint) << 32, self.buckets.len())
    }

    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// Whether a miss proves that there is no such key.
    #[inline]
    pub(super) fn knows_all(&self, fingerprint: u32) -> bool {
        let home = self.buckets.get(self.home(fingerprint));
        !self.incomplete && !home.is_some_and(Bucket::is_lossy)
    }

    /// Calls `each` for every slot with the fingerprint, nearest to home first.
    #[inline]
    pub(super) fn search(&self, fingerprint: u32, mut each: impl FnMut(Slot, u64)) {
        let mut at = self.home(fingerprint);
        for _ in 0..REACH_MAX.min(self.buckets.len()) {
            let bucket = &self.buckets[at];
            let mut found = bucket.find(fingerprint);
            if found != 0 {
                bucket.touch(found);
            }
            while found != 0 {
                let slot = found.trailing_zeros() as usize;
                each(Slot { bucket: at, slot }, bucket.place(slot));
                found &= found - 1;
            }
            if !bucket.is_passed() {
                break;
            }
            at = self.after(at);
        }
    }

    /// The slot with exactly this fingerprint and place.
    pub(super) fn locate(&self, fingerprint: u32, place: u64) -> Option<Slot> {
        let mut found = None;
        self.search(fingerprint, |slot, other| {
            if other == place {
                found = found.or(Some(slot));
            }
        });
        found
    }

    pub(super) fn replace(&mut self, slot: Slot, place: u64) {
        self.changes += 1;
        self.buckets[slot.bucket].set_place(slot.slot, place);
    }

    /// Adds a key, as near to home as there is room; `false` when there is none in reach.
    pub(super) fn insert(&mut self, fingerprint: u32, place: u64) -> bool {
        self.changes += 1;
        let home = self.home(fingerprint);
        let mut at = home;
        for distance in 0..REACH_MAX.min(self.buckets.len()) {
            if !self.buckets[at].is_full() {
                let mut passed = home;
                for _ in 0..distance {
                    self.buckets[passed].pass();
                    passed = self.after(passed);
                }
                self.buckets[at].push(fingerprint, place);
                self.len += 1;
                return true;
            }
            at = self.after(at);
        }
        false
    }

    /// Takes a key out.
    pub(super) fn erase(&mut self, slot: Slot) {
        self.changes += 1;
        let mut at = self.home(self.buckets[slot.bucket].fingerprint(slot.slot));
        while at != slot.bucket {
            self.buckets[at].unpass();
            at = self.after(at);
        }
        self.buckets[slot.bucket].take(slot.slot);
        self.len -= 1;
    }

    /// Forgets a key that is not used much, at the home of `fingerprint` or behind it, and
    /// notes at its home that it is missing. `false` only for an empty table.
    pub(super) fn evict(&mut self, fingerprint: u32) -> bool {
        let mut at = self.home(fingerprint);
        // Spread, for the count of changes goes up in a fixed step at each eviction.
        let turn = (self.changes.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        for _ in 0..self.buckets.len() {
            if let Some(slot) = self.buckets[at].victim(turn) {
                self.lose(self.buckets[at].fingerprint(slot));
                self.erase(Slot { bucket: at, slot });
                return true;
            }
            at = self.after(at);
        }
        false
    }

    /// Notes that a key of this fingerprint is not indexed.
    pub(super) fn lose(&mut self, fingerprint: u32) {
        self.changes += 1;
        let home = self.home(fingerprint);
        match self.buckets.get_mut(home) {
            Some(bucket) => bucket.set_lossy(),
            None => self.incomplete = true,
        }
    }

    /// Marks a bucket by its number: for a checkpoint that is read back.
    pub(super) fn set_lossy(&mut self, bucket: usize) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.set_lossy();
        }
    }

    /// The same keys in so many buckets.
    pub(super) fn rebuilt(&self, count: usize) -> Self {
        let mut table = Self::with_buckets(count);
        table.incomplete = self.incomplete;
        for (number, bucket) in self.buckets.iter().enumerate() {
            if bucket.is_lossy() {
                table.inherit_loss(number as u64, self.buckets.len() as u64);
            }
            for slot in 0..bucket.len() {
                let fingerprint = bucket.fingerprint(slot);
                if !table.insert(fingerprint, bucket.place(slot)) {
                    table.lose(fingerprint);
                }
            }
        }
        table.changes = self.changes + 1;
        table
    }

    /// Marks every bucket that takes over a part of bucket `number` of `count`.
    fn inherit_loss(&mut self, number: u64, count: u64) {
        let first = |number: u64| (number << 32).div_ceil(count);
        let bound = self.buckets.len() as u64;
        let from = (first(number) * bound) >> 32;
        let to = ((first(number + 1) - 1) * bound) >> 32;
        for bucket in from..=to {
            self.set_lossy(usize::try_from(bucket).expect("a number of a bucket in memory"));
        }
    }

    /// Checks what must always hold.
    ///
    /// # Panics
    /// When it does not: a bug in this module.
    pub(super) fn check_invariants(&self) {
        let mut len = 0;
        for (number, bucket) in self.buckets.iter().enumerate() {
            len += bucket.len();
            for slot in 0..bucket.len() {
                let (fingerprint, place) = (bucket.fingerprint(slot), bucket.place(slot));
                let mut found = false;
                self.search(fingerprint, |at, other| {
                    found |= at == Slot { bucket: number, slot } && other == place;
                });
                assert!(found, "a search reaches every slot in use");
            }
        }
        assert_eq!(len, self.len, "the count of keys is the sum over the buckets");
    }
}
