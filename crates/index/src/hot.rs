//! The hot index: from the hash of a key to the place of its newest version, in memory, within
//! a hard budget. **Derived**: rebuilt from the log, or from a checkpoint and the log after its
//! position.
//!
//! ```text
//! hash ─┬ upper bits ─▶ shard (a lock each) ── fingerprint ─▶ bucket of 64 B: 6 x (32 + 48 bits)
//!       └ next 32 bits = fingerprint
//! ```
//!
//! A slot keeps no key, so different keys can look alike: the caller compares the full key at
//! each place that is offered. That comparison runs **outside** every lock; if the shard changed
//! meanwhile, the search is repeated.
//!
//! At the budget, keys are forgotten or refused ([`AtLimit`]). A bucket remembers that it lost a
//! key, so a miss there is [`Lookup::Unknown`] (ask the tables) and elsewhere still
//! [`Lookup::Absent`] (certain).
//!
//! Measured with two cores: see `docs/benchmarks.md`. Memory is 13.3 to 16.7 B a key, plus one
//! line a shard.

mod bucket;
mod checkpoint;
mod table;

use crate::error::{Error, Result};
use crate::key_hash::key_hash_seeded;
use checkpoint::Stored;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use table::Table;

/// One more than the largest place.
pub const PLACE_END: u64 = 1 << 48;

const SHARD_BITS_MAX: u32 = 12;
/// What a full shard should measure: small enough that growing one is not felt (20 us).
const SHARD_LEN: usize = 32 << 10;
const RETRIES_MAX: usize = 16;

/// What happens to a new key when the budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtLimit {
    /// A key that was not looked up lately makes room.
    #[default]
    Evict,
    /// The new key is not indexed.
    Refuse,
}

/// How a hot index behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HotConfig {
    /// Most bytes that the index allocates, growing included; one line of 64 bytes a shard comes on
    /// top of a budget that is smaller than those.
    pub budget: usize,
    /// What happens at the budget.
    pub at_limit: AtLimit,
    /// Seed of [`HotIndex::hash`]; random where strangers choose the keys.
    pub seed: u64,
}

/// What a search found.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The place that `matches` confirmed.
    Found(u64),
    /// There is no such key.
    Absent,
    /// The key is not indexed, but may exist: ask the tables.
    Unknown,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsert {
    /// It is new in the index.
    Inserted,
    /// It was there, at this place.
    Replaced(u64),
    /// It is new and there is no room: it is not indexed, and searches say so.
    Full,
}

/// The state of a shard at one moment, see [`HotIndex::promote`]. It is good only for the index
/// that gave it, and for keys whose hash it was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// A bounded map from hashes of keys to places. All methods take `&self`.
///
/// ```
/// use cairn_index::{HotIndex, Lookup, Upsert};
/// let log = ["apple", "pear"]; // the place of a key is its position here
/// let index = HotIndex::with_budget(1 << 20);
/// for (place, key) in log.iter().enumerate() {
///     let hash = index.hash(key.as_bytes());
///     let done = index.upsert(hash, place as u64, |at| log[at as usize] == *key)?;
///     assert_eq!(done, Upsert::Inserted);
/// }
/// let find = |key: &str| index.lookup(index.hash(key.as_bytes()), |at| log[at as usize] == key);
/// assert_eq!(find("pear"), Lookup::Found(1));
/// assert_eq!(find("plum"), Lookup::Absent);
/// # Ok::<(), cairn_index::Error>(())
/// ```
#[derive(Debug)]
pub struct HotIndex {
    shards: Box<[Shard]>,
    shard_bits: u32,
    config: HotConfig,
    used: AtomicUsize,
    damaged: AtomicUsize,
}

/// A line of its own, so that readers of neighbouring shards do not slow each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    table: Table,
    /// Not read back from the checkpoint yet; the table is then empty.
    stored: Option<Box<Stored>>,
}

/// Places offered by a search. More than six alike fingerprints come about only on purpose.
#[derive(Debug, Default)]
struct Candidates {
    first: [u64; 6],
    count: usize,
    more: Vec<u64>,
}

impl Candidates {
    #[inline]
    fn of(table: &Table, fingerprint: u32) -> Self {
        let mut found = Self::default();
        table.search(fingerprint, |_, place| {
            match found.first.get_mut(found.count) {
                Some(free) => *free = place,
                None => found.more.push(place),
            }
            found.count += 1;
        });
        found
    }

    fn find(&self, matches: &mut impl FnMut(u64) -> bool) -> Option<u64> {
        let first = self.first.iter().take(self.count);
        first.chain(&self.more).copied().find(|place| matches(*place))
    }
}

