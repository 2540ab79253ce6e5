//! One key in memory. Derived.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{History, Key};
use crate::entry::Version;

/// What the tables say of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// They have no version of it.
    Absent,
    /// They had none when the flush that is being written began.
    Unknown,
    /// Their newest version is a tombstone.
    Dead,
    /// Their newest version is a value.
    Live,
}

/// What a key in memory says to a reader.
#[derive(Debug)]
pub(crate) enum Look<'a, V> {
    /// The version that the reader sees, or that there is none.
    Known(Option<&'a V>),
    /// It is older than what memory has of the key: the tables know.
    InTables,
}

/// A key with its newest versions, at least all that the tables do not have.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) key: Key,
    pub(crate) history: History<V>,
    pub(crate) base: Base,
    /// Has changes that no flush has begun to write.
    pub(crate) dirty: bool,
    /// Older versions may be in tables.
    pub(crate) partial: bool,
    /// The order that knows it, by its number; 0 for none.
    pub(crate) order: u32,
    used: AtomicBool,
}

impl<V: Version> Slot<V> {
    pub(crate) fn new(key: Key, history: History<V>, base: Base) -> Self {
        let (dirty, partial) = (false, base != Base::Absent);
        Self { key, history, base, dirty, partial, order: 0, used: AtomicBool::new(false) }
    }

    /// The newest version that is not newer than `sequence`, also a tombstone.
    pub(crate) fn look(&self, sequence: u64) -> Look<'_, V> {
        match self.history.at_or_tombstone(sequence) {
            None if self.partial => Look::InTables,
            found => Look::Known(found),
        }
    }

    pub(crate) fn newest_sequence(&self) -> u64 {
        self.history.newest().sequence()
    }

    /// How many more keys exist because of what the tables do not know.
    pub(crate) fn weight(&self) -> i64 {
        let lives = !self.history.newest().is_tombstone();
        i64::from(lives) - i64::from(self.base == Base::Live)
    }

    /// Notes that it was read: it is not the next to be evicted.
    pub(crate) fn touch(&self) {
        // A plain look first: many readers of one key must not fight for its cache line.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was read since the last call.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }
}
