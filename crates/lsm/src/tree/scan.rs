//! Ranges and counts over memory and tables. Derived.

use std::ops::Bound;

use bytes::Bytes;

use super::Tree;
use crate::bounds::{Bounds, first_key, is_empty_range, is_past, meets};
use crate::entry::{Stored, Version};
use crate::memtable::{Key, Look};
use crate::merge::Merge;
use crate::{Error, Result};

/// Keys copied from memory at first, and at most. Each piece is twice as long as the one before.
const PIECE_MIN: usize = 16;
const PIECE_MAX: usize = 4096;

/// What is to be seen of a range.
struct Sight<F> {
    sequence: u64,
    tombstones: bool,
    each: F,
}

impl<F> Sight<F> {
    /// Shows a version if it is one to be seen; says whether to go on.
    #[inline]
    fn show<V: Version, E>(&mut self, key: &[u8], version: Stored<'_, V>) -> Result<bool, E>
    where
        F: FnMut(&[u8], Stored<'_, V>) -> Result<bool, E>,
    {
        if version.is_tombstone() && !self.tombstones {
            return Ok(true);
        }
        (self.each)(key, version)
    }
}

/// What memory says of a key to whoever looks at a range.
enum Noted<V> {
    Known(Option<V>),
    /// It is older than what memory has of the key: the tables know.
    InTables,
}

/// Keys of memory within a range: all of them where memory is complete, else those that tables do
/// not know as they are now, and perhaps others.
struct Piece<V> {
    keys: std::vec::IntoIter<(Key, Noted<V>)>,
    /// The last one, when there may be more behind it.
    last: Option<Key>,
    /// Keys that are not in memory are not in tables either.
    is_complete: bool,
}

impl<V: Version> Tree<V> {
    /// Calls `each` with the keys of a range in order, each with its newest version that is not
    /// newer than `sequence`, until it says stop. Keys that are tombstones then are left out
    /// unless `tombstones`. It holds no lock while it calls.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn walk(
        &self,
        bounds: Bounds<'_>,
        sequence: u64,
        tombstones: bool,
        mut each: impl FnMut(&[u8], V) -> bool,
    ) -> Result<()> {
        self.walk_stored(bounds, sequence, tombstones, |key, version| -> Result<bool> {
            let version = version.decode().ok_or_else(|| self.undecodable())?;
            Ok(each(key, version))
        })
    }

    /// As [`walk`](Self::walk), with versions as they are stored: those of tables are lent, not
    /// decoded. An error of `each` ends it.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with), and those of `each`.
    pub fn walk_stored<E: From<Error>>(
        &self,
        bounds: Bounds<'_>,
        sequence: u64,
        tombstones: bool,
        each: impl FnMut(&[u8], Stored<'_, V>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut sight = Sight { sequence, tombstones, each };
        let mut start: Option<Key> = None;
        let mut piece_len = PIECE_MIN;
        loop {
            let from = start.as_deref().map_or(bounds.0, Bound::Excluded);
            let left: Bounds<'_> = (from, bounds.1);
            if is_empty_range(&left) {
                return Ok(());
            }
            let piece = self.piece(left, sequence, piece_len);
            let last = piece.last.clone();
            let end = last.as_deref().map_or(bounds.1, Bound::Included);
            let go_on = match piece.is_complete {
                true => self.show_all(piece.keys, &mut sight)?,
                false => self.show_merged(piece.keys, (from, end), &mut sight)?,
            };
            if !go_on || last.is_none() {
                return Ok(());
            }
            start = last;
            piece_len = (piece_len * 2).min(PIECE_MAX);
        }
    }

    fn piece(&self, bounds: Bounds<'_>, sequence: u64, len: usize) -> Piece<V> {
        let mut keys = Vec::new();
        let mut last = None;
        let mut left = len;
        let memtable = self.memtable_in_order();
        let is_complete = memtable.is_complete();
        memtable.walk(bounds, |slot| {
            match slot.look(sequence) {
                Look::Known(found) => keys.push((slot.key.clone(), Noted::Known(found.cloned()))),
                Look::InTables if is_complete => keys.push((slot.key.clone(), Noted::InTables)),
                // It is met there.
                Look::InTables => {}
            }
            left -= 1;
            if left == 0 {
                last = Some(slot.key.clone());
            }
            left > 0
        });
        Piece { keys: keys.into_iter(), last, is_complete }
    }

    /// Shows the keys of a piece; says whether to go on.
    fn show_all<F, E: From<Error>>(
        &self,
        keys: impl Iterator<Item = (Key, Noted<V>)>,
        sight: &mut Sight<F>,
    ) -> Result<bool, E>
    where
        F: FnMut(&[u8], Stored<'_, V>) -> Result<bool, E>,
    {
        for (key, noted) in keys {
            let version = match noted {
                Noted::Known(version) => version,
                Noted::InTables => {
                    self.read_tables(&self.levels.load(), &key, sight.sequence, true)?
                }
            };
            if let Some(version) = version
                && !sight.show(&key, Stored::Memory(version))?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Shows what is in a piece of memory and in tables; says whether to go on.
    fn show_merged<F, E: From<Error>>(
        &self,
        mut in_memory: std::vec::IntoIter<(Key, Noted<V>)>,
        bounds: Bounds<'_>,
        sight: &mut Sight<F>,
    ) -> Result<bool, E>
    where
        F: FnMut(&[u8], Stored<'_, V>) -> Result<bool, E>,
    {
        // After memory was looked at: what was evicted since is in this list.
        let mut merge: Merge = self.levels.load().merge();
        merge.seek(&first_key(&bounds), u64::MAX)?;
        let mut key = Vec::new();
        let forgotten = self.forgotten();
        while let Some(entry) = merge.entry() {
            if is_past(&bounds.1, entry.key) {
                break;
            }
            let gone =
                forgotten.iter().find(|(from, to)| **from <= *entry.key && *entry.key < **to);
            if let Some((_, end)) = gone {
                merge.seek(end, u64::MAX)?;
                continue;
            }
            key.clear();
            key.extend_from_slice(entry.key);
            let mut is_known = false;
            // A slice is asked, and not a peeking iterator, which would move what it gives back.
            while let Some((at, _)) = in_memory.as_slice().first()
                && **at <= *key
            {
                is_known |= **at == *key;
                if !self.show_all(in_memory.by_ref().take(1), sight)? {
                    return Ok(false);
                }
            }
            let mut is_shown = is_known;
            while let Some(entry) = merge.entry() {
                if !is_shown && entry.sequence <= sight.sequence {
                    is_shown = true;
                    if !sight.show(&key, Stored::Table(&entry))? {
                        return Ok(false);
                    }
                }
                merge.advance()?;
                if merge.entry().is_none_or(|next| next.key != key) {
                    break;
                }
            }
        }
        self.show_all(in_memory, sight)
    }

    /// How many keys of a range exist at the newest sequence. O(log n), and the number of keys
    /// that changed since the last flush; where memory is complete, `None` while deleted keys
    /// wait for compaction, else while tables have forgotten keys in the range.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn count(&self, bounds: Bounds<'_>) -> Result<Option<u64>> {
        if is_empty_range(&bounds) {
            return Ok(Some(0));
        }
        let is_complete = self.memtable().is_complete();
        let memtable = if is_complete { self.memtable_in_order() } else { self.memtable() };
        if memtable.is_complete() {
            return Ok(if memtable.is_ordered() { memtable.quick_count(bounds) } else { None });
        }
        if self.any_forgotten(|start, end| meets(&bounds, start, end)) {
            return Ok(None);
        }
        // Under memory's lock: a flush moves keys from one side to the other.
        let count = self.levels.load().weight(&bounds)? + memtable.unflushed_weight(bounds);
        debug_assert!(count >= 0, "weights add up to a number of keys");
        Ok(Some(u64::try_from(count).unwrap_or(0)))
    }

    /// The last key below `key` that has a version, live or not; `None` stands for the end.
    pub(crate) fn last_key_below(&self, key: Option<&[u8]>) -> Result<Option<Bytes>> {
        let end = key.map_or(Bound::Unbounded, Bound::Excluded);
        let (in_memory, is_complete) = {
            let memtable = self.memtable_in_order();
            let last = memtable
                .last((Bound::Unbounded, end))
                .map(|slot| Bytes::copy_from_slice(&slot.key));
            (last, memtable.is_complete())
        };
        if is_complete {
            return Ok(in_memory);
        }
        let in_tables = self.levels.load().last_key_below(key)?;
        Ok(in_memory.max(in_tables.map(Bytes::from)))
    }

    /// The first key at or behind `key` that has a version, live or not.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn first_key_from(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let mut found = None;
        self.walk((Bound::Included(key), Bound::Unbounded), u64::MAX, true, |key, _| {
            found = Some(Bytes::copy_from_slice(key));
            false
        })?;
        Ok(found)
    }
}
