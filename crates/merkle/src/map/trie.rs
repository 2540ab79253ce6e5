//! The trie in memory: entries, and inner nodes that link to them and keep their hash.
//! **Derived**: built from the log's puts and deletes.
//!
//! Nothing is ever taken out: a deleted key keeps its history. So both kinds of nodes are
//! lists that only grow. `docs/decisions/0014-key-map.md` has what else was measured.

use super::arena::Arena;
use super::entry::Entry;
use super::head::MapHead;
use super::node::{EMPTY, Inner, Link, Target, inner};
use super::path::PathHash;
use crate::hashing::Hash;
use cairn_types::Lsn;
use std::ops::Range;

/// The map of all keys, in memory: about 150 B a key, and 32 B for each bit of a version
/// count that is no power of two.
///
/// See the [module](super) for an example.
#[derive(Debug)]
pub struct KeyMap {
    pub(super) entries: Arena<Entry>,
    inners: Arena<Inner>,
    pub(super) root: Link,
    pub(super) revision: u64,
    pub(super) lsn_end: Lsn,
}

/// What stands at a path, with what is needed to compute the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathProof {
    /// The other side at each depth, from the root down; 32 zero bytes where it is empty.
    pub siblings: Vec<[u8; 32]>,
    /// The entry at the end, if there is one: path, count of versions, root over them. It is of
    /// another key when that is alone under the prefix.
    pub entry: Option<(PathHash, u64, [u8; 32])>,
}

/// One version to take in; those of a key stand together, oldest first.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) path: PathHash,
    pub(super) leaf: Hash,
}

impl Default for KeyMap {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyMap {
    /// A map without keys, from before the first revision.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Arena::new(),
            inners: Arena::new(),
            root: Link::EMPTY,
            revision: 0,
            lsn_end: Lsn::ZERO,
        }
    }

    /// What the map commits to now.
    #[must_use]
    pub fn head(&self) -> MapHead {
        let Self { revision, lsn_end, .. } = *self;
        MapHead { revision, lsn_end, key_count: self.entries.len() as u64, root: self.root() }
    }

    /// Root of the trie, 32 zero bytes without keys.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.hash(self.root)
    }

    /// How many versions of a key the map commits to, 0 for one that never was.
    #[must_use]
    pub fn version_count(&self, path: &PathHash) -> u64 {
        self.entry(path).map_or(0, |entry| entry.count)
    }

    /// The way from the root to a key, or to where it would stand. A few microseconds.
    #[must_use]
    pub fn prove_path(&self, path: &PathHash) -> PathProof {
        let mut siblings = Vec::with_capacity(32);
        let entry = self.descend(path, |link| siblings.push(self.hash(link)));
        PathProof { siblings, entry: entry.map(|entry| (entry.path, entry.count, entry.root)) }
    }

    pub(super) fn entry(&self, path: &PathHash) -> Option<&Entry> {
        self.descend(path, |_| {}).filter(|entry| entry.path == *path)
    }

    /// Goes down a path, past the other sides, to the entry at its end.
    fn descend(&self, path: &PathHash, mut passed: impl FnMut(Link)) -> Option<&Entry> {
        let mut link = self.root;
        let mut depth = 0;
        loop {
            match link.target() {
                Target::Empty => return None,
                Target::Entry(index) => return Some(&self.entries[index]),
                Target::Inner(index) => {
                    let [left, right] = self.inners[index].sides;
                    let (next, other) = if path.bit(depth) { (right, left) } else { (left, right) };
                    passed(other);
                    link = next;
                    depth += 1;
                }
            }
        }
    }

    /// Entries in order of their paths.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Entry> {
        let mut pending = vec![self.root];
        std::iter::from_fn(move || {
            loop {
                match pending.pop()?.target() {
                    Target::Empty => {}
                    Target::Entry(index) => return Some(&self.entries[index]),
                    Target::Inner(index) => pending.extend(self.inners[index].sides.iter().rev()),
                }
            }
        })
    }

    fn hash(&self, link: Link) -> Hash {
        match link.target() {
            Target::Empty => EMPTY,
            Target::Entry(index) => self.entries[index].hash(),
            Target::Inner(index) => self.inners[index].hash,
        }
    }

    /// A map over sorted entries, each key once.
    pub(super) fn from_entries(entries: Arena<Entry>) -> Self {
        let mut map = Self { entries, ..Self::new() };
        map.root = map.build(0..map.entries.len(), 0);
        map
    }

    /// Links sorted entries that share their first `depth` bits.
    fn build(&mut self, range: Range<usize>, depth: usize) -> Link {
        match range.len() {
            0 => return Link::EMPTY,
            1 => return Link::to_entry(range.start),
            _ => {}
        }
        let (mut start, mut end) = (range.start, range.end);
        while start < end {
            let middle = start + (end - start) / 2;
            if self.entries[middle].path.bit(depth) { end = middle } else { start = middle + 1 }
        }
        let index = self.inners.push(Inner { sides: [Link::EMPTY; 2], hash: EMPTY });
        let left = self.build(range.start..start, depth + 1);
        let right = self.build(start..range.end, depth + 1);
        self.set(index, [left, right])
    }

    fn set(&mut self, index: usize, sides: [Link; 2]) -> Link {
        let hash = inner(&self.hash(sides[0]), &self.hash(sides[1]));
        self.inners[index] = Inner { sides, hash };
        Link::to_inner(index)
    }

    /// Takes sorted versions, whose paths share their first `depth` bits, in below a link;
    /// gives the link that takes its place. Goes down once for each bit that paths share: 256
    /// levels at most, and about thirty at a million keys.
    pub(super) fn take_in(&mut self, link: Link, depth: usize, fresh: &[Fresh]) -> Link {
        let (Some(first), Some(last)) = (fresh.first(), fresh.last()) else {
            return link;
        };
        let is_one_key = first.path == last.path;
        let (index, [left, right]) = match link.target() {
            Target::Empty if is_one_key => {
                let mut entry = Entry::new(first.path, first.leaf);
                if fresh.len() > 1 {
                    entry.append(fresh[1..].iter().map(|version| version.leaf));
                }
                return Link::to_entry(self.entries.push(entry));
            }
            Target::Entry(index) if is_one_key && self.entries[index].path == first.path => {
                self.entries[index].append(fresh.iter().map(|version| version.leaf));
                return link;
            }
            Target::Inner(index) => (index, self.inners[index].sides),
            target => {
                let mut sides = [Link::EMPTY; 2];
                if let Target::Entry(index) = target {
                    sides[usize::from(self.entries[index].path.bit(depth))] = link;
                }
                (self.inners.push(Inner { sides, hash: EMPTY }), sides)
            }
        };
        let (below_left, below_right) =
            fresh.split_at(fresh.partition_point(|version| !version.path.bit(depth)));
        let left = self.take_in(left, depth + 1, below_left);
        let right = self.take_in(right, depth + 1, below_right);
        self.set(index, [left, right])
    }
}
