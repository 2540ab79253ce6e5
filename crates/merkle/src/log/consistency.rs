//! Checking that a tree only grew: RFC 9162 section 2.1.4.2. Pure: a stranger can write it again
//! from this page.
//!
//! The proof is the way up from the last node that the old tree ends with; from the same hashes
//! both roots are computed, the old one and the new one:
//!
//! ```text
//!  old tree of 3      new tree of 7          proof: leaf 2, leaf 3, node 0-1, node 4-6
//!     /   \             /       \            old root = (0-1, 2)
//!   0-1    2         0-3         4-6         new root = ((0-1, (2, 3)), 4-6)
//! ```

use crate::error::{Error, Result};
use crate::hash::{Hash, empty_root, node_hash};
use crate::log::inclusion;
use crate::log::tree::{TreeHead, check_size};

/// Hashes in the longest possible proof.
pub const PROOF_LEN_MAX: usize = inclusion::PROOF_LEN_MAX + 1;

/// How many hashes the proof between two sizes has; the old one must not be 0.
///
/// # Errors
/// [`Error::Malformed`] when the old size is 0, [`Error::OutOfRange`] when it is over the new one
/// or the new one is impossible.
pub fn proof_len(old_size: u64, new_size: u64) -> Result<u64> {
    check_sizes(old_size, new_size)?;
    if old_size == new_size {
        return Ok(0);
    }
    // The way from the last leaf of the old tree, without the part inside the subtree it ends
    // with, whose hash comes first; the old root itself is left out when it is that subtree.
    let whole = old_size.trailing_zeros();
    let way = inclusion::proof_len(old_size - 1, new_size)? - u64::from(whole);
    Ok(way + u64::from(!old_size.is_power_of_two()))
}

fn check_sizes(old_size: u64, new_size: u64) -> Result<()> {
    check_size(new_size)?;
    if old_size == 0 {
        return Err(Error::Malformed {
            what: "consistency proof",
            cause: "every tree begins with the empty one: there is nothing to prove",
        });
    }
    if old_size > new_size {
        return Err(Error::OutOfRange { what: "old size", found: old_size, limit: new_size });
    }
    Ok(())
}

/// Checks that the new tree begins with all entries of the old one, which must not be empty.
///
/// # Errors
/// [`Error::Malformed`] for an empty old tree, [`Error::OutOfRange`] when it is larger than the new
/// one, [`Error::ProofLength`], [`Error::RootMismatch`].
pub fn verify(old: &TreeHead, new: &TreeHead, proof: &[Hash]) -> Result<()> {
    let (found, expected) = (proof.len() as u64, proof_len(old.size, new.size)?);
    if found != expected {
        return Err(Error::ProofLength { found, expected });
    }
    if old.size == new.size {
        return check_root("consistency proof, equal sizes", old.root, &new.root);
    }
    // The names are those of RFC 9162: `fn` is `at`, `sn` is `last`, `fr` and `sr` the two roots.
    let (mut at, mut last) = (old.size - 1, new.size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let mut path = proof.iter();
    let first = if old.size.is_power_of_two() { Some(&old.root) } else { path.next() };
    let first = first.expect("the length was checked");
    let (mut old_root, mut new_root) = (*first, *first);
    for sibling in path {
        assert!(last > 0, "the length was checked");
        if at & 1 == 1 || at == last {
            old_root = node_hash(sibling, &old_root);
            new_root = node_hash(sibling, &new_root);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_root = node_hash(&new_root, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    assert_eq!(last, 0, "the length was checked");
    check_root("consistency proof, old root", old_root, &old.root)?;
    check_root("consistency proof, new root", new_root, &new.root)
}

/// Checks as a C2SP witness does, who may have seen nothing yet: an old size of 0 goes with the
/// empty proof and any new tree; the root of an empty tree must be the one RFC 6962 gives it.
///
/// # Errors
/// As [`verify`].
pub fn verify_as_witness(old: &TreeHead, new: &TreeHead, proof: &[Hash]) -> Result<()> {
    check_size(new.size)?;
    for head in [old, new].into_iter().filter(|head| head.size == 0) {
        check_root("root of an empty tree", head.root, &empty_root())?;
    }
    if old.size > 0 {
        return verify(old, new, proof);
    }
    if proof.is_empty() {
        return Ok(());
    }
    Err(Error::ProofLength { found: proof.len() as u64, expected: 0 })
}

fn check_root(what: &'static str, computed: Hash, trusted: &Hash) -> Result<()> {
    if computed == *trusted {
        return Ok(());
    }
    Err(Error::RootMismatch { what, computed, trusted: *trusted })
}
