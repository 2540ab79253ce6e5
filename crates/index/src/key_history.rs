//! The revisions of one key as generations, with etcd's semantics. **Derived**: rebuilt from
//! the log's records of the key.
//!
//! A put opens a generation or continues it; a tombstone ends it. Within a generation the create
//! revision stays and the version counts up. Compaction at a revision keeps for the key the
//! newest change at or below it, unless that is a tombstone below it, and everything newer. (A
//! tombstone exactly there stays until a later compaction, so that a watch from there sees it.)
//!
//! Encoding, version 1; numbers are canonical varints (`cairn_codec::varint`):
//!
//! | field | |
//! |---|---|
//! | version | one byte, 1 |
//! | n | count of changes |
//! | created | main, sub of the first generation's first revision (only when n > 0) |
//! | dropped | puts of that generation that compaction took away (only when n > 0) |
//! | n changes | `delta * 4 + (2 if a sub follows) + (1 if a tombstone)`, then the sub unless it is 0; delta is from the main before, at first from that of created |
//!
//! No checksum: the bytes are a value in a table or a record, which have theirs.

use crate::error::{Error, Result};
use cairn_codec::varint;
use cairn_types::Revision;

const WHAT: &str = "key history";
const VERSION: u8 = 1;
/// Largest main revision: two bits of its varint are taken.
pub const MAIN_MAX: u64 = (1 << 62) - 1;

/// One change of a key: a put, or a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub revision: Revision,
    /// Whether it deleted the key.
    pub tombstone: bool,
}

/// What a key was at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyVersion {
    /// The last change at or before the revision asked for.
    pub modified: Revision,
    /// The first of its generation.
    pub created: Revision,
    /// How many puts the generation had by then, from 1.
    pub version: u64,
}

/// The changes of one key that were not compacted.
///
/// ```
/// use cairn_index::KeyHistory;
/// use cairn_types::Revision;
/// let at = |main| Revision { main, sub: 0 };
/// let mut history = KeyHistory::new();
/// history.put(at(2))?;
/// history.put(at(5))?;
/// history.tombstone(at(7))?;
/// let old = history.get(6).expect("it lived then");
/// assert_eq!((old.created, old.modified, old.version), (at(2), at(5), 2));
/// assert_eq!(history.get(7), None);
/// let dropped = history.compact(6);
/// assert_eq!(dropped.len(), 1, "what it was at 6 must stay");
/// assert_eq!(history.get(6), Some(old));
/// # Ok::<(), cairn_index::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyHistory {
    /// Of the generation that the first change belongs to.
    created: Revision,
    /// Changes of that generation that were compacted away.
    dropped: u64,
    changes: Vec<Change>,
}

