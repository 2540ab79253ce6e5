//! One cache line of the hot index: six slots of 32 fingerprint bits and a 48-bit place.
//! **Derived**.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

pub(super) const SLOTS: usize = 6;

/// Slots `0..len` are in use. `meta` is atomic because readers set the used-lately bits while
/// they hold a shared lock; everything else changes under the exclusive one.
#[repr(align(64))]
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Bits 0-2 the count of slots in use, 3-8 which were used lately, 9 whether a key that
    /// belongs here is not indexed, 16-31 how many keys that belong here or before were placed
    /// further on.
    meta: AtomicU32,
    fingerprints: [u32; SLOTS],
    low: [u32; SLOTS],
    high: [u16; SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

const COUNT: u32 = 0b111;
const USED_SHIFT: usize = 3;
const USED: u32 = 0b11_1111 << USED_SHIFT;
const LOSSY: u32 = 1 << 9;
const PASSED_SHIFT: u32 = 16;
const PASSED_MAX: u32 = 0xffff;

impl Bucket {
    #[inline]
    fn meta(&self) -> u32 {
        self.meta.load(Relaxed)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        (self.meta() & COUNT) as usize
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == SLOTS
    }

    /// Whether a search for a key that belongs here or before must go on behind this bucket.
    #[inline]
    pub(super) fn is_passed(&self) -> bool {
        self.meta() >> PASSED_SHIFT != 0
    }

    /// One more key was placed behind this bucket. At its maximum the count stays put for good:
    /// searches then merely look further than they must.
    pub(super) fn pass(&mut self) {
        let meta = self.meta.get_mut();
        if *meta >> PASSED_SHIFT < PASSED_MAX {
            *meta += 1 << PASSED_SHIFT;
        }
    }

    /// One key less stands behind this bucket.
    pub(super) fn unpass(&mut self) {
        let meta = self.meta.get_mut();
        let passed = *meta >> PASSED_SHIFT;
        assert!(passed > 0, "a key that was placed further on was counted");
        if passed < PASSED_MAX {
            *meta -= 1 << PASSED_SHIFT;
        }
    }

    /// Whether a key that belongs here is not indexed, so that a miss proves nothing.
    #[inline]
    pub(super) fn is_lossy(&self) -> bool {
        self.meta() & LOSSY != 0
    }

    pub(super) fn set_lossy(&mut self) {
        *self.meta.get_mut() |= LOSSY;
    }

    /// The slots with this fingerprint, one bit each.
    #[inline]
    pub(super) fn find(&self, fingerprint: u32) -> u32 {
        let mut found = 0;
        for (slot, other) in self.fingerprints.iter().enumerate() {
            found |= u32::from(*other == fingerprint) << slot;
        }
        found & ((1 << self.len()) - 1)
    }

    #[inline]
    pub(super) fn place(&self, slot: usize) -> u64 {
        u64::from(self.low[slot]) | u64::from(self.high[slot]) << 32
    }

    pub(super) fn fingerprint(&self, slot: usize) -> u32 {
        self.fingerprints[slot]
    }

    #[expect(clippy::cast_possible_truncation, reason = "a place has 48 bits, checked on entry")]
    pub(super) fn set_place(&mut self, slot: usize, place: u64) {
        self.low[slot] = place as u32;
        self.high[slot] = (place >> 32) as u16;
    }

    pub(super) fn push(&mut self, fingerprint: u32, place: u64) {
        let slot = self.len();
        assert!(slot < SLOTS, "only a bucket with room is pushed to");
        self.fingerprints[slot] = fingerprint;
        self.set_place(slot, place);
        *self.meta.get_mut() += 1;
    }

    /// Empties a slot; the last one in use moves there.
    pub(super) fn take(&mut self, slot: usize) {
        let last = self.len() - 1;
        assert!(slot <= last, "only a slot in use is emptied");
        let used = self.meta() >> (USED_SHIFT + last) & 1;
        self.fingerprints[slot] = self.fingerprints[last];
        self.set_place(slot, self.place(last));
        let meta = self.meta.get_mut();
        *meta &= !(1 << (USED_SHIFT + slot) | 1 << (USED_SHIFT + last));
        if slot != last {
            *meta |= used << (USED_SHIFT + slot);
        }
        *meta -= 1;
    }

    /// Notes that slots (one bit each) were used lately.
    #[inline]
    pub(super) fn touch(&self, slots: u32) {
        let bits = slots << USED_SHIFT;
        if self.meta() & bits != bits {
            self.meta.fetch_or(bits, Relaxed);
        }
    }

    /// The slot to give up: one not used lately, from number `turn` on (the last slot moves to
    /// an emptied one, so a fixed start would forget the newest key again and again). When all
    /// were used, all get a second chance but that one. `None` for an empty bucket.
    pub(super) fn victim(&mut self, turn: usize) -> Option<usize> {
        let len = self.len();
        let start = turn.checked_rem(len)?;
        let used = (self.meta() & USED) >> USED_SHIFT;
        let mut slots = (start..len).chain(0..start);
        if let Some(slot) = slots.find(|slot| used >> slot & 1 == 0) {
            return Some(slot);
        }
        *self.meta.get_mut() &= !USED;
        Some(start)
    }
}
