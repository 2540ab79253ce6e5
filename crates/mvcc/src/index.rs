//! The index: for every keyspace its keys with all readable versions. Derived: rebuilt from the
//! log at open.
//!
//! Keys and their versions lie in slots. A hash table finds the slot of a key, and a counted
//! ordered index knows the slots in the order of the keys: point reads and overwrites touch the
//! table alone, ranges and counts the ordered index.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::ops::Bound;

use bytes::Bytes;
use cairn_index::{PrefixIndex, key_hash_seeded};
use cairn_types::{Lsn, StreamId};

use crate::history::History;
use crate::key_value::{LeaseId, Version};
use crate::request::{Bounds, Range};

/// Hashes keys under a seed that nobody outside knows, so that chosen keys cannot collide.
#[derive(Debug, Clone, Copy, Default)]
struct KeyHashing {
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
struct KeyHasher {
    seed: u64,
    state: u64,
}

impl BuildHasher for KeyHashing {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher { seed: self.seed, state: 0 }
    }
}

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        self.state = key_hash_seeded(self.seed ^ self.state, bytes);
    }

    fn write_usize(&mut self, number: usize) {
        // The length of a key comes before its bytes; the hash of the bytes knows it already.
        self.state ^= number as u64;
    }
}

/// Keys of one keyspace.
#[derive(Debug, Default)]
pub(crate) struct Space {
    by_key: HashMap<Bytes, u32, KeyHashing>,
    order: PrefixIndex<u32>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// Keys whose newest version is no tombstone.
    live_count: u64,
}

#[derive(Debug)]
struct Slot {
    key: Bytes,
    history: History,
}

impl Space {
    fn new(seed: u64) -> Self {
        Self { by_key: HashMap::with_hasher(KeyHashing { seed }), ..Self::default() }
    }

    fn slot(&self, number: u32) -> &Slot {
        let slot = self.slots.get(number as usize).and_then(Option::as_ref);
        slot.expect("table and order name slots that are in use")
    }

    fn slot_mut(&mut self, number: u32) -> &mut Slot {
        let slot = self.slots.get_mut(number as usize).and_then(Option::as_mut);
        slot.expect("table and order name slots that are in use")
    }

    fn add(&mut self, key: &[u8], version: Version) {
        let key = Bytes::copy_from_slice(key);
        let slot = Some(Slot { key: key.clone(), history: History::One(version) });
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("memory ends before 2^32 keys")
            }
        };
        self.order.insert(&key, number).expect("keys are limited to what the index takes");
        self.by_key.insert(key, number);
    }

    fn remove(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize).and_then(Option::take) {
            self.order.remove(&slot.key);
            self.by_key.remove(&slot.key);
            self.free.push(number);
        }
    }

    fn histories(&self) -> impl Iterator<Item = &History> {
        self.slots.iter().flatten().map(|slot| &slot.history)
    }
}

/// All keyspaces.
#[derive(Debug, Default)]
pub(crate) struct Index {
    seed: u64,
    spaces: BTreeMap<StreamId, Space>,
    version_count: u64,
    newest_revision: u64,
    /// Some revisions and where their batches begin, so that a watch need not search the log.
    anchors: Vec<(u64, Lsn)>,
}

/// Revisions between two anchors.
const ANCHOR_INTERVAL: u64 = 256;

impl Index {
    /// An empty index that hashes under a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The history of a key.
    pub(crate) fn history(&self, space: StreamId, key: &[u8]) -> Option<&History> {
        let space = self.spaces.get(&space)?;
        Some(&space.slot(*space.by_key.get(key)?).history)
    }

    /// The version of a key that a reader at `revision` sees.
    pub(crate) fn version(&self, space: StreamId, key: &[u8], revision: u64) -> Option<&Version> {
        self.history(space, key)?.at(revision)
    }

    /// Adds the newest version of a key; returns the lease that the key had before.
    pub(crate) fn insert(&mut self, space: StreamId, key: &Bytes, version: Version) -> LeaseId {
        let seed = self.seed;
        let space = self.spaces.entry(space).or_insert_with(|| Space::new(seed));
        let is_live = !version.is_tombstone();
        self.version_count += 1;
        if version.main > self.newest_revision {
            self.newest_revision = version.main;
            let due =
                self.anchors.last().is_none_or(|last| last.0 + ANCHOR_INTERVAL <= version.main);
            if due {
                self.anchors.push((version.main, version.lsn));
            }
        }
        let (was_live, lease) = match space.by_key.get(&**key).copied() {
            Some(number) => {
                let history = &mut space.slot_mut(number).history;
                let newest = history.newest();
                let before = (!newest.is_tombstone(), newest.lease);
                history.push(version);
                before
            }
            None => {
                space.add(key, version);
                (false, LeaseId::NONE)
            }
        };
        space.live_count += u64::from(is_live);
        space.live_count -= u64::from(was_live);
        lease
    }

