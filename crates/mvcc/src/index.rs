//! The index: for every keyspace its keys with all readable versions, in memory and in tables.
//! Derived: from the log, from the place on that the tables end at.
//!
//! A key of the ordered store is the number of the keyspace (4 bytes, big-endian) and the key.

use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cairn_lsm::{Bounds, Stored, Tree};
use cairn_types::{Lsn, StreamId};

use crate::Result;
use crate::anchors::Anchors;
use crate::key_value::{LeaseId, LentVersion, Version};
use crate::request::Range;
use crate::unseen::Unseen;

/// Bytes before a user's key.
pub(crate) const SPACE_LEN: usize = 4;

/// Keys up to this many bytes are put together without an allocation.
const SHORT_LEN: usize = 128;

/// All keyspaces.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) tree: Tree<Version>,
    newest_revision: AtomicU64,
    anchors: Mutex<Anchors>,
    unseen: Mutex<Unseen>,
}

/// The key of the ordered store.
pub(crate) fn with_key<T>(space: StreamId, key: &[u8], call: impl FnOnce(&[u8]) -> T) -> T {
    let number = space.get().to_be_bytes();
    let len = SPACE_LEN + key.len();
    if len <= SHORT_LEN {
        let mut short = [0; SHORT_LEN];
        short[..SPACE_LEN].copy_from_slice(&number);
        short[SPACE_LEN..len].copy_from_slice(key);
        call(&short[..len])
    } else {
        call(&[&number[..], key].concat())
    }
}

/// The bounds of a keyspace and a range in it.
struct Within {
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
}

impl Within {
    /// `None` when nothing can be in it.
    fn new(space: StreamId, range: &Range, after: Option<&[u8]>) -> Option<Self> {
        let owned = |key: &[u8]| with_key(space, key, <[u8]>::to_vec);
        let (start, end) = range.bounds()?;
        let start = match after {
            Some(after) => Bound::Excluded(owned(after)),
            None => start.map(owned),
        };
        let start = if start == Bound::Unbounded { Bound::Included(owned(b"")) } else { start };
        let end = match end {
            Bound::Unbounded => after_space(space).map_or(Bound::Unbounded, Bound::Excluded),
            end => end.map(owned),
        };
        Some(Self { start, end })
    }

    fn bounds(&self) -> Bounds<'_> {
        (self.start.as_ref().map(|key| &key[..]), self.end.as_ref().map(|key| &key[..]))
    }
}

/// The first key behind a keyspace.
fn after_space(space: StreamId) -> Option<Vec<u8>> {
    Some(space.get().checked_add(1)?.to_be_bytes().to_vec())
}

/// What a writer found of a key's newest version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    /// The lease that the key had.
    pub(crate) lease: LeaseId,
    /// Whether the key existed.
    pub(crate) lived: bool,
    tree: cairn_lsm::Before,
}

impl Before {
    /// The key's [`Index::hash`].
    pub(crate) fn hash(&self) -> u64 {
        self.tree.hash()
    }

    #[cfg(test)]
    pub(crate) fn with_hash(hash: u64) -> Self {
        Self { lease: LeaseId::NONE, lived: false, tree: cairn_lsm::Before::of_new(hash) }
    }
}

impl Index {
    pub(crate) fn new(tree: Tree<Version>, newest_revision: u64, anchors: Anchors) -> Self {
        let mut unseen = Unseen::default();
        unseen.start_after(newest_revision);
        let newest_revision = AtomicU64::new(newest_revision);
        Self { tree, newest_revision, anchors: Mutex::new(anchors), unseen: Mutex::new(unseen) }
    }

