//! Keys that are not in the memtable, by their hash: where in the log their newest version is.
//! Derived, and bounded.
//!
//! A key is in the memtable or here, never in both: what leaves the memtable comes here, and what
//! comes back there is taken out here, under the memtable's lock. So a key that is here was not
//! written since its newest version went to the tables, and the record at its place has that
//! version. A key that is in neither does not exist, unless this index had to leave some out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cairn_index::{AtLimit, HotConfig, HotIndex, Lookup};

use crate::entry::Version;

/// The records that versions came from, which is faster to look at than a table.
pub trait Records<V>: std::fmt::Debug + Send + Sync {
    /// Looks at the record at a reference: is it of this key? See [`Version::decode`] for
    /// `share`.
    fn find(&self, reference: u64, key: &[u8], share: bool) -> Found<V>;
}

/// What a record says.
#[derive(Debug)]
pub enum Found<V> {
    /// It has this version of the key.
    Version(V),
    /// It is about something else.
    Other,
    /// It cannot be had: the tables are to be asked.
    Unknown,
}

/// What the index says of a key's newest version.
#[derive(Debug)]
pub(super) enum Newest<V> {
    /// This is it, or there is none.
    Known(Option<V>),
    /// The tables are to be asked.
    InTables,
}

/// Counters of keys that moved to the memtable.
const MOVE_COUNTERS: usize = 64;

/// The index and the records that it leads to.
#[derive(Debug)]
pub(super) struct Hot<V> {
    index: HotIndex,
    records: Arc<dyn Records<V>>,
    /// Counted up before a key is taken out: who missed a key in the memtable, and then here,
    /// may have missed it on its way.
    moves: [AtomicU32; MOVE_COUNTERS],
}

/// A search, begun before the memtable was looked into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    hash: u64,
    moves: u32,
}

impl Search {
    pub(super) fn hash(self) -> u64 {
        self.hash
    }
}

impl<V: Version> Hot<V> {
    /// Hashes come from outside: the index's own seed does not matter.
    pub(super) fn new(budget: usize, records: Arc<dyn Records<V>>) -> Self {
        let index = HotIndex::new(HotConfig { budget, at_limit: AtLimit::Evict, seed: 0 });
        Self { index, records, moves: [const { AtomicU32::new(0) }; MOVE_COUNTERS] }
    }

    fn moves_of(&self, hash: u64) -> &AtomicU32 {
        &self.moves[hash as usize % MOVE_COUNTERS]
    }

    /// Begins a search; the memtable is looked into next.
    pub(super) fn begin(&self, hash: u64) -> Search {
        Search { hash, moves: self.moves_of(hash).load(Ordering::Acquire) }
    }

    /// Goes on with a search after the key was not in the memtable. `share` is asked when there
    /// is a place to look at; see [`Version::decode`] for what it says.
    pub(super) fn find(
        &self,
        search: Search,
        key: &[u8],
        mut share: impl FnMut() -> bool,
    ) -> Newest<V> {
        let mut found = None;
        let mut unknown = false;
        let outcome = self.index.lookup(search.hash, |place| {
            match self.records.find(place, key, share()) {
                Found::Version(version) => found = Some(version),
                Found::Other => {}
                Found::Unknown => unknown = true,
            }
            found.is_some()
        });
        match (outcome, found) {
            (Lookup::Found(_), Some(version)) => Newest::Known(Some(version)),
            (Lookup::Absent, _) if !unknown && self.has_not_moved(search) => Newest::Known(None),
            _ => Newest::InTables,
        }
    }

    fn has_not_moved(&self, search: Search) -> bool {
        self.moves_of(search.hash).load(Ordering::Acquire) == search.moves
    }

    /// Notes a key that leaves the memtable. Under the memtable's lock.
    pub(super) fn add(&self, hash: u64, newest: &V) {
        if self.index.insert_new(hash, newest.reference()).is_err() {
            self.index.mark_incomplete();
        }
    }

    /// Notes a key that was found in tables. Under the memtable's lock, which does not have it.
    pub(super) fn remember(&self, search: Search, newest: &V) {
        let place = newest.reference();
        let ticket = self.index.ticket(search.hash);
        self.index.promote(ticket, search.hash, place, |known| known == place);
    }

    /// Takes out a key that comes into the memtable, and says whether it was here. Under the
    /// memtable's lock, for writing.
    pub(super) fn take_out(&self, hash: u64, reference: u64) -> bool {
        self.moves_of(hash).fetch_add(1, Ordering::AcqRel);
        self.index.remove(hash, |known| known == reference).is_some()
    }

    /// Forgets everything: from now on the tables are asked, until keys are remembered again.
    pub(super) fn clear(&self) {
        self.index.clear();
        self.index.mark_incomplete();
    }

    /// Bytes that it takes.
    pub(super) fn len(&self) -> usize {
        self.index.memory()
    }
}
