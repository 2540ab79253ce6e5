//! Nodes of the tree by place, and where to get their hashes from.
//!
//! ```text
//! height 2        0
//!               /   \
//! height 1     0     1       2         a node is complete when all leaves below it exist;
//!             / \   / \     / \        only complete nodes have a hash that never changes,
//! height 0   0   1 2   3   4   5  6    so only those can be asked for
//! ```

use crate::error::{Error, Result};
use crate::hash::{Hash, node_hash};
use crate::log::tree::SIZE_MAX;

/// A complete subtree: the leaves from `index << height` on, `1 << height` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Levels above the leaves.
    pub height: u8,
    /// Place among the nodes of this height, from 0.
    pub index: u64,
}

impl NodeId {
    /// Where the leaves below it end, or nothing when that is beyond every tree.
    #[must_use]
    pub fn end(self) -> Option<u64> {
        let width = 1_u64.checked_shl(self.height.into())?;
        self.index.checked_add(1)?.checked_mul(width)
    }

    /// Checks that a tree of so many leaves has it.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless it is complete in a tree of `size` leaves.
    pub fn check_within(self, size: u64) -> Result<()> {
        match self.end() {
            Some(end) if end <= size => Ok(()),
            end => Err(Error::OutOfRange {
                what: "end of a node",
                found: end.unwrap_or(u64::MAX),
                limit: size,
            }),
        }
    }
}

/// Gives the hashes of complete nodes.
pub trait NodeReader {
    /// The hash of a complete node.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] beyond the tree, and whatever reading can bring.
    fn node(&self, node: NodeId) -> Result<Hash>;
}

impl<R: NodeReader + ?Sized> NodeReader for &R {
    fn node(&self, node: NodeId) -> Result<Hash> {
        (**self).node(node)
    }
}

/// A tree that is held as its leaves alone; nodes are computed on each call. For small trees and
/// for tests.
///
/// ```
/// use cairn_merkle::{hash::leaf_hash, log::{Leaves, inclusion, prove}};
/// let leaves: Vec<_> = (0..5_u8).map(|n| leaf_hash(&[n])).collect();
/// let proof = prove::inclusion(&Leaves(&leaves), 3, 5)?;
/// inclusion::verify(3, 5, &leaves[3], &proof, &prove::root(&Leaves(&leaves), 5)?)?;
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Leaves<'a>(pub &'a [Hash]);

impl NodeReader for Leaves<'_> {
    fn node(&self, node: NodeId) -> Result<Hash> {
        node.check_within(self.0.len() as u64)?;
        if node.height > 0 {
            let child = |index| self.node(NodeId { height: node.height - 1, index });
            return Ok(node_hash(&child(node.index * 2)?, &child(node.index * 2 + 1)?));
        }
        let leaf = usize::try_from(node.index).ok().and_then(|index| self.0.get(index));
        Ok(*leaf.expect("checked to lie within"))
    }
}

/// The complete nodes that together hold the leaves `begin..end`, from left to right. `begin` must
/// be where a subtree as large as the range could begin, as it is in every proof.
pub(crate) fn cover(begin: u64, end: u64) -> impl Iterator<Item = NodeId> {
    debug_assert!(end <= SIZE_MAX, "sizes are checked where they come in");
    let mut at = begin;
    std::iter::from_fn(move || {
        let height = (end - at).checked_ilog2()?;
        let index = at >> height;
        debug_assert_eq!(index << height, at, "the range begins where its largest part can");
        at += 1 << height;
        Some(NodeId { height: height as u8, index })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cover_has_one_node_for_each_bit_of_the_size() {
        for end in 0..300 {
            let nodes: Vec<NodeId> = cover(0, end).collect();
            assert_eq!(nodes.len(), end.count_ones() as usize);
            assert_eq!(nodes.last().map_or(Some(0), |node| node.end()), Some(end));
        }
        assert_eq!(cover(0, SIZE_MAX).count(), 63);
    }

    #[test]
    fn a_node_beyond_every_tree_is_refused() {
        for (height, index) in [(63, 1), (64, 0), (255, 0), (0, u64::MAX), (1, u64::MAX / 2)] {
            assert!(NodeId { height, index }.check_within(SIZE_MAX).is_err(), "{height} {index}");
        }
    }
}
