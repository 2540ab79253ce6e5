//! The ordered store: memory over tables. Derived: from the log, whose position the manifest
//! names; what the log says after it has to be inserted again at open.
//!
//! ```text
//!  insert ──▶ memory ──flush──▶ level 0 ──merge──▶ level 1 ──▶ ...
//!  get    ──▶ memory, else the record whose place is known, else tables by their filters
//!  walk   ──▶ memory and tables merged
//! ```
//!
//! One writer at a time inserts; readers come at any time, and choose versions by sequence.
//! A reader looks into memory first and takes the list of tables after: what was evicted in
//! between is in tables by then.

mod flush;
mod hot;
mod merging;
mod open;
mod options;
mod points;
mod redact;
mod scan;

use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use cairn_codec::CodecRegistry;
use cairn_vfs::Vfs;

use crate::bounds::Bounds;
use crate::entry::{Redact, Version};
use crate::levels::Levels;
use crate::manifest::Manifest;
use crate::memtable::{Memtable, Seed};
use crate::merging::Job;
use crate::table::{BlockCache, TableOptions};
use crate::{Error, Result};

pub use flush::Flush;
use hot::Hot;
pub use hot::{Found, Records};
pub use open::Opened;
pub use options::TreeOptions;
pub use points::Before;

/// An ordered store of versions `V`.
#[derive(Debug)]
pub struct Tree<V> {
    vfs: Arc<dyn Vfs>,
    dir: String,
    options: TreeOptions,
    table_options: TableOptions,
    cache: Arc<BlockCache>,
    codecs: CodecRegistry,
    memtable: RwLock<Memtable<V>>,
    seed: Seed,
    hot: Option<Hot<V>>,
    /// As memory says them, to be looked at without its lock.
    memory_len: AtomicUsize,
    dirty_len: AtomicUsize,
    levels: ArcSwap<Levels>,
    /// Held during every edit.
    manifest: Mutex<Manifest>,
    job: Mutex<Option<Job>>,
    next_id: AtomicU64,
    oldest: AtomicU64,
    read_only: bool,
    forgotten: RwLock<Vec<(Bytes, Bytes)>>,
    /// Looked at first: mostly nothing was ever forgotten.
    has_forgotten: AtomicBool,
    /// Whom merges ask what versions must give up.
    redactor: OnceLock<Arc<dyn Redact>>,
    /// Where the turn of the tables of a level goes on.
    compact_after: Mutex<Vec<u8>>,
    /// Tags of keys that were looked for in tables: the second time they are taken into memory.
    looked_for: Vec<AtomicU32>,
    /// A writer is between its first load and its last insert.
    writing: AtomicBool,
    dropped: AtomicU64,
    merged: AtomicU64,
    /// Bytes that merges have written.
    merged_len: AtomicU64,
    flushed: AtomicU64,
    /// The oldest sequence when everything was merged last.
    merged_oldest: AtomicU64,
}

/// Sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeStats {
    /// Bytes that keys in memory take, about.
    pub memory_len: u64,
    /// Bytes that the places of other keys take.
    pub hot_len: u64,
    /// Of the bytes in memory, those changed since the last flush.
    pub dirty_len: u64,
    /// Versions in memory.
    pub memory_version_count: u64,
    /// Tables.
    pub table_count: u64,
    /// Their bytes.
    pub table_len: u64,
    /// Versions in tables, also those that a merge will drop.
    pub table_version_count: u64,
    /// Versions that merges have dropped since the store was opened.
    pub dropped_version_count: u64,
    /// Versions that merges have written again since the store was opened.
    pub merged_version_count: u64,
    /// Versions that flushes have written since the store was opened.
    pub flushed_version_count: u64,
    /// Whether memory holds every key.
    pub is_complete: bool,
}

impl TreeStats {
    /// Versions, as far as they can be counted without reading tables: those of memory where it
    /// is complete, else those of tables, too.
    #[must_use]
    pub fn version_count(&self) -> u64 {
        if self.is_complete { self.memory_version_count } else { self.table_version_count }
    }
}

