//! The index: for every keyspace its keys in order, each with all readable versions. Derived:
//! rebuilt from the log at open.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use cairn_types::{Lsn, StreamId};

use crate::history::History;
use crate::key_value::{LeaseId, Version};
use crate::ordered_key::{Heads, OrderedKey, Probe};
use crate::request::Range;

/// Keys of one keyspace.
#[derive(Debug, Default)]
pub(crate) struct Space {
    keys: BTreeMap<OrderedKey, History>,
    /// Keys whose newest version is no tombstone.
    live_count: u64,
}

/// All keyspaces.
#[derive(Debug, Default)]
pub(crate) struct Index {
    spaces: BTreeMap<StreamId, Space>,
    version_count: u64,
    newest_revision: u64,
    /// Some revisions and where their batches begin, so that a watch need not search the log.
    anchors: Vec<(u64, Lsn)>,
}

/// Revisions between two anchors.
const ANCHOR_INTERVAL: u64 = 256;

impl Index {
    /// The history of a key.
    pub(crate) fn history(&self, space: StreamId, key: &[u8]) -> Option<&History> {
        self.spaces.get(&space)?.keys.get(&Probe::new(key) as &dyn Heads)
    }

    /// The version of a key that a reader at `revision` sees.
    pub(crate) fn version(&self, space: StreamId, key: &[u8], revision: u64) -> Option<&Version> {
        self.history(space, key)?.at(revision)
    }

    /// Adds the newest version of a key; returns the lease that the key had before.
    pub(crate) fn insert(&mut self, space: StreamId, key: &Bytes, version: Version) -> LeaseId {
        let space = self.spaces.entry(space).or_default();
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
        let (was_live, lease) = match space.keys.get_mut(&Probe::new(key) as &dyn Heads) {
            Some(history) => {
                let newest = history.newest();
                let before = (!newest.is_tombstone(), newest.lease);
                history.push(version);
                before
            }
            None => {
                let key = OrderedKey::new(Bytes::copy_from_slice(key));
                space.keys.insert(key, History::One(version));
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
        let Some((mut start, end)) = range.bounds() else { return };
        if let Some(after) = after {
            start = Bound::Excluded(after);
        }
        if empty(&start, &end) {
            return;
        }
        let (start, end) = (start.map(Probe::new), end.map(Probe::new));
        let bounds = (start.as_ref().map(as_heads), end.as_ref().map(as_heads));
        for (key, history) in space.keys.range::<dyn Heads, _>(bounds) {
            if !each(key.as_bytes(), history) {
                return;
            }
        }
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
            let versions: usize = space.keys.values().map(|h| h.versions().len()).sum();
            self.version_count -= versions as u64;
        }
    }

    /// Compacts up to `count` keys of a keyspace after `after`; the last key seen, or `None`
    /// at the end.
    pub(crate) fn compact_some(
        &mut self,
        space: StreamId,
        after: Option<&[u8]>,
        revision: u64,
        count: usize,
    ) -> (usize, Option<Bytes>) {
        let Some(space) = self.spaces.get_mut(&space) else { return (0, None) };
        let after = after.map(Probe::new);
        let start =
            after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded(as_heads(after)));
        let (mut dropped, mut dead, mut last) = (0, Vec::new(), None);
        let mut seen = 0;
        for (key, history) in space.keys.range_mut::<dyn Heads, _>((start, Bound::Unbounded)) {
            let (gone, is_dead) = history.compact(revision);
            dropped += gone;
            if is_dead {
                dead.push(key.clone());
            }
            seen += 1;
            if seen == count {
                last = Some(key.as_bytes().clone());
                break;
            }
        }
        for key in dead {
            space.keys.remove(&key);
        }
        self.version_count -= dropped as u64;
        (dropped, last)
    }

    /// The first LSN that holds a readable version.
    pub(crate) fn oldest_lsn(&self) -> Option<Lsn> {
        let histories = self.spaces.values().flat_map(|space| space.keys.values());
        histories.flat_map(History::versions).map(|version| version.lsn).min()
    }
}

fn as_heads<'a>(probe: &'a Probe<'_>) -> &'a dyn Heads {
    probe
}

fn empty(start: &Bound<&[u8]>, end: &Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        _ => false,
    }
}
