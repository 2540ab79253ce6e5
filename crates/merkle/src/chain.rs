//! The chain over single records: each value stands for everything before it.
//!
//! ```text
//! chain_0 = 32 zero bytes
//! chain_i = SHA-256(0x02 || chain_{i-1} || leaf_i)
//! ```
//!
//! It says less than a tree (a proof is as long as the log) but needs 32 bytes and no thought.
//! The log on disk chains whole batches; this is the view for those who do not care for batches.
//! Derived: it can be computed again from the leaves.

use cairn_types::ChainHash;

use crate::error::{Error, Result};
use crate::hash::{Hash, of_pair};

/// First byte of what is hashed into a chain value.
pub const CHAIN_PREFIX: u8 = 2;

/// The chain value after one more leaf.
#[must_use]
pub fn next(previous: &ChainHash, leaf: &Hash) -> ChainHash {
    ChainHash::new(of_pair(CHAIN_PREFIX, previous.as_bytes(), leaf.as_bytes()))
}

/// The chain value after more leaves.
///
/// ```
/// use cairn_merkle::{chain, hash::leaf_hash};
/// use cairn_types::ChainHash;
/// let leaves = [leaf_hash(b"a"), leaf_hash(b"b")];
/// let head = chain::extend(&ChainHash::GENESIS, &leaves);
/// assert_eq!(head, chain::next(&chain::next(&ChainHash::GENESIS, &leaves[0]), &leaves[1]));
/// ```
#[must_use]
pub fn extend<'a>(previous: &ChainHash, leaves: impl IntoIterator<Item = &'a Hash>) -> ChainHash {
    leaves.into_iter().fold(*previous, |chain, leaf| next(&chain, leaf))
}

/// Checks that leaves lead from one chain value to another.
///
/// # Errors
/// [`Error::RootMismatch`] when they do not.
pub fn verify<'a>(
    previous: &ChainHash,
    leaves: impl IntoIterator<Item = &'a Hash>,
    head: &ChainHash,
) -> Result<()> {
    let computed = extend(previous, leaves);
    if computed == *head {
        return Ok(());
    }
    Err(Error::RootMismatch { what: "chain", computed: computed.into(), trusted: (*head).into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    #[test]
    fn a_changed_swapped_or_missing_leaf_changes_the_head() {
        let [a, b] = [leaf_hash(b"a"), leaf_hash(b"b")];
        let head = extend(&ChainHash::GENESIS, &[a, b]);
        assert!(verify(&ChainHash::GENESIS, &[a, b], &head).is_ok());
        for wrong in [vec![b, a], vec![a], vec![a, b, b], vec![], vec![a, a]] {
            assert!(verify(&ChainHash::GENESIS, &wrong, &head).is_err());
        }
    }
}
