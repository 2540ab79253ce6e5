//! Hashes of RFC 6962 trees. Neither truth nor derived: only arithmetic.

use sha2::{Digest, Sha256};

use crate::hash::{NODE_PREFIX, of_pair};

/// A SHA-256 value.
pub(crate) type Hash = [u8; 32];

/// SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Inner node (RFC 6962 section 2.1).
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    of_pair(NODE_PREFIX, left, right)
}

/// Largest power of two below `count`, which must be at least two: where a tree of so many
/// leaves divides.
pub(crate) fn split(count: u64) -> u64 {
    debug_assert!(count >= 2, "a single leaf does not divide");
    1 << (63 - (count - 1).leading_zeros())
}

/// Root over the peaks of a tree, from the largest to the smallest; `None` without peaks.
pub(crate) fn fold(peaks: &[Hash]) -> Option<Hash> {
    let (last, rest) = peaks.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node(left, &right)))
}

/// Adds a leaf's hash to the peaks of a tree of `count` leaves.
pub(crate) fn push(peaks: &mut Vec<Hash>, count: u64, leaf: Hash) {
    let mut carried = leaf;
    for _ in 0..count.trailing_ones() {
        let left = peaks.pop().expect("a peak for each bit of the count");
        carried = node(&left, &carried);
    }
    peaks.push(carried);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_divides_at_the_largest_power_of_two_below() {
        let expected = [(2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (9, 8)];
        assert!(expected.iter().all(|(count, at)| split(*count) == *at));
    }
}
