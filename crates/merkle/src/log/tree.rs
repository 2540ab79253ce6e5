//! The tree as leaves are added to it: its size and the roots of its complete subtrees.
//!
//! ```text
//!  7 leaves     peaks:   [0-3]   [4-5]  [6]      one for each bit of the size, largest first
//!  + leaf 7              [0-3]   [4-5]  [6] 7    a leaf is added as a binary number is counted up:
//!                        [0-3]   [4-5] [6-7]     two subtrees of the same size become one
//!                        [0-3]     [4-7]
//!                        [0-7]
//! ```
//!
//! Derived: it can be built again from the leaves, or read from the right edge of the tiles.

use crate::error::{Error, Result};
use crate::hash::{Hash, empty_root, node_hash};
use crate::log::prove::fold;

/// The most leaves a tree can have, 2^63 - 1, as in other implementations of these formats.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Checks that a tree can have so many leaves.
///
/// # Errors
/// [`Error::OutOfRange`] over [`SIZE_MAX`].
pub fn check_size(size: u64) -> Result<()> {
    if size <= SIZE_MAX {
        return Ok(());
    }
    Err(Error::OutOfRange { what: "size of a tree", found: size, limit: SIZE_MAX })
}

/// What stands for a whole tree: how many leaves, and the hash above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// The hash above them.
    pub root: Hash,
}

impl TreeHead {
    /// The head of the tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self { size: 0, root: empty_root() }
    }
}

/// A growing tree in `O(log n)` memory: at most 63 hashes.
///
/// ```
/// use cairn_merkle::hash::{leaf_hash, node_hash};
/// use cairn_merkle::log::Tree;
/// let mut tree = Tree::new();
/// tree.push(leaf_hash(b"a"))?;
/// tree.push(leaf_hash(b"b"))?;
/// assert_eq!(tree.root(), node_hash(&leaf_hash(b"a"), &leaf_hash(b"b")));
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The tree with these complete subtrees, largest first.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an impossible size, [`Error::Corrupt`] unless there is one subtree
    /// for each bit of it.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self> {
        check_size(size)?;
        let (found, expected) = (peaks.len() as u64, u64::from(size.count_ones()));
        if found != expected {
            let cause = "number of subtrees";
            return Err(Error::Corrupt { what: "tree".into(), cause, found, expected });
        }
        Ok(Self { size, peaks })
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The hash above all leaves; costs one hash for each further subtree.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.peaks).unwrap_or_else(empty_root)
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }

    /// Adds a leaf and says its index; costs one hash on average.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the tree has [`SIZE_MAX`] leaves.
    pub fn push(&mut self, leaf: Hash) -> Result<u64> {
        self.push_observed(leaf, |_, _| {})
    }

    /// Adds leaves in order; all of them or none.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the tree would have more than [`SIZE_MAX`] leaves.
    pub fn extend(&mut self, leaves: &[Hash]) -> Result<()> {
        check_size(self.size.saturating_add(leaves.len() as u64))?;
        leaves.iter().try_for_each(|leaf| self.push(*leaf).map(drop))
    }

    /// As [`push`](Self::push); also tells of each node that becomes complete, from the leaf up.
    pub(crate) fn push_observed(
        &mut self,
        leaf: Hash,
        mut complete: impl FnMut(u32, Hash),
    ) -> Result<u64> {
        let index = self.size;
        check_size(index + 1)?;
        let mut hash = leaf;
        let merged = index.trailing_ones();
        for height in 0..merged {
            complete(height, hash);
            let left = self.peaks.pop().expect("one subtree for each bit of the size");
            hash = node_hash(&left, &hash);
        }
        complete(merged, hash);
        self.peaks.push(hash);
        self.size += 1;
        debug_assert_eq!(self.peaks.len(), self.size.count_ones() as usize);
        Ok(index)
    }
}
