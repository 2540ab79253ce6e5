//! Hashes of RFC 6962 trees. Neither truth nor derived: only arithmetic.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 value.
pub(crate) type Hash = [u8; 32];

/// SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The state SHA-256 starts from (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-256 of parts that fill two blocks with their padding: 56 to 119 bytes together. A fifth
/// faster than [`sha256`], which does not know the length beforehand.
pub(crate) fn sha256_two_blocks(parts: &[&[u8]]) -> Hash {
    let mut blocks = [[0; 64]; 2];
    let bytes = blocks.as_flattened_mut();
    let mut len = 0;
    for part in parts {
        bytes[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    assert!((56..=119).contains(&len), "with the padding this makes two blocks");
    bytes[len] = 0x80;
    bytes[120..].copy_from_slice(&(8 * len as u64).to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, &blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

/// Inner node (RFC 6962 section 2.1).
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    sha256_two_blocks(&[&[1], left, right])
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
    fn two_blocks_hash_like_any_other_bytes() {
        for len in 56..=119 {
            let bytes: Vec<u8> = (0..len).collect();
            let (left, right) = bytes.split_at(usize::from(len) / 3);
            assert_eq!(sha256_two_blocks(&[left, right]), sha256(&bytes), "{len}");
        }
    }

    #[test]
    fn a_tree_divides_at_the_largest_power_of_two_below() {
        let expected = [(2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (9, 8)];
        assert!(expected.iter().all(|(count, at)| split(*count) == *at));
    }
}