    /// Calls `each` with every key of a range in order until it says stop.
    pub(crate) fn walk<'a>(
        &'a self,
        space: StreamId,
        range: &Range,
        each: impl FnMut(&'a Bytes, &'a History) -> bool,
    ) {
        self.walk_from(space, range, None, each);
    }

    /// As [`walk`](Self::walk), from the first key after `after` on.
    pub(crate) fn walk_from<'a>(
        &'a self,
        space: StreamId,
        range: &Range,
        after: Option<&[u8]>,
        mut each: impl FnMut(&'a Bytes, &'a History) -> bool,
    ) {
        let Some(space) = self.spaces.get(&space) else { return };
        if range.is_single() && after.is_none() {
            if let Some(number) = space.by_key.get(&*range.key) {
                let slot = space.slot(*number);
                each(&slot.key, &slot.history);
            }
            return;
        }
        let Some((mut start, end)) = range.bounds() else { return };
        if let Some(after) = after {
            start = Bound::Excluded(after);
        }
        if empty(&start, &end) {
            return;
        }
        let mut keys = space.order.range((start, end));
        while let Some((_, number)) = keys.step() {
            let slot = space.slot(*number);
            if !each(&slot.key, &slot.history) {
                return;
            }
        }
    }

    /// How many keys of a range exist now, when that is known without looking at each: in
    /// keyspaces where no deleted key waits for compaction. O(log n).
    pub(crate) fn quick_count(&self, space: StreamId, range: &Range) -> Option<u64> {
        let Some(space) = self.spaces.get(&space) else { return Some(0) };
        if range.is_all() {
            return Some(space.live_count);
        }
        if space.live_count != space.by_key.len() as u64 {
            return None;
        }
        let Some((start, end)) = range.bounds() else { return Some(0) };
        if empty(&start, &end) {
            return Some(0);
        }
        let bounds: Bounds<'_> = (start, end);
        Some(space.order.count(bounds) as u64)
    }

    /// How many keys of a whole keyspace exist now.
    pub(crate) fn live_count(&self, space: StreamId) -> u64 {
        self.spaces.get(&space).map_or(0, |space| space.live_count)
    }

    /// The newest revision that changed a key.
    pub(crate) fn newest_revision(&self) -> u64 {
        self.newest_revision
    }

    /// A place in the log at or before the first change of a revision at or after this one.
    pub(crate) fn anchor(&self, revision: u64) -> Option<Lsn> {
        let after = self.anchors.partition_point(|(at, _)| *at <= revision);
        let place = self.anchors.get(after.saturating_sub(1))?;
        Some(place.1)
    }

    pub(crate) fn version_count(&self) -> u64 {
        self.version_count
    }

    pub(crate) fn spaces(&self) -> impl Iterator<Item = StreamId> {
        self.spaces.keys().copied()
    }

    /// Forgets a keyspace.
    pub(crate) fn remove_space(&mut self, space: StreamId) {
        if let Some(space) = self.spaces.remove(&space) {
            let versions: usize = space.histories().map(|h| h.versions().len()).sum();
            self.version_count -= versions as u64;
        }
    }

    /// Compacts up to `count` keys of a keyspace after `after`: how many versions went, and the
    /// last key seen, or `None` at the end.
    pub(crate) fn compact_some(
        &mut self,
        space: StreamId,
        after: Option<&[u8]>,
        revision: u64,
        count: usize,
    ) -> (usize, Option<Bytes>) {
        let Some(space) = self.spaces.get_mut(&space) else { return (0, None) };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let bounds: Bounds<'_> = (start, Bound::Unbounded);
        let mut piece: Vec<u32> = Vec::with_capacity(count);
        let mut keys = space.order.range(bounds);
        while piece.len() < count
            && let Some((_, number)) = keys.step()
        {
            piece.push(*number);
        }
        let last = piece.last().filter(|_| piece.len() == count);
        let last = last.map(|number| space.slot(*number).key.clone());
        let mut dropped = 0;
        for number in piece {
            let (gone, is_dead) = space.slot_mut(number).history.compact(revision);
            dropped += gone;
            if is_dead {
                space.remove(number);
            }
        }
        self.version_count -= dropped as u64;
        (dropped, last)
    }

    /// The first LSN that holds a readable version.
    pub(crate) fn oldest_lsn(&self) -> Option<Lsn> {
        let histories = self.spaces.values().flat_map(Space::histories);
        histories.flat_map(History::versions).map(|version| version.lsn).min()
    }
}

fn empty(start: &Bound<&[u8]>, end: &Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        _ => false,
    }
}
