//! Single keys: reads, what the writer loads before it writes, and what leaves the memtable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::hot::{Hot, Newest, Search};
use super::{Records, Tree};
use crate::Result;
use crate::entry::Version;
use crate::levels::Levels;
use crate::memtable::{Look, Memtable};

/// Keys that a promotion lets go of at most.
const EVICT_FOR_PROMOTION: usize = 4;

impl<V: Version> Tree<V> {
    /// Remembers where the newest versions of keys are that are not in memory, in
    /// [`hot_len`](super::TreeOptions::hot_len) bytes, and reads them from their records instead
    /// of from tables.
    pub fn remember_places(&mut self, seed: u64, records: Arc<dyn Records<V>>) {
        if self.options.hot_len == 0 {
            return;
        }
        let hot = Hot::new(self.options.hot_len, seed, records);
        if !self.memtable().is_complete() {
            hot.clear();
        }
        self.hot = Some(hot);
    }

    /// Calls `look` with the newest version of a key that is not newer than `sequence`, also when
    /// that is a tombstone.
    ///
    /// # Errors
    /// Of the file system; [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn get_with<T>(
        &self,
        key: &[u8],
        sequence: u64,
        look: impl FnOnce(Option<&V>) -> T,
    ) -> Result<T> {
        let search = self.hot.as_ref().map(|hot| (hot, hot.begin(key)));
        {
            let memtable = self.memtable();
            match memtable.get(key) {
                Some(slot) => {
                    slot.touch();
                    if let Look::Known(found) = slot.look(sequence) {
                        return Ok(look(found));
                    }
                }
                None if memtable.is_complete() => return Ok(look(None)),
                None => {}
            }
        }
        if let Some((hot, search)) = search
            && let Newest::Known(newest) = hot.find(search, key, true)
            && newest.as_ref().is_none_or(|newest| newest.sequence() <= sequence)
        {
            if newest.is_some() && self.is_wanted_again(key) {
                self.promote_from_record(hot, search, key);
            }
            return Ok(look(newest.as_ref()));
        }
        let levels = self.levels.load();
        let found = self.read_tables(&levels, key, sequence, true)?;
        if let Some(found) = &found {
            if self.is_wanted_again(key) {
                self.promote(&levels, key)?;
            } else if let Some((hot, search)) = search {
                self.remember(hot, search, &levels, key, sequence, found);
            }
        }
        Ok(look(found.as_ref()))
    }

    /// The newest version of a key that is not newer than `sequence`, also a tombstone.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn get(&self, key: &[u8], sequence: u64) -> Result<Option<V>> {
        self.get_with(key, sequence, |version| version.cloned())
    }

    /// Whether a key was looked for outside memory not long ago, too.
    fn is_wanted_again(&self, key: &[u8]) -> bool {
        let hash = cairn_index::key_hash(key);
        let [b0, b1, b2, b3, t0, t1, t2, t3] = hash.to_le_bytes();
        let place = u32::from_le_bytes([b0, b1, b2, b3]) as usize % self.looked_for.len();
        let tag = u32::from_le_bytes([t0, t1, t2, t3]);
        self.looked_for.get(place).is_some_and(|last| last.swap(tag, Ordering::Relaxed) == tag)
    }

    /// Takes a key into memory, if nobody is in the way.
    fn promote(&self, levels: &Levels, key: &[u8]) -> Result<()> {
        let Some(newest) = self.read_tables(levels, key, u64::MAX, false)? else { return Ok(()) };
        if let Ok(mut memtable) = self.memtable.try_write()
            && self.levels.load().generation == levels.generation
        {
            self.take_in(&mut memtable, key, newest);
            self.make_room(&mut memtable);
        }
        Ok(())
    }

    /// As [`promote`](Self::promote), for a key whose place is known.
    fn promote_from_record(&self, hot: &Hot<V>, search: Search, key: &[u8]) {
        let Newest::Known(Some(newest)) = hot.find(search, key, false) else { return };
        if let Ok(mut memtable) = self.memtable.try_write()
            && hot.take_out(key, &newest)
        {
            memtable.load(key, newest);
            self.make_room(&mut memtable);
        }
    }

    fn make_room(&self, memtable: &mut Memtable<V>) {
        // What a writer has loaded must stay until it is written.
        if !self.writing.load(Ordering::SeqCst) {
            self.evict(memtable, EVICT_FOR_PROMOTION);
        }
        self.note_lens(memtable);
    }

    /// Takes a key's newest version as the tables have it into memory.
    fn take_in(&self, memtable: &mut Memtable<V>, key: &[u8], newest: V) {
        if let Some(hot) = &self.hot {
            hot.take_out(key, &newest);
        }
        memtable.load(key, newest);
    }

    /// Notes where a version is that was found in tables, if it is the newest one.
    fn remember(
        &self,
        hot: &Hot<V>,
        search: Search,
        levels: &Levels,
        key: &[u8],
        sequence: u64,
        found: &V,
    ) {
        if let Ok(memtable) = self.memtable.try_read()
            && sequence >= memtable.flushed()
            && memtable.get(key).is_none()
            && self.levels.load().generation == levels.generation
        {
            hot.remember(search, found);
        }
    }

    /// The newest version of a key that is not newer than `sequence`, from tables alone; see
    /// [`Version::decode`] for `share`.
    pub(super) fn read_tables(
        &self,
        levels: &Levels,
        key: &[u8],
        sequence: u64,
        share: bool,
    ) -> Result<Option<V>> {
        let mut found = None;
        levels.get(key, sequence, &mut |entry| found = Some(V::decode(entry, share)))?;
        match found {
            Some(None) => Err(self.undecodable()),
            found => Ok(found.flatten()),
        }
    }

    /// For the writer: makes sure that a key that exists is in memory, so that
    /// [`insert`](Self::insert) finds its history.
    ///
    /// Gives what `look` makes of its newest version, also a tombstone.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn load<T>(&self, key: &[u8], look: impl FnOnce(Option<&V>) -> T) -> Result<T> {
        {
            let memtable = self.memtable();
            if let Some(slot) = memtable.get(key) {
                return Ok(look(Some(slot.history.newest())));
            }
            if memtable.is_complete() {
                return Ok(look(None));
            }
        }
        if let Some(hot) = &self.hot {
            // Nobody else writes: the key is not on its way to the memtable for good.
            match hot.find(hot.begin(key), key, false) {
                Newest::Known(None) => return Ok(look(None)),
                Newest::Known(Some(newest)) => {
                    let answer = look(Some(&newest));
                    self.take_in(&mut self.memtable_mut(), key, newest);
                    return Ok(answer);
                }
                Newest::InTables => {}
            }
        }
        loop {
            let levels = self.levels.load_full();
            let newest = self.read_tables(&levels, key, u64::MAX, false)?;
            let mut memtable = self.memtable_mut();
            if self.levels.load().generation != levels.generation {
                continue;
            }
            let answer = look(newest.as_ref());
            if let Some(newest) = newest {
                self.take_in(&mut memtable, key, newest);
            }
            return Ok(answer);
        }
    }

    /// Adds a version newer than all others of its key; gives what `look` makes of the one
    /// before. One writer at a time, who has [loaded](Self::load) the key in this
    /// [write](Self::begin_write).
    pub fn insert<T>(&self, key: &[u8], version: V, look: impl FnOnce(Option<&V>) -> T) -> T {
        let mut memtable = self.memtable_mut();
        let answer = memtable.insert(key, version, look);
        self.note_lens(&memtable);
        answer
    }

    /// As [`insert`](Self::insert) for many.
    pub fn insert_all<K: AsRef<[u8]>>(&self, versions: impl IntoIterator<Item = (K, V)>) {
        let mut memtable = self.memtable_mut();
        for (key, version) in versions {
            memtable.insert(key.as_ref(), version, |_| ());
        }
        self.note_lens(&memtable);
    }

    /// Lets go of keys that tables have too while memory is above its budget: some more than
    /// the `written` ones that a write has brought, so that memory shrinks, and no write has to
    /// wait for all of it. For the one writer, between writes.
    pub fn trim(&self, written: usize) {
        const AT_LEAST: usize = 32;
        if self.memory_len.load(Ordering::Relaxed) > self.options.memory_len {
            let mut memtable = self.memtable_mut();
            self.evict(&mut memtable, AT_LEAST + 4 * written);
            self.note_lens(&memtable);
        }
    }

    fn evict(&self, memtable: &mut Memtable<V>, count: usize) {
        memtable.evict(self.options.memory_len, count, |key, newest| {
            if let Some(hot) = &self.hot {
                hot.add(key, newest);
            }
        });
    }
}