    /// What writers tell of keys that come and go. Held while they change the index, so that
    /// nobody counts in between.
    pub(crate) fn unseen(&self) -> MutexGuard<'_, Unseen> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn anchors(&self) -> MutexGuard<'_, Anchors> {
        self.anchors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of a key, seeded for this opening.
    pub(crate) fn hash(&self, space: StreamId, key: &[u8]) -> u64 {
        with_key(space, key, |key| self.tree.hash(key))
    }

    /// Calls `look` with the version of a key that a reader at `revision` sees.
    pub(crate) fn with_version<T>(
        &self,
        space: StreamId,
        key: &[u8],
        revision: u64,
        look: impl FnOnce(Option<&Version>) -> T,
    ) -> Result<T> {
        let found = with_key(space, key, |key| {
            self.tree.get_with(key, revision, |found| {
                look(found.filter(|version| !version.is_tombstone()))
            })
        });
        Ok(found?)
    }

    /// The version of a key that a reader at `revision` sees.
    pub(crate) fn version(
        &self,
        space: StreamId,
        key: &[u8],
        revision: u64,
    ) -> Result<Option<Version>> {
        self.with_version(space, key, revision, |version| version.cloned())
    }

    /// The newest version of a key, also a tombstone.
    pub(crate) fn newest(&self, space: StreamId, key: &[u8]) -> Result<Option<Version>> {
        Ok(with_key(space, key, |key| self.tree.get(key, u64::MAX))?)
    }

    /// Calls `look` with the version of a key at a revision, also a tombstone.
    pub(crate) fn with_any<T>(
        &self,
        space: StreamId,
        key: &[u8],
        revision: u64,
        look: impl FnOnce(Option<&Version>) -> T,
    ) -> Result<T> {
        Ok(with_key(space, key, |key| self.tree.get_with(key, revision, look))?)
    }

    /// All readable versions of a key, oldest first.
    pub(crate) fn history(&self, space: StreamId, key: &[u8]) -> Result<Vec<Version>> {
        Ok(with_key(space, key, |key| self.tree.history(key))?)
    }

    /// Before a key is [inserted](Self::insert): gives what `look` makes of its newest version,
    /// also a tombstone, and what the insert must know of it.
    pub(crate) fn prepare<T>(
        &self,
        space: StreamId,
        key: &[u8],
        look: impl FnOnce(Option<&Version>) -> T,
    ) -> Result<(T, Before)> {
        with_key(space, key, |key| {
            let prepared = self.tree.prepare(key, |newest| {
                let lease = newest.map_or(LeaseId::NONE, |newest| newest.lease);
                let lived = newest.is_some_and(|newest| !newest.is_tombstone());
                (look(newest), lease, lived)
            });
            let ((answer, lease, lived), tree) = prepared?;
            Ok((answer, Before { lease, lived, tree }))
        })
    }

    /// Adds the newest version of a key that was prepared, for a writer that holds
    /// [`unseen`](Self::unseen).
    pub(crate) fn insert(
        &self,
        space: StreamId,
        key: &[u8],
        version: Version,
        before: Before,
        unseen: &mut Unseen,
    ) {
        let lives = !version.is_tombstone();
        if lives != before.lived {
            unseen.note(version.main, space, key, lives);
        }
        self.note_revision(version.main, version.lsn);
        with_key(space, key, |key| self.tree.insert(key, version, before.tree));
    }

    /// Adds the newest version of a key that was prepared, which is in the log and shown.
    pub(crate) fn replay(&self, space: StreamId, key: &[u8], version: Version, before: Before) {
        self.unseen().start_after(version.main);
        self.note_revision(version.main, version.lsn);
        with_key(space, key, |key| self.tree.insert(key, version, before.tree));
    }

    /// Notes that a revision has a change, and where in the log it begins.
    fn note_revision(&self, main: u64, lsn: Lsn) {
        if self.newest_revision.fetch_max(main, Ordering::AcqRel) < main {
            self.anchors().note(main, lsn);
        }
    }

    /// Calls `each` with every key of a range that exists at a revision, in order, until it says
    /// stop.
    pub(crate) fn walk(
        &self,
        space: StreamId,
        range: &Range,
        revision: u64,
        mut each: impl FnMut(&[u8], &Version) -> bool,
    ) -> Result<()> {
        self.walk_from(space, range, None, revision, |key, version| each(key, &version))
    }

    /// As [`walk`](Self::walk), from the first key after `after` on.
    pub(crate) fn walk_from(
        &self,
        space: StreamId,
        range: &Range,
        after: Option<&[u8]>,
        revision: u64,
        mut each: impl FnMut(&[u8], Version) -> bool,
    ) -> Result<()> {
        if range.is_single() && after.is_none() {
            if let Some(version) = self.version(space, &range.key, revision)? {
                each(&range.key, version);
            }
            return Ok(());
        }
        let Some(within) = Within::new(space, range, after) else { return Ok(()) };
        self.tree.walk(within.bounds(), revision, false, |key, version| {
            each(key.get(SPACE_LEN..).unwrap_or_default(), version)
        })?;
        Ok(())
    }

    /// As [`walk_from`](Self::walk_from), with versions that are lent. It may come back to the
    /// index.
    pub(crate) fn walk_lent(
        &self,
        space: StreamId,
        range: &Range,
        after: Option<&[u8]>,
        revision: u64,
        mut each: impl FnMut(&[u8], &LentVersion<'_>) -> Result<bool>,
    ) -> Result<()> {
        let Some(within) = Within::new(space, range, after) else { return Ok(()) };
        self.tree.walk_stored(within.bounds(), revision, false, |key, stored| {
            let key = key.get(SPACE_LEN..).unwrap_or_default();
            let lent = match &stored {
                Stored::Memory(version) => Some(LentVersion::of(version)),
                Stored::Table(entry) => LentVersion::decode(entry),
            };
            match &lent {
                Some(version) => each(key, version),
                None => Err(self.tree.undecodable().into()),
            }
        })
    }

    /// The keys of a range that were changed or deleted after a revision: the first one, and the
    /// revision that did.
    pub(crate) fn changed_after(
        &self,
        space: StreamId,
        range: &Range,
        revision: u64,
    ) -> Result<Option<(Bytes, u64)>> {
        let mut found = None;
        let Some(within) = Within::new(space, range, None) else { return Ok(None) };
        self.tree.walk(within.bounds(), u64::MAX, true, |key, version| {
            if version.main > revision {
                let key = key.get(SPACE_LEN..).unwrap_or_default();
                found = Some((Bytes::copy_from_slice(key), version.main));
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// How many keys of a range exist at a revision, when that is known without looking at each:
    /// mostly when readers are shown no newer one.
    pub(crate) fn quick_count(
        &self,
        space: StreamId,
        range: &Range,
        revision: u64,
    ) -> Result<Option<u64>> {
        let Some(within) = Within::new(space, range, None) else { return Ok(Some(0)) };
        let unseen = self.unseen();
        let Some(growth) = unseen.growth_since(revision, space, range) else { return Ok(None) };
        let now = self.tree.count(within.bounds())?;
        Ok(now.map(|now| now.saturating_add_signed(-growth)))
    }

    /// A place in the log at or before the first change of a revision at or after this one.
    pub(crate) fn anchor(&self, revision: u64) -> Option<Lsn> {
        self.anchors().before(revision)
    }

    /// The places, to be written down.
    pub(crate) fn encode_anchors(&self, out: &mut Vec<u8>) {
        self.anchors().encode(out);
    }

    /// Keyspaces that have keys. O(log n) each.
    pub(crate) fn spaces(&self) -> Result<Vec<StreamId>> {
        let mut spaces = Vec::new();
        let mut from = Some(Vec::new());
        while let Some(start) = from {
            let Some(key) = self.tree.first_key_from(&start)? else { break };
            let Some(number) = key.first_chunk::<SPACE_LEN>() else { break };
            let space = StreamId::new(u32::from_be_bytes(*number));
            spaces.push(space);
            from = after_space(space);
        }
        Ok(spaces)
    }

    /// Whether a keyspace was forgotten.
    pub(crate) fn is_forgotten(&self, space: StreamId) -> bool {
        self.tree.is_forgotten(&space.get().to_be_bytes())
    }

    /// Forgets a keyspace.
    pub(crate) fn remove_space(&self, space: StreamId) {
        let start = space.get().to_be_bytes();
        let end = after_space(space).unwrap_or_else(|| vec![u8::MAX; SPACE_LEN + 1]);
        self.tree.forget(&start, &end);
    }
}
