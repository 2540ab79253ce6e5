//! Nodes of the trie and how two become one. **Derived** from the entries below.

use crate::hashing::{Hash, sha256};

/// Separates inner nodes from every other use of SHA-256.
const DOMAIN: [u8; 8] = *b"CRNmpn1\0";
/// What stands for an empty side in an inner node, and for the root of an empty map.
pub(super) const EMPTY: Hash = [0; 32];

/// What lies below some prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// No entry.
    Empty,
    /// One entry, with its hash. It moves up to the shortest prefix that is its alone.
    Single(Hash),
    /// At least two.
    Inner(Hash),
}

impl Node {
    /// What a parent commits to.
    pub(super) fn hash(&self) -> Hash {
        match self {
            Self::Empty => EMPTY,
            Self::Single(hash) | Self::Inner(hash) => *hash,
        }
    }

    /// The node above two.
    pub(super) fn join(left: &Self, right: &Self) -> Self {
        match (left, right) {
            (Self::Empty, Self::Empty) => Self::Empty,
            (Self::Single(hash), Self::Empty) | (Self::Empty, Self::Single(hash)) => {
                Self::Single(*hash)
            }
            _ => Self::Inner(inner(&left.hash(), &right.hash())),
        }
    }
}

/// Hash of an inner node.
pub(super) fn inner(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0; 72];
    bytes[..8].copy_from_slice(&DOMAIN);
    bytes[8..40].copy_from_slice(left);
    bytes[40..].copy_from_slice(right);
    sha256(&bytes)
}
