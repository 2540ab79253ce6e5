//! What of the memtable only shows inside.

use super::*;
use crate::entry::EntryRef;

#[derive(Debug, Clone)]
struct Bare(u64, bool);

impl Version for Bare {
    fn sequence(&self) -> u64 {
        self.0
    }

    fn is_tombstone(&self) -> bool {
        self.1
    }

    fn reference(&self) -> u64 {
        self.0
    }

    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &EntryRef<'_>, _: bool) -> Option<Self> {
        None
    }

    fn heap_len(&self) -> usize {
        0
    }
}

#[test]
fn slots_of_short_lived_keys_are_given_again_though_writes_never_pause() {
    let mut memtable = Memtable::new(Seed(1), 0, true);
    let mut sequence = 0;
    let mut next = || {
        sequence += 1;
        sequence
    };
    for round in 0..200 {
        for n in 0..50 {
            let key = format!("{round}/{n}");
            let hash = memtable.seed.hash(key.as_bytes());
            memtable.insert(hash, key.as_bytes(), Bare(next(), false), Base::Absent);
            let gone = next();
            memtable.insert(hash, key.as_bytes(), Bare(gone, true), Base::Absent);
            memtable.compact_some(0, gone, usize::MAX);
        }
        let last = next();
        let steady = memtable.seed.hash(b"steady");
        memtable.insert(steady, b"steady", Bare(last, false), Base::Absent);
        let slots = memtable.begin_flush();
        // Never is everything flushed.
        memtable.insert(steady, b"steady", Bare(next(), false), Base::Absent);
        let written: Vec<(u32, bool)> = slots.into_iter().map(|(_, slot)| (slot, false)).collect();
        memtable.end_flush(&written, last);
    }
    assert!(memtable.slots.len() < 300, "{} slots for one key", memtable.slots.len());
}

#[test]
fn a_flush_that_was_given_up_counts_as_changed_again() {
    let mut memtable = Memtable::new(Seed(1), 0, true);
    memtable.insert(memtable.seed.hash(b"a"), b"a", Bare(1, false), Base::Absent);
    let before = memtable.dirty_len();
    memtable.begin_flush();
    assert_eq!(memtable.dirty_len(), 0);
    memtable.abandon_flush();
    assert_eq!(memtable.dirty_len(), before);
    assert_eq!(memtable.begin_flush(), [(Key::new(b"a"), 0)]);
}