impl HotIndex {
    /// An empty index of at most so many bytes, that evicts at the limit and has seed 0. It
    /// takes the set of all keys to be empty: where there are keys that it will not be given,
    /// call [`mark_incomplete`](Self::mark_incomplete).
    #[must_use]
    pub fn with_budget(bytes: usize) -> Self {
        Self::new(HotConfig { budget: bytes, at_limit: AtLimit::Evict, seed: 0 })
    }

    /// An empty index, see [`with_budget`](Self::with_budget).
    #[must_use]
    pub fn new(config: HotConfig) -> Self {
        let shards = (config.budget / SHARD_LEN).max(1).ilog2().min(SHARD_BITS_MAX);
        Self::with_shards(config, shards)
    }

    fn with_shards(config: HotConfig, shard_bits: u32) -> Self {
        let shards: Box<[Shard]> = (0..1_usize << shard_bits).map(|_| Shard::default()).collect();
        let used = AtomicUsize::new(shards.len() * size_of::<Shard>());
        Self { shards, shard_bits, config, used, damaged: AtomicUsize::new(0) }
    }

    /// The hash of a key under the index's seed.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        key_hash_seeded(self.config.seed, key)
    }

    /// Finds the place of a key. `matches` is asked whether the key at a place is the one; it
    /// runs without a lock and may call the index.
    #[inline]
    pub fn lookup(&self, hash: u64, mut matches: impl FnMut(u64) -> bool) -> Lookup {
        let fingerprint = self.fingerprint(hash);
        for _ in 0..RETRIES_MAX {
            let state = self.read(hash);
            let found = Candidates::of(&state.table, fingerprint);
            let knows_all = state.table.knows_all(fingerprint);
            let changes = state.table.changes;
            drop(state);
            if let Some(place) = found.find(&mut matches) {
                return Lookup::Found(place);
            }
            // A place that was outdated while it was compared hides the newer one.
            if found.count == 0 || self.read(hash).table.changes == changes {
                return if knows_all { Lookup::Absent } else { Lookup::Unknown };
            }
        }
        Lookup::Unknown
    }

    /// Sets the place of a key: replaces the place that `matches` confirms, or adds one. Write
    /// one key from one thread at a time, after the new version can be read at its place.
    ///
    /// # Errors
    /// `OutOfRange` for a place of [`PLACE_END`] or more.
    pub fn upsert(
        &self,
        hash: u64,
        place: u64,
        mut matches: impl FnMut(u64) -> bool,
    ) -> Result<Upsert> {
        check_place(place)?;
        let fingerprint = self.fingerprint(hash);
        let (mut state, old) = self.settle(hash, &mut matches);
        let slot = old.and_then(|old| state.table.locate(fingerprint, old));
        Ok(match (old, slot) {
            (Some(old), Some(slot)) => {
                state.table.replace(slot, place);
                Upsert::Replaced(old)
            }
            _ => self.insert(&mut state.table, fingerprint, place),
        })
    }

    /// As [`upsert`](Self::upsert) for a key that is known not to be indexed: nothing is compared.
    /// Of a key that is, there are two places then, and searches find either.
    ///
    /// # Errors
    /// `OutOfRange` for a place of [`PLACE_END`] or more.
    pub fn insert_new(&self, hash: u64, place: u64) -> Result<Upsert> {
        check_place(place)?;
        let mut state = self.loaded(self.shard(hash));
        Ok(self.insert(&mut state.table, self.fingerprint(hash), place))
    }

    /// Takes out the key that `matches` confirms, because it no longer exists; gives the place it had.
    pub fn remove(&self, hash: u64, mut matches: impl FnMut(u64) -> bool) -> Option<u64> {
        let (mut state, old) = self.settle(hash, &mut matches);
        let place = old?;
        let slot = state.table.locate(self.fingerprint(hash), place)?;
        state.table.erase(slot);
        Some(place)
    }

    /// The present state of a key's shard: taken before a key is looked up elsewhere.
    #[must_use]
    pub fn ticket(&self, hash: u64) -> Ticket {
        Ticket(self.read(hash).table.changes)
    }

    /// Indexes a key that was found elsewhere after a [`Lookup::Unknown`], unless it is indexed
    /// already or its shard changed since the ticket: the place may then be out of date. Gives
    /// whether it was indexed; a place of [`PLACE_END`] or more never is.
    pub fn promote(
        &self,
        ticket: Ticket,
        hash: u64,
        place: u64,
        mut matches: impl FnMut(u64) -> bool,
    ) -> bool {
        if place >= PLACE_END {
            return false;
        }
        let (mut state, present) = self.settle(hash, &mut matches);
        if present.is_some() || state.table.changes != ticket.0 {
            return false;
        }
        self.insert(&mut state.table, self.fingerprint(hash), place) == Upsert::Inserted
    }

    /// From now on every miss is [`Lookup::Unknown`]: there are keys that were not given.
    pub fn mark_incomplete(&self) {
        for shard in &self.shards {
            let mut state = self.loaded(shard);
            state.table.incomplete = true;
            state.table.changes += 1;
        }
    }

    /// Forgets everything, and takes the set of all keys to be empty again.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut state = shard.0.write().unwrap_or_else(PoisonError::into_inner);
            self.used.fetch_sub(state.table.memory(), Relaxed);
            let changes = state.table.changes + 1;
            *state = State::default();
            state.table.changes = changes;
        }
    }

    /// How many keys are indexed.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |state: &State| state.stored.as_ref().map_or(state.table.len(), |s| s.len());
        self.shards.iter().map(|shard| count(&peek(shard))).sum()
    }

    /// Whether no key is indexed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated; never more than the budget, but for the shards themselves (64 B each)
    /// when the budget is smaller than those.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &HotConfig {
        &self.config
    }

    /// How many shards of a checkpoint were found damaged so far; misses there are
    /// [`Lookup::Unknown`].
    #[must_use]
    pub fn damaged_shards(&self) -> usize {
        self.damaged.load(Relaxed)
    }

    /// Checks what must always hold; for tests and `doctor`.
    ///
    /// # Panics
    /// When it does not: a bug in this module.
    pub fn check_invariants(&self) {
        let mut used = self.shards.len() * size_of::<Shard>();
        for shard in &self.shards {
            let state = self.loaded(shard);
            state.table.check_invariants();
            used += state.table.memory();
        }
        assert_eq!(used, self.memory(), "what is allocated is accounted for");
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "32 bits behind the shard's are wanted")]
    fn fingerprint(&self, hash: u64) -> u32 {
        (hash >> (32 - self.shard_bits)) as u32
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[crate::bits::spread(hash, self.shards.len())]
    }

    #[inline]
    fn read(&self, hash: u64) -> RwLockReadGuard<'_, State> {
        let shard = self.shard(hash);
        let state = peek(shard);
        if state.stored.is_none() {
            return state;
        }
        drop(state);
        drop(self.loaded(shard));
        peek(shard)
    }

    /// The shard for writing, read back from its checkpoint.
    fn loaded<'a>(&self, shard: &'a Shard) -> RwLockWriteGuard<'a, State> {
        let mut state = shard.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(stored) = state.stored.take() {
            let table = stored.load(|bytes| self.reserve(bytes));
            let damaged = table.is_none();
            self.damaged.fetch_add(usize::from(damaged), Relaxed);
            let changes = state.table.changes + 1;
            state.table = table.unwrap_or_else(Table::unknown);
            state.table.changes = changes;
        }
        state
    }

    /// Compares candidates outside the lock until the shard has not changed meanwhile; gives it
    /// locked, and the place that matches.
    fn settle(
        &self,
        hash: u64,
        matches: &mut impl FnMut(u64) -> bool,
    ) -> (RwLockWriteGuard<'_, State>, Option<u64>) {
        let shard = self.shard(hash);
        let fingerprint = self.fingerprint(hash);
        loop {
            let state = self.loaded(shard);
            let found = Candidates::of(&state.table, fingerprint);
            if found.count == 0 {
                return (state, None);
            }
            let changes = state.table.changes;
            drop(state);
            let place = found.find(matches);
            let state = self.loaded(shard);
            if state.table.changes == changes {
                return (state, place);
            }
        }
    }

    fn insert(&self, table: &mut Table, fingerprint: u32, place: u64) -> Upsert {
        let room = !table.is_crowded() || self.grow(table);
        if room && table.insert(fingerprint, place) {
            return Upsert::Inserted;
        }
        let made_room = self.config.at_limit == AtLimit::Evict && table.evict(fingerprint);
        if made_room && table.insert(fingerprint, place) {
            return Upsert::Inserted;
        }
        table.lose(fingerprint);
        Upsert::Full
    }

    fn grow(&self, table: &mut Table) -> bool {
        let count = table.grown();
        if !self.reserve(count * size_of::<bucket::Bucket>()) {
            return false;
        }
        let old = table.memory();
        *table = table.rebuilt(count);
        self.used.fetch_sub(old, Relaxed);
        true
    }

    /// Books bytes before they are allocated; `false` when the budget does not have them.
    fn reserve(&self, bytes: usize) -> bool {
        let book = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.config.budget);
        self.used.fetch_update(Relaxed, Relaxed, book).is_ok()
    }
}

fn check_place(place: u64) -> Result<()> {
    if place >= PLACE_END {
        return Err(Error::OutOfRange { what: "place", found: place, limit: PLACE_END - 1 });
    }
    Ok(())
}

#[inline]
fn peek(shard: &Shard) -> RwLockReadGuard<'_, State> {
    // No code of a caller runs under the lock, so a poisoned one guards a sound table.
    shard.0.read().unwrap_or_else(PoisonError::into_inner)
}
