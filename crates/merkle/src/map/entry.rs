//! What the map keeps of one key: its path, how many versions it had, and the peaks of the tree
//! over them. **Derived** from the log's records of the key.

use super::path::PathHash;
use crate::hash::short;
use crate::hashing::{self, Hash};

/// Separates entries from every other use of SHA-256.
const DOMAIN: [u8; 8] = *b"CRNmpe1\0";

/// One key. 88 bytes and, unless the count is a power of two, 32 for each bit of the count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathHash,
    /// Root over the versions.
    pub(super) root: Hash,
    /// Versions ever, at least one.
    pub(super) count: u64,
    /// Peaks of the tree, largest first; empty when the root is the only one.
    peaks: Box<[Hash]>,
}

impl Entry {
    /// A key with its first version.
    pub(super) fn new(path: PathHash, leaf: Hash) -> Self {
        Self { path, root: leaf, count: 1, peaks: Box::default() }
    }

    /// A key from what [`peaks`](Self::peaks) gave; `None` unless there is a peak for each bit of
    /// the count.
    pub(super) fn from_peaks(path: PathHash, count: u64, peaks: Vec<Hash>) -> Option<Self> {
        if count == 0 || peaks.len() != count.count_ones() as usize {
            return None;
        }
        let root = hashing::fold(&peaks)?;
        let peaks = if peaks.len() == 1 { Box::default() } else { peaks.into() };
        Some(Self { path, root, count, peaks })
    }

    /// Peaks of the tree over the versions, largest first.
    pub(super) fn peaks(&self) -> &[Hash] {
        if self.peaks.is_empty() { std::slice::from_ref(&self.root) } else { &self.peaks }
    }

    /// Adds the leaves of the next versions.
    pub(super) fn append(&mut self, leaves: impl Iterator<Item = Hash>) {
        let mut peaks = self.peaks().to_vec();
        for leaf in leaves {
            hashing::push(&mut peaks, self.count, leaf);
            self.count += 1;
        }
        debug_assert_eq!(peaks.len(), self.count.count_ones() as usize, "a peak for each bit");
        self.root = hashing::fold(&peaks).expect("at least one version");
        self.peaks = if peaks.len() == 1 { Box::default() } else { peaks.into() };
    }

    /// What the trie commits to.
    pub(super) fn hash(&self) -> Hash {
        entry_hash(&self.path, self.count, &self.root)
    }
}

/// What the trie commits to of a key.
pub(super) fn entry_hash(path: &PathHash, count: u64, root: &Hash) -> Hash {
    short::sha256([&DOMAIN, path.as_bytes(), &count.to_le_bytes(), root])
}