impl KeyHistory {
    /// A key that never was.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is left: then the key can be dropped from its index.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// All changes that are left, oldest first.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether the key exists now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.changes.last().is_some_and(|change| !change.tombstone)
    }

    /// Notes a put.
    ///
    /// # Errors
    /// `NotAfter` when the revision does not come after the last change, `OutOfRange` when its
    /// main is over [`MAIN_MAX`].
    pub fn put(&mut self, revision: Revision) -> Result<()> {
        self.check_next(revision)?;
        if self.changes.is_empty() {
            (self.created, self.dropped) = (revision, 0);
        }
        self.changes.push(Change { revision, tombstone: false });
        Ok(())
    }

    /// Notes a deletion; `false`, and nothing noted, when there is nothing to delete.
    ///
    /// # Errors
    /// As of [`put`](Self::put).
    pub fn tombstone(&mut self, revision: Revision) -> Result<bool> {
        self.check_next(revision)?;
        let live = self.is_live();
        if live {
            self.changes.push(Change { revision, tombstone: true });
        }
        Ok(live)
    }

    /// What the key was at a main revision, after all of that transaction; `None` when it did
    /// not exist. Whether the revision is compacted or in the future is the caller's to know.
    /// O(log n), and as much as its generation has changes before.
    #[must_use]
    pub fn get(&self, at: u64) -> Option<KeyVersion> {
        let index = self.up_to(at).checked_sub(1)?;
        let change = self.changes.get(index).filter(|change| !change.tombstone)?;
        let start = self.generation_start(index);
        let created = self.created_of(start);
        let version = self.dropped_before(start) + (index - start) as u64 + 1;
        Some(KeyVersion { modified: change.revision, created, version })
    }

    /// What the key is now.
    #[must_use]
    pub fn current(&self) -> Option<KeyVersion> {
        self.get(u64::MAX)
    }

    /// The changes at or after a main revision, oldest first; of several in one transaction the
    /// last.
    pub fn since(&self, at: u64) -> impl Iterator<Item = Change> + '_ {
        let from = self.changes.partition_point(|change| change.revision.main < at);
        let changes = self.changes.get(from..).unwrap_or_default();
        changes.iter().enumerate().filter_map(move |(index, change)| {
            let next = changes.get(index + 1);
            let last = next.is_none_or(|next| next.revision.main != change.revision.main);
            last.then_some(*change)
        })
    }

    /// Drops what no read at `at` (a main revision) or later can see, and gives it, oldest first.
    /// Compacting twice at the same revision drops nothing the second time.
    pub fn compact(&mut self, at: u64) -> Vec<Change> {
        let keep = self.kept_from(at);
        if keep == 0 {
            return Vec::new();
        }
        let start = self.generation_start(keep);
        (self.created, self.dropped) = match self.changes.get(keep) {
            Some(_) => (self.created_of(start), self.dropped_before(start) + (keep - start) as u64),
            None => (Revision::default(), 0),
        };
        let dropped = self.changes.drain(..keep).collect();
        self.changes.shrink_to_fit();
        dropped
    }

    /// The change that stands for the key after a compaction at `at`: the newest at or below it,
    /// unless that is a tombstone. It is what a hash over the state at `at` covers.
    #[must_use]
    pub fn kept_at(&self, at: u64) -> Option<Revision> {
        let kept = self.changes.get(self.kept_from(at))?;
        (kept.revision.main <= at && !kept.tombstone).then_some(kept.revision)
    }

    /// Appends the encoded history.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        varint::put(out, self.changes.len() as u64);
        if self.changes.is_empty() {
            return;
        }
        varint::put(out, self.created.main);
        varint::put(out, u64::from(self.created.sub));
        varint::put(out, self.dropped);
        let mut before = self.created.main;
        for Change { revision: Revision { main, sub }, tombstone } in &self.changes {
            let has_sub = u64::from(*sub > 0);
            varint::put(out, (main - before) << 2 | has_sub << 1 | u64::from(*tombstone));
            if *sub > 0 {
                varint::put(out, u64::from(*sub));
            }
            before = *main;
        }
    }

    /// Reads an encoded history, which must fill the bytes.
    ///
    /// # Errors
    /// `Corrupt` for anything that [`encode`](Self::encode) does not write, `UnsupportedVersion`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (&version, mut rest) = bytes.split_first().ok_or_else(|| corrupt("length", 0))?;
        if version != VERSION {
            return Err(Error::UnsupportedVersion { what: WHAT, found: version.into() });
        }
        let history = Self::read(&mut rest).ok_or_else(|| corrupt("field", rest.len()))?;
        if !rest.is_empty() {
            return Err(corrupt("bytes behind the end", rest.len()));
        }
        history.is_sound().then_some(history).ok_or_else(|| corrupt("order of changes", 0))
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let count = varint::take(rest)?;
        if count == 0 {
            return Some(Self::default());
        }
        let main = varint::take(rest)?;
        let created = Revision { main, sub: u32::try_from(varint::take(rest)?).ok()? };
        let dropped = varint::take(rest).filter(|dropped| *dropped <= MAIN_MAX)?;
        // Each change takes a byte at least, so this allocates no more than was given.
        let count = usize::try_from(count).ok().filter(|count| *count <= rest.len())?;
        let mut changes = Vec::with_capacity(count);
        let mut before = main;
        for _ in 0..count {
            let packed = varint::take(rest)?;
            before = before.checked_add(packed >> 2).filter(|main| *main <= MAIN_MAX)?;
            let sub = if packed & 2 == 0 {
                0
            } else {
                u32::try_from(varint::take(rest)?).ok().filter(|sub| *sub > 0)?
            };
            let revision = Revision { main: before, sub };
            changes.push(Change { revision, tombstone: packed & 1 == 1 });
        }
        Some(Self { created, dropped, changes })
    }

    /// What every history of puts, tombstones and compactions fulfils.
    fn is_sound(&self) -> bool {
        let Some(first) = self.changes.first() else { return self.dropped == 0 };
        let whole = self.dropped == 0;
        let begins =
            if whole { self.created == first.revision } else { self.created < first.revision };
        let in_order = self.changes.windows(2).all(|pair| match pair {
            [a, b] => a.revision < b.revision && !(a.tombstone && b.tombstone),
            _ => true,
        });
        begins && in_order && !(whole && first.tombstone)
    }

    fn check_next(&self, revision: Revision) -> Result<()> {
        if revision.main > MAIN_MAX {
            return Err(Error::OutOfRange {
                what: "main revision",
                found: revision.main,
                limit: MAIN_MAX,
            });
        }
        match self.changes.last() {
            Some(last) if last.revision >= revision => Err(Error::NotAfter {
                found: revision.to_string(),
                last: last.revision.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// How many changes are at or before a main revision.
    fn up_to(&self, at: u64) -> usize {
        self.changes.partition_point(|change| change.revision.main <= at)
    }

    /// The first change of the generation of change `index`.
    fn generation_start(&self, index: usize) -> usize {
        let before = self.changes.get(..index).unwrap_or_default();
        before.iter().rposition(|change| change.tombstone).map_or(0, |tombstone| tombstone + 1)
    }

    fn created_of(&self, start: usize) -> Revision {
        match self.changes.get(start) {
            Some(first) if start > 0 => first.revision,
            _ => self.created,
        }
    }

    fn dropped_before(&self, start: usize) -> u64 {
        if start == 0 { self.dropped } else { 0 }
    }

    /// The first change that a compaction at `at` keeps.
    fn kept_from(&self, at: u64) -> usize {
        let ended_before = |change: &Change| change.tombstone && change.revision.main < at;
        let start = self.changes.iter().rposition(ended_before).map_or(0, |index| index + 1);
        // The generation that was the current one at `at` just before its changes, with the
        // tombstone that may end it there.
        let rest = self.changes.get(start..).unwrap_or_default();
        let end = rest.iter().position(|change| change.tombstone).map_or(rest.len(), |end| end + 1);
        let seen = rest.iter().take(end).filter(|change| change.revision.main <= at).count();
        start + seen.saturating_sub(1)
    }
}

fn corrupt(cause: &'static str, found: usize) -> Error {
    Error::Corrupt { what: WHAT, cause, found: found as u64, expected: 0 }
}
