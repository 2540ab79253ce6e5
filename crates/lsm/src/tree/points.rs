//! Single keys: reads, what the writer loads before it writes, and what leaves the memtable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::hot::{Hot, Newest, Search};
use super::{Records, Tree};
use crate::Result;
use crate::entry::Version;
use crate::levels::Levels;
use crate::memtable::{Base, Look, Memtable};

/// Keys that a promotion lets go of at most.
const EVICT_FOR_PROMOTION: usize = 4;

/// What a writer found of a key.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    hash: u64,
    /// Where its newest version is, when that is not in memory.
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    reference: u64,
    is_tombstone: bool,
}

impl Before {
    /// Of a key that does not exist, or is in memory, by its [hash](Tree::hash).
    #[must_use]
    pub const fn of_new(hash: u64) -> Self {
        Self { hash, place: None }
    }

    /// The [hash](Tree::hash) of the key.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    fn of<V: Version>(hash: u64, newest: Option<&V>) -> Self {
        let place = |newest: &V| Place {
            reference: newest.reference(),
            is_tombstone: newest.is_tombstone(),
        };
        Self { hash, place: newest.map(place) }
    }

    fn base(self) -> Base {
        match self.place {
            None => Base::Absent,
            Some(Place { is_tombstone: true, .. }) => Base::Dead,
            Some(_) => Base::Live,
        }
    }
}

impl<V: Version> Tree<V> {
    /// Remembers where the newest versions of keys are that are not in memory, in
    /// [`hot_len`](super::TreeOptions::hot_len) bytes, and reads them from their records instead
    /// of from tables.
    pub fn remember_places(&mut self, records: Arc<dyn Records<V>>) {
        if self.options.hot_len == 0 {
            return;
        }
        let hot = Hot::new(self.options.hot_len, records);
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
        let hash = self.hash(key);
        let mut search = self.hot.as_ref().map(|hot| (hot, hot.begin(hash)));
        {
            let memtable = self.memtable();
            match memtable.get(hash, key) {
                Some(slot) => {
                    slot.touch();
                    if let Look::Known(found) = slot.look(sequence) {
                        return Ok(look(found));
                    }
                    // An older version is asked for, and the index has none of a key in memory.
                    search = None;
                }
                None if memtable.is_complete() => return Ok(look(None)),
                None => {}
            }
        }
        if self.is_forgotten(key) {
            return Ok(look(None));
        }
        // A key that was looked for outside memory not long ago, too, is taken into it.
        let mut is_wanted = None;
        let mut is_wanted = || *is_wanted.get_or_insert_with(|| self.is_wanted_again(hash));
        if let Some((hot, search)) = search
            && let Newest::Known(newest) = hot.find(search, key, || !is_wanted())
            && newest.as_ref().is_none_or(|newest| newest.sequence() <= sequence)
        {
            let answer = look(newest.as_ref());
            if let Some(newest) = newest
                && is_wanted()
            {
                self.promote_from_record(hot, hash, key, newest);
            }
            return Ok(answer);
        }
        let levels = self.levels.load();
        let found = self.read_tables(&levels, key, sequence, true)?;
        if let Some(found) = &found {
            if is_wanted() {
                self.promote(&levels, hash, key)?;
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

    /// Whether a key was looked for outside memory not long ago, too; notes that it was now.
    fn is_wanted_again(&self, hash: u64) -> bool {
        let [b0, b1, b2, b3, t0, t1, t2, t3] = hash.to_le_bytes();
        let place = u32::from_le_bytes([b0, b1, b2, b3]) as usize % self.looked_for.len();
        let tag = u32::from_le_bytes([t0, t1, t2, t3]);
        self.looked_for.get(place).is_some_and(|last| last.swap(tag, Ordering::Relaxed) == tag)
    }

    /// Takes a key into memory, if nobody is in the way.
    fn promote(&self, levels: &Levels, hash: u64, key: &[u8]) -> Result<()> {
        let Some(newest) = self.read_tables(levels, key, u64::MAX, false)? else { return Ok(()) };
        if let Ok(mut memtable) = self.memtable.try_write()
            && self.levels.load().generation == levels.generation
            && !self.is_forgotten(key)
        {
            self.take_in(&mut memtable, hash, key, newest);
            self.make_room(&mut memtable);
        }
        Ok(())
    }

    /// As [`promote`](Self::promote), for a key whose newest version was read at its place.
    fn promote_from_record(&self, hot: &Hot<V>, hash: u64, key: &[u8], newest: V) {
        if let Ok(mut memtable) = self.memtable.try_write()
            && !self.is_forgotten(key)
            && hot.take_out(hash, newest.reference())
        {
            memtable.load(hash, key, newest);
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
    fn take_in(&self, memtable: &mut Memtable<V>, hash: u64, key: &[u8], newest: V) {
        if let Some(hot) = &self.hot {
            hot.take_out(hash, newest.reference());
        }
        memtable.load(hash, key, newest);
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
            && memtable.get(search.hash(), key).is_none()
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

    /// For the writer, before it [inserts](Self::insert) a version of a key: gives what `look`
    /// makes of the newest one, also a tombstone, and what the insert must know of it.
    ///
    /// # Errors
    /// As [`get_with`](Self::get_with).
    pub fn prepare<T>(
        &self,
        key: &[u8],
        look: impl FnOnce(Option<&V>) -> T,
    ) -> Result<(T, Before)> {
        let hash = self.hash(key);
        {
            let memtable = self.memtable();
            if let Some(slot) = memtable.get(hash, key) {
                return Ok((look(Some(slot.history.newest())), Before::of_new(hash)));
            }
            if memtable.is_complete() {
                return Ok((look(None), Before::of_new(hash)));
            }
        }
        if self.is_forgotten(key) {
            return Ok((look(None), Before::of_new(hash)));
        }
        // Nobody else writes: the key does not come into memory but by being read.
        let place = self.hot.as_ref().map(|hot| hot.find(hot.begin(hash), key, || false));
        let newest = match place {
            Some(Newest::Known(newest)) => newest,
            _ => self.read_tables(&self.levels.load(), key, u64::MAX, false)?,
        };
        Ok((look(newest.as_ref()), Before::of(hash, newest.as_ref())))
    }

    /// Adds a version newer than all others of its key. One writer at a time, who has
    /// [prepared](Self::prepare) the key in this [write](Self::begin_write).
    pub fn insert(&self, key: &[u8], version: V, before: Before) {
        let mut memtable = self.memtable_mut();
        self.insert_into(&mut memtable, key, version, before);
        self.note_lens(&memtable);
    }

    fn insert_into(&self, memtable: &mut Memtable<V>, key: &[u8], version: V, before: Before) {
        if let (Some(hot), Some(Place { reference, .. })) = (&self.hot, before.place) {
            hot.take_out(before.hash, reference);
        }
        memtable.insert(before.hash, key, version, before.base());
    }

    /// As [`insert`](Self::insert) for many.
    pub(crate) fn insert_all<K: AsRef<[u8]>>(
        &self,
        versions: impl IntoIterator<Item = (K, V, Before)>,
    ) {
        let mut memtable = self.memtable_mut();
        for (key, version, before) in versions {
            self.insert_into(&mut memtable, key.as_ref(), version, before);
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
        memtable.evict(self.options.memory_len, count, |hash, newest| {
            if let Some(hot) = &self.hot {
                hot.add(hash, newest);
            }
        });
    }
}
