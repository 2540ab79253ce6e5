//! Making proofs, from whatever knows the hashes of complete nodes. Pure: what it reads comes
//! through [`NodeReader`].
//!
//! A proof asks for at most one node a level and for the nodes of the right edge: `O(log n)`.

use crate::error::{Error, Result};
use crate::hash::{Hash, empty_root, node_hash};
use crate::log::node::{NodeId, NodeReader, cover};
use crate::log::tree::check_size;
use crate::log::{consistency, inclusion};

/// The root of the first `size` leaves.
///
/// # Errors
/// [`Error::OutOfRange`] for an impossible size, and what the reader brings.
pub fn root<R: NodeReader + ?Sized>(reader: &R, size: u64) -> Result<Hash> {
    check_size(size)?;
    if size == 0 {
        return Ok(empty_root());
    }
    range_root(reader, 0, size)
}

/// The proof that a tree of `size` leaves has the leaf with this index: siblings from the leaf up.
///
/// # Errors
/// [`Error::OutOfRange`] when there is no such leaf, and what the reader brings.
pub fn inclusion<R: NodeReader + ?Sized>(reader: &R, index: u64, size: u64) -> Result<Vec<Hash>> {
    let len = inclusion::proof_len(index, size)?;
    let mut proof = Vec::with_capacity(len as usize);
    climb(reader, NodeId { height: 0, index }, size, &mut proof)?;
    assert_eq!(proof.len() as u64, len, "a proof has the one length that its sizes ask for");
    Ok(proof)
}

/// The proof that a tree of `new_size` leaves begins with the one of `old_size` leaves.
///
/// # Errors
/// [`Error::Malformed`] for an old size of 0, [`Error::OutOfRange`] when it is over the new one,
/// and what the reader brings.
pub fn consistency<R: NodeReader + ?Sized>(
    reader: &R,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Hash>> {
    let len = consistency::proof_len(old_size, new_size)?;
    let mut proof = Vec::with_capacity(len as usize);
    if old_size < new_size {
        // The largest complete subtree that the old tree ends with.
        let height = old_size.trailing_zeros();
        let last = NodeId { height: height as u8, index: (old_size - 1) >> height };
        if !old_size.is_power_of_two() {
            proof.push(reader.node(last)?);
        }
        climb(reader, last, new_size, &mut proof)?;
    }
    assert_eq!(proof.len() as u64, len, "a proof has the one length that its sizes ask for");
    Ok(proof)
}

/// Adds the siblings on the way from a complete node to the root.
fn climb<R: NodeReader + ?Sized>(
    reader: &R,
    from: NodeId,
    size: u64,
    proof: &mut Vec<Hash>,
) -> Result<()> {
    let NodeId { mut height, mut index } = from;
    // The node at `height` and `index` is the root once it begins at 0 and holds all leaves.
    while index > 0 || (1_u64 << height) < size {
        let sibling = NodeId { height, index: index ^ 1 };
        let begin = sibling.index << height;
        if sibling.check_within(size).is_ok() {
            proof.push(reader.node(sibling)?);
        } else if begin < size {
            proof.push(range_root(reader, begin, size)?);
        }
        height += 1;
        index >>= 1;
    }
    Ok(())
}

/// The hash over the leaves `begin..end`, which end where the tree does.
fn range_root<R: NodeReader + ?Sized>(reader: &R, begin: u64, end: u64) -> Result<Hash> {
    let hashes: Vec<Hash> =
        cover(begin, end).map(|node| reader.node(node)).collect::<Result<_>>()?;
    fold(&hashes).ok_or(Error::OutOfRange {
        what: "beginning of a range",
        found: begin,
        limit: end,
    })
}

/// The hash above subtrees that stand side by side, each smaller than the one before.
pub(crate) fn fold(subtrees: &[Hash]) -> Option<Hash> {
    let (last, before) = subtrees.split_last()?;
    Some(before.iter().rfold(*last, |right, left| node_hash(left, &right)))
}
