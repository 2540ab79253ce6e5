//! The bytes of a [`Tree`]: what is kept so that it need not be built again.
//!
//! Derived: bytes that are damaged or of another version are thrown away and the tree is built
//! again. All numbers are little-endian.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `CRNtree1`: what it is, and the version |
//! | 8 | 8 | size, at most 2^63 - 1 |
//! | 16 | 32 each | roots of the complete subtrees, largest first, one for each 1 bit of the size |
//! | then | 8 | the first bytes of SHA-256 over everything before |
//!
//! At most 2,040 bytes.

use crate::error::{Error, Result};
use crate::hash::{HASH_LEN, Hash, sha256};
use crate::log::tree::Tree;

const MAGIC: [u8; 8] = *b"CRNtree1";
const AT_SIZE: usize = 8;
const AT_PEAKS: usize = 16;
const CHECK_LEN: usize = 8;

/// Bytes of the largest state.
pub const STATE_LEN_MAX: usize = AT_PEAKS + 63 * HASH_LEN + CHECK_LEN;
const _: () = assert!(STATE_LEN_MAX == 2040 && AT_SIZE + 8 == AT_PEAKS);

fn check_of(bytes: &[u8]) -> [u8; CHECK_LEN] {
    *sha256(bytes).as_bytes().first_chunk().expect("a hash is longer")
}

/// Lays a tree out as bytes.
///
/// ```
/// use cairn_merkle::log::{Tree, state};
/// let tree = Tree::new();
/// assert_eq!(state::decode(&state::encode(&tree))?, tree);
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[must_use]
pub fn encode(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(AT_PEAKS + tree.peaks().len() * HASH_LEN + CHECK_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&tree.size().to_le_bytes());
    tree.peaks().iter().for_each(|peak| bytes.extend_from_slice(peak.as_bytes()));
    let check = check_of(&bytes);
    bytes.extend_from_slice(&check);
    debug_assert!(bytes.len() <= STATE_LEN_MAX);
    bytes
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`Error::Corrupt`] for anything else.
pub fn decode(bytes: &[u8]) -> Result<Tree> {
    let corrupt = |cause, found, expected| Error::Corrupt {
        what: "tree state".into(),
        cause,
        found,
        expected,
    };
    let len = bytes.len() as u64;
    if bytes.len() > STATE_LEN_MAX {
        return Err(corrupt("length", len, STATE_LEN_MAX as u64));
    }
    let (body, check) = bytes.split_last_chunk::<CHECK_LEN>().ok_or(corrupt("length", len, 24))?;
    let (head, peaks) = body.split_first_chunk::<AT_PEAKS>().ok_or(corrupt("length", len, 24))?;
    if head[..AT_SIZE] != MAGIC {
        return Err(corrupt("not a tree state of this version", 0, 0));
    }
    let found = check_of(body);
    if found != *check {
        let [found, expected] = [found, *check].map(u64::from_le_bytes);
        return Err(corrupt("checksum", found, expected));
    }
    let mut size = [0; 8];
    size.copy_from_slice(&head[AT_SIZE..]);
    let (peaks, rest) = peaks.as_chunks::<HASH_LEN>();
    if !rest.is_empty() {
        return Err(corrupt("bytes after the last subtree", rest.len() as u64, 0));
    }
    let peaks = peaks.iter().copied().map(Hash::new).collect();
    Tree::from_peaks(u64::from_le_bytes(size), peaks)
}
