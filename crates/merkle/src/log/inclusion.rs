//! Checking that an entry is in a tree: RFC 9162 section 2.1.3.2. Pure: a stranger can write it
//! again from this page.
//!
//! The proof holds the siblings on the way from the leaf to the root, the leaf's own first:
//!
//! ```text
//!            root                       entry 2 of 7: leaf 3, node a, node b
//!          /      \
//!        *          b                   at each step the entry's place says whether the
//!      /   \       /  \                 sibling stands left or right; where the right edge
//!     a     *     *    6                has no sibling, nothing is taken
//!    / \   / \   / \
//!   0   1 2   3 4   5
//! ```
//!
//! A proof has exactly one valid length for its index and size, and every hash in it is used.

use crate::error::{Error, Result};
use crate::hash::{Hash, node_hash};
use crate::log::tree::check_size;

/// Hashes in the longest possible proof.
pub const PROOF_LEN_MAX: usize = 63;

/// How many hashes the proof for an entry has.
///
/// # Errors
/// [`Error::OutOfRange`] when there is no such entry.
pub fn proof_len(index: u64, size: u64) -> Result<u64> {
    check_size(size)?;
    let Some(last) = size.checked_sub(1).filter(|last| index <= *last) else {
        let limit = size.saturating_sub(1);
        return Err(Error::OutOfRange { what: "index of an entry", found: index, limit });
    };
    // Up to the height where the ways of this entry and of the last one meet, every node has a
    // sibling; above that only those have one that are right children.
    let below = u64::BITS - (index ^ last).leading_zeros();
    let above = index.checked_shr(below).unwrap_or(0).count_ones();
    Ok(u64::from(below + above))
}

/// The root that a leaf and its proof lead to.
///
/// # Errors
/// [`Error::OutOfRange`] when the tree has no such entry, [`Error::ProofLength`].
pub fn root_of(index: u64, size: u64, leaf: &Hash, proof: &[Hash]) -> Result<Hash> {
    let (found, expected) = (proof.len() as u64, proof_len(index, size)?);
    if found != expected {
        return Err(Error::ProofLength { found, expected });
    }
    // The names are those of RFC 9162: `fn` is `at`, `sn` is `last`, `r` is `root`.
    let (mut at, mut last) = (index, size - 1);
    let mut root = *leaf;
    for sibling in proof {
        assert!(last > 0, "the length was checked");
        if at & 1 == 1 || at == last {
            root = node_hash(sibling, &root);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    assert_eq!(last, 0, "the length was checked");
    Ok(root)
}

/// Checks that the tree with this size and root has this leaf at this index.
///
/// ```
/// use cairn_merkle::hash::{leaf_hash, node_hash};
/// use cairn_merkle::log::inclusion;
/// let [a, b] = [leaf_hash(b"a"), leaf_hash(b"b")];
/// inclusion::verify(1, 2, &b, &[a], &node_hash(&a, &b))?;
/// assert!(inclusion::verify(0, 2, &b, &[a], &node_hash(&a, &b)).is_err());
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
///
/// # Errors
/// [`Error::OutOfRange`] when the tree has no such entry, [`Error::ProofLength`],
/// [`Error::RootMismatch`].
pub fn verify(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<()> {
    let computed = root_of(index, size, leaf, proof)?;
    if computed == *root {
        return Ok(());
    }
    Err(Error::RootMismatch { what: "inclusion proof", computed, trusted: *root })
}