/// Keys remembered as looked for in tables.
const LOOKED_FOR: usize = 8192;

/// A write under way.
#[derive(Debug)]
pub struct Writing<'a> {
    flag: &'a AtomicBool,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.flag.store(false, Ordering::SeqCst);
    }
}

impl<V: Version> Tree<V> {
    fn memtable(&self) -> RwLockReadGuard<'_, Memtable<V>> {
        self.memtable.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn memtable_mut(&self) -> RwLockWriteGuard<'_, Memtable<V>> {
        self.memtable.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of a key under a seed that each opening chooses: the one that memory and the
    /// index of places use, so that it is computed once.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.seed.hash(key)
    }

    /// Memory with its ordered index up to date.
    fn memtable_in_order(&self) -> RwLockReadGuard<'_, Memtable<V>> {
        if !self.memtable().is_ordered() {
            self.memtable_mut().bring_into_order();
        }
        // What comes in between is newer than anything that a reader was told of.
        self.memtable()
    }

    /// Whether a range would first have to bring memory into order.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.memtable().is_ordered()
    }

    /// Brings up to `count` keys of memory into order, which otherwise the next range does for
    /// all of them; says whether there are more. Work for idle times.
    pub fn bring_into_order(&self, count: usize) -> bool {
        self.memtable_mut().bring_some_into_order(count)
    }

    /// Changes with everything that comes into memory or goes.
    #[must_use]
    pub fn change_mark(&self) -> (usize, usize) {
        (self.memory_len.load(Ordering::Relaxed), self.dirty_len.load(Ordering::Relaxed))
    }

    fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to answer when a version of a table [does not decode](Version::decode).
    #[must_use]
    pub fn undecodable(&self) -> Error {
        Error::corrupt(&self.dir, 0, "a version in a table is not what the layer above wrote")
    }

    /// Every version of a key that can be read, oldest first, wherever they are: from the one that
    /// the oldest reader sees on, unless that is a tombstone.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn history(&self, key: &[u8]) -> Result<Vec<V>> {
        let (mut newer, is_whole) = {
            let memtable = self.memtable();
            match memtable.get(self.hash(key), key) {
                Some(slot) => (slot.history.versions().to_vec(), !slot.partial),
                None => (Vec::new(), memtable.is_complete()),
            }
        };
        let oldest = self.oldest.load(Ordering::Acquire);
        let mut versions = match is_whole || self.is_forgotten(key) {
            true => Vec::new(),
            false => self.versions_in_tables(key, newer.first(), oldest)?,
        };
        versions.append(&mut newer);
        let hidden = versions.partition_point(|version| version.sequence() <= oldest);
        let seen = hidden.checked_sub(1).and_then(|at| versions.get(at));
        let is_nothing = seen.is_some_and(V::is_tombstone);
        versions.drain(..if is_nothing { hidden } else { hidden.saturating_sub(1) });
        Ok(versions)
    }

    /// The versions of a key that tables have before another one, oldest first; nothing before
    /// the newest that the oldest reader sees.
    fn versions_in_tables(&self, key: &[u8], before: Option<&V>, oldest: u64) -> Result<Vec<V>> {
        let first = before.map_or(u64::MAX, V::sequence);
        let mut versions = Vec::new();
        let mut is_whole = true;
        self.levels.load().versions(key, first.saturating_sub(1), |entry| {
            match V::decode(entry, true) {
                Some(version) => versions.push(version),
                None => is_whole = false,
            }
            is_whole && entry.sequence > oldest
        })?;
        if !is_whole {
            return Err(self.undecodable());
        }
        versions.reverse();
        Ok(versions)
    }

    /// Begins a write of the one writer: while this lives, nothing that it loads is evicted.
    #[must_use]
    pub fn begin_write(&self) -> Writing<'_> {
        self.writing.store(true, Ordering::SeqCst);
        Writing { flag: &self.writing }
    }

    fn note_lens(&self, memtable: &Memtable<V>) {
        self.memory_len.store(memtable.len(), Ordering::Relaxed);
        self.dirty_len.store(memtable.dirty_len(), Ordering::Relaxed);
    }

    /// Makes `oldest` the oldest sequence that readers ask for. What only older readers could
    /// see is dropped by [`compact_memory`](Self::compact_memory) and by merges.
    pub fn set_oldest(&self, oldest: u64) {
        self.oldest.fetch_max(oldest, Ordering::AcqRel);
    }

    /// Drops versions that nobody can read from memory, a piece at a time, and says how many.
    pub fn compact_memory(&self) -> u64 {
        const PIECE: usize = 1000;
        let oldest = self.oldest.load(Ordering::Acquire);
        let mut dropped = 0;
        let mut from = 0;
        loop {
            let (count, next) = self.memtable_mut().compact_some(from, oldest, PIECE);
            dropped += count as u64;
            match next {
                Some(next) => from = next,
                None => return dropped,
            }
        }
    }

    /// Forgets every key from `start` up to `end`: such keys never come again. Nobody is shown
    /// what tables still have of them, and merges drop it.
    pub fn forget(&self, start: &[u8], end: &[u8]) {
        let range = (Bytes::copy_from_slice(start), Bytes::copy_from_slice(end));
        let mut forgotten = self.forgotten.write().unwrap_or_else(PoisonError::into_inner);
        if !forgotten.contains(&range) {
            forgotten.push(range);
        }
        drop(forgotten);
        self.has_forgotten.store(true, Ordering::Release);
        let bounds: Bounds<'_> = (Bound::Included(start), Bound::Excluded(end));
        self.memtable_mut().forget(bounds);
    }

    /// The ranges that were forgotten.
    fn forgotten(&self) -> Vec<(Bytes, Bytes)> {
        self.forgotten.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a forgotten range meets a condition.
    fn any_forgotten(&self, is_it: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        if !self.has_forgotten.load(Ordering::Acquire) {
            return false;
        }
        let forgotten = self.forgotten.read().unwrap_or_else(PoisonError::into_inner);
        forgotten.iter().any(|(start, end)| is_it(start, end))
    }

    /// Whether a key was [forgotten](Self::forget): what tables and records have of it is nothing.
    #[must_use]
    pub fn is_forgotten(&self, key: &[u8]) -> bool {
        self.any_forgotten(|start, end| start <= key && key < end)
    }

    /// The least reference of all versions: the place in the log that must be kept.
    #[must_use]
    pub fn least_reference(&self) -> Option<u64> {
        let memtable = self.memtable();
        let levels = self.levels.load();
        let tables = levels.tables().map(|(_, table)| table.facts.reference_min).min();
        memtable.least_reference().into_iter().chain(tables).min()
    }

    /// Sizes.
    #[must_use]
    pub fn stats(&self) -> TreeStats {
        let memtable = self.memtable();
        let levels = self.levels.load();
        let (table_len, table_version_count, _) = levels.totals();
        TreeStats {
            memory_len: memtable.len() as u64,
            hot_len: self.hot.as_ref().map_or(0, Hot::len) as u64,
            dirty_len: memtable.dirty_len() as u64,
            memory_version_count: memtable.version_count(),
            table_count: levels.tables().count() as u64,
            table_len,
            table_version_count,
            dropped_version_count: self.dropped.load(Ordering::Relaxed),
            merged_version_count: self.merged.load(Ordering::Relaxed),
            flushed_version_count: self.flushed.load(Ordering::Relaxed),
            is_complete: memtable.is_complete(),
        }
    }

    /// Bytes that merges have written since the store was opened, also those under way.
    #[must_use]
    pub fn merged_len(&self) -> u64 {
        self.merged_len.load(Ordering::Relaxed)
    }

    /// Reads every table and checks it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names the first damage; of the file system.
    pub fn verify(&self) -> Result<()> {
        let levels = self.levels.load_full();
        levels.tables().try_for_each(|(_, table)| table.verify())
    }
}
