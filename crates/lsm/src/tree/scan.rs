//! Ranges and counts over memory and tables. Derived.

use std::borrow::Cow;
use std::ops::Bound;

use bytes::Bytes;

use super::Tree;
use crate::Result;
use crate::bounds::{Bounds, first_key, is_empty_range, is_past};
use crate::entry::Version;
use crate::memtable::{Key, Look};
use crate::merge::Merge;

/// Keys copied from memory at first, and at most, while a range is read from tables too.
const PIECE_MIN: usize = 32;
const PIECE_MAX: usize = 4096;

/// What is to be seen of a range.
struct Sight<'e, V: Clone> {
    sequence: u64,
    tombstones: bool,
    each: &'e mut dyn FnMut(&[u8], Cow<'_, V>) -> bool,
}

impl<V: Version> Sight<'_, V> {
    /// Shows a version if it is one to be seen; says whether to go on.
    fn show(&mut self, key: &[u8], version: Option<Cow<'_, V>>) -> bool {
        match version {
            Some(version) if self.tombstones || !version.is_tombstone() => {
                (self.each)(key, version)
            }
            _ => true,
        }
    }
}

/// Keys of memory within a range that tables do not know as they are now, and perhaps others.
struct Piece<V> {
    keys: std::vec::IntoIter<(Key, Option<V>)>,
    /// The last one, when there may be more behind it.
    last: Option<Key>,
}

impl<V: Version> Tree<V> {
    /// Calls `each` with the keys of a range in order, each with its newest version that is not
    /// newer than `sequence`, until it says stop. Keys that are tombstones then are left out
    /// unless `tombstones`.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn walk(
        &self,
        bounds: Bounds<'_>,
        sequence: u64,
        tombstones: bool,
        mut each: impl FnMut(&[u8], Cow<'_, V>) -> bool,
    ) -> Result<()> {
        let mut sight = Sight { sequence, tombstones, each: &mut each };
        {
            let memtable = self.memtable_in_order();
            if memtable.is_complete() {
                let levels = self.levels.load();
                let mut failed = None;
                memtable.walk(bounds, |slot| match slot.look(sequence) {
                    Look::Known(found) => sight.show(&slot.key, found.map(Cow::Borrowed)),
                    Look::InTables => match self.read_tables(&levels, &slot.key, sequence, true) {
                        Ok(found) => sight.show(&slot.key, found.map(Cow::Owned)),
                        Err(error) => {
                            failed = Some(error);
                            false
                        }
                    },
                });
                return failed.map_or(Ok(()), Err);
            }
        }
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
            if !self.show_merged(piece, (from, end), &mut sight)? || last.is_none() {
                return Ok(());
            }
            start = last;
            piece_len = (piece_len * 4).min(PIECE_MAX);
        }
    }

    fn piece(&self, bounds: Bounds<'_>, sequence: u64, len: usize) -> Piece<V> {
        let mut keys = Vec::new();
        let mut last = None;
        let mut left = len;
        self.memtable_in_order().walk(bounds, |slot| {
            if let Look::Known(found) = slot.look(sequence) {
                keys.push((slot.key.clone(), found.cloned()));
            }
            left -= 1;
            if left == 0 {
                last = Some(slot.key.clone());
            }
            left > 0
        });
        Piece { keys: keys.into_iter(), last }
    }

    /// Shows what is in a piece of memory and in tables; says whether to go on.
    fn show_merged(
        &self,
        piece: Piece<V>,
        bounds: Bounds<'_>,
        sight: &mut Sight<'_, V>,
    ) -> Result<bool> {
        let mut in_memory = piece.keys.peekable();
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
            while let Some((before, version)) = in_memory.next_if(|(at, _)| **at < *key) {
                if !sight.show(&before, version.map(Cow::Owned)) {
                    return Ok(false);
                }
            }
            let known = in_memory.next_if(|(at, _)| **at == *key);
            let mut version = None;
            let is_known = known.is_some();
            while let Some(entry) = merge.entry()
                && entry.key == key
            {
                if !is_known && version.is_none() && entry.sequence <= sight.sequence {
                    version = Some(V::decode(&entry, true).ok_or_else(|| self.undecodable())?);
                }
                merge.advance()?;
            }
            let go_on = match known {
                Some((key, version)) => sight.show(&key, version.map(Cow::Owned)),
                None => match version {
                    Some(version) => sight.show(&key, Some(Cow::Owned(version))),
                    None => true,
                },
            };
            if !go_on {
                return Ok(false);
            }
        }
        for (key, version) in in_memory {
            if !sight.show(&key, version.map(Cow::Owned)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many keys of a range exist at the newest sequence. O(log n), and the number of keys
    /// that changed since the last flush; where memory is complete, `None` while deleted keys
    /// wait for compaction.
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
        // Under memory's lock: a flush moves keys from one side to the other.
        let count = self.levels.load().weight(&bounds)? + memtable.unflushed_weight(bounds);
        debug_assert!(count >= 0, "weights add up to a number of keys");
        Ok(Some(u64::try_from(count).unwrap_or(0)))
    }

    /// The last key below `key` that has a version, live or not; `None` stands for the end.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn last_key_below(&self, key: Option<&[u8]>) -> Result<Option<Bytes>> {
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
