//! The hashes of RFC 6962 section 2.1: leaves, inner nodes, the empty tree.
//!
//! ```text
//! empty tree   SHA-256("")
//! leaf         SHA-256(0x00 || data)
//! inner node   SHA-256(0x01 || left || right)
//! ```
//!
//! The prefixes keep a leaf from posing as an inner node. Pure functions: nothing is stored here.

pub(crate) mod short;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_types::{ChainHash, LeafHash};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Bytes of a hash.
pub const HASH_LEN: usize = 32;
/// Characters of a hash in base64, padding included.
pub const HASH_BASE64_LEN: usize = 44;
/// First byte of what is hashed into a leaf.
pub const LEAF_PREFIX: u8 = 0;
/// First byte of what is hashed into an inner node.
pub const NODE_PREFIX: u8 = 1;

/// A SHA-256 value: leaf, inner node or root of a tree.
///
/// ```
/// use cairn_merkle::hash::{Hash, leaf_hash};
/// let hash = leaf_hash(b"stone");
/// assert_eq!(Hash::from_base64(&hash.to_base64())?, hash);
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_LEN]);

impl Hash {
    /// Wraps the 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }

    /// Takes bytes that came from outside.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let wrong = |_| Error::Malformed { what: "hash", cause: "it is not 32 bytes long" };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// The 44 characters that stand for it in checkpoints and proofs (RFC 4648 section 4).
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`to_base64`](Self::to_base64) writes, and only that: each hash has one form.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_base64(text: &str) -> Result<Self> {
        let malformed = |cause| Error::Malformed { what: "hash", cause };
        if text.len() != HASH_BASE64_LEN {
            return Err(malformed("it is not 44 characters long"));
        }
        let bytes = STANDARD.decode(text).map_err(|_| malformed("it is not canonical base64"))?;
        Self::from_slice(&bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl From<LeafHash> for Hash {
    fn from(leaf: LeafHash) -> Self {
        Self(*leaf.as_bytes())
    }
}

impl From<Hash> for LeafHash {
    fn from(hash: Hash) -> Self {
        Self::new(hash.0)
    }
}

impl From<ChainHash> for Hash {
    fn from(chain: ChainHash) -> Self {
        Self(*chain.as_bytes())
    }
}

/// SHA-256 of a byte and two hashes.
pub(crate) fn of_pair(prefix: u8, left: &[u8; HASH_LEN], right: &[u8; HASH_LEN]) -> [u8; HASH_LEN] {
    short::sha256([&[prefix], left, right])
}

/// SHA-256 of bytes, without a prefix.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// The leaf of an entry.
///
/// ```
/// // printf '\0' | sha256sum
/// let leaf = cairn_merkle::hash::leaf_hash(b"").to_string();
/// assert!(leaf.starts_with("6e340b9cffb37a98"));
/// ```
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    if data.len() < short::LEN_MAX {
        return Hash(short::sha256([&[LEAF_PREFIX], data]));
    }
    let mut hasher = Sha256::new();
    hasher.update([LEAF_PREFIX]);
    hasher.update(data);
    Hash(hasher.finalize().into())
}

/// The inner node above two others.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(of_pair(NODE_PREFIX, &left.0, &right.0))
}

/// The root of a tree without leaves.
///
/// ```
/// let root = cairn_merkle::hash::empty_root().to_string();
/// assert!(root.starts_with("e3b0c44298fc1c14"));
/// ```
#[must_use]
pub fn empty_root() -> Hash {
    sha256(b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_of_every_length_are_hashed_with_their_prefix() {
        for len in 0..300 {
            let prefixed = vec![0; len + 1];
            assert_eq!(leaf_hash(&prefixed[1..]), sha256(&prefixed), "{len}");
        }
    }

    #[test]
    fn only_the_canonical_forms_are_a_hash() {
        let text = leaf_hash(b"a").to_base64();
        assert!(Hash::from_base64(&text).is_ok());
        for wrong in ["", &text[..43], &text[1..], &format!("{text}\n"), &text.replace('=', "A")] {
            assert!(Hash::from_base64(wrong).is_err(), "{wrong:?}");
        }
        // The last character carries four bits; with others set it would be a second form.
        let mut other = text.into_bytes();
        other[42] += 1;
        assert!(Hash::from_base64(&String::from_utf8(other).expect("ASCII")).is_err());
        assert!(Hash::from_slice(&[0; 31]).is_err());
        assert!(Hash::from_slice(&[0; 33]).is_err());
    }
}
