//! Where a key stands in the trie: the hash of its keyspace and its bytes. **Derived** from the
//! key.

use crate::hashing::{Hash, sha256};
use std::cmp::Ordering;
use std::fmt;

/// Separates paths from every other use of SHA-256.
const DOMAIN: [u8; 8] = *b"CRNmpk1\0";
/// Keys up to here need no allocation to be hashed.
const SHORT_LEN: usize = 112;

/// Path of a key in the trie, highest bit of the first byte first.
///
/// ```
/// use cairn_merkle::map::PathHash;
/// assert_ne!(PathHash::of_key(1, b"a"), PathHash::of_key(2, b"a"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PathHash(Hash);

impl PathHash {
    /// The path of a key in a keyspace. One hash, no allocation for keys up to 112 bytes.
    #[must_use]
    pub fn of_key(keyspace: u64, key: &[u8]) -> Self {
        let mut short = [0; 16 + SHORT_LEN];
        if let Some(room) = short.get_mut(..16 + key.len()) {
            room[..8].copy_from_slice(&DOMAIN);
            room[8..16].copy_from_slice(&keyspace.to_le_bytes());
            room[16..].copy_from_slice(key);
            return Self(sha256(room));
        }
        Self(sha256(&[&DOMAIN[..], &keyspace.to_le_bytes(), key].concat()))
    }

    /// Wraps the 32 bytes.
    #[must_use]
    pub const fn new(bytes: Hash) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Hash {
        &self.0
    }

    /// The first eight bytes as a number that sorts like the path.
    pub(super) fn head(&self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("a path has 32 bytes"))
    }

    /// Bit number `depth`, or `false` past the end.
    pub(super) fn bit(&self, depth: usize) -> bool {
        let byte = self.0.get(depth / 8).copied().unwrap_or_default();
        byte & (0x80 >> (depth % 8)) != 0
    }

    /// How many leading bits two paths share.
    pub(super) fn shared_bits(&self, other: &Self) -> usize {
        let differs = self.0.iter().zip(&other.0).position(|(a, b)| a != b);
        differs.map_or(256, |at| {
            let bits = self.0.get(at).zip(other.0.get(at)).map_or(0, |(a, b)| a ^ b);
            at * 8 + bits.leading_zeros() as usize
        })
    }
}

/// As bytes; the first eight decide nearly always, as one number.
impl Ord for PathHash {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head().cmp(&other.head()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for PathHash {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PathHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PathHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_highest() {
        let path = PathHash::new([0b1010_0000; 32]);
        assert_eq!([0, 1, 2, 3, 8].map(|depth| path.bit(depth)), [true, false, true, false, true]);
        let mut other = path;
        other.0[1] ^= 0b0100_0000;
        assert_eq!(path.shared_bits(&other), 9);
        assert_eq!(path.shared_bits(&path), 256);
    }

    #[test]
    fn long_keys_hash_like_short_ones() {
        for len in [SHORT_LEN, SHORT_LEN + 1] {
            let key = vec![7; len];
            let whole = [&DOMAIN[..], &3_u64.to_le_bytes(), &key].concat();
            assert_eq!(PathHash::of_key(3, &key).0, sha256(&whole));
        }
    }
}
