//! A proof about one key, and its bytes. **Derived**: made from the map and the log.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | format version = 1 |
//! | 1 | 1 | ending: 0 nothing, 1 another key, 2 the key |
//! | 2 | 2 | n, count of siblings, at most 256 |
//! | 4 | (n + 7) / 8 | bit i, lowest first: sibling i is not empty; spare bits are zero |
//! | | 32 each | the siblings that are not empty, from the root down |
//! | another key | 32, 8, 32 | its path, count of versions, root over them |
//! | the key | 8 | count of its versions |
//! | | 8 | index of the first version in the proof |
//! | | 4 | v, versions in the proof, at most 2^20 |
//! | | 4 | h, hashes beside them, at most 128 |
//! | | 80 v | versions, oldest first ([`VersionLeaf`]) |
//! | | 32 h | hashes, left to right |
//!
//! There is one encoding of each proof, and nothing may follow it. The proof does not say what
//! it proves: whoever verifies it asks the question.

use super::cursor::Cursor;
use super::error::{Error, Result};
use super::node::EMPTY;
use super::path::PathHash;
use super::version::{VERSION_LEAF_LEN, VersionLeaf};
use crate::hashing::Hash;

const VERSION: u8 = 1;
const WHAT: &str = "key proof";
/// Most siblings: one for each bit of a path.
const SIBLINGS_MAX: usize = 256;
/// Most hashes beside the versions: two a level.
const HASHES_MAX: usize = 128;
/// Most versions in one proof.
pub const MAX_PROVEN_VERSIONS: usize = 1 << 20;
/// Longest proof in bytes.
pub const MAX_PROOF_LEN: usize = 4
    + SIBLINGS_MAX / 8
    + 32 * SIBLINGS_MAX
    + 24
    + MAX_PROVEN_VERSIONS * VERSION_LEAF_LEN
    + 32 * HASHES_MAX;

/// A proof about one key against a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProof {
    /// The other side at each depth, from the root down; 32 zero bytes where it is empty.
    pub siblings: Vec<Hash>,
    /// What stands where they lead.
    pub ending: Ending,
}

/// What stands at the end of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Nothing: the key never was.
    Nothing,
    /// Another key alone under the prefix: this key never was.
    Other {
        /// Its path.
        path: PathHash,
        /// Its versions.
        count: u64,
        /// Root over them.
        root: Hash,
    },
    /// The key.
    Key {
        /// Versions ever.
        count: u64,
        /// Index of the first version below.
        first: u64,
        /// Versions side by side, oldest first.
        versions: Vec<VersionLeaf>,
        /// Hashes of the subtrees beside them, left to right.
        hashes: Vec<Hash>,
    },
}

impl KeyProof {
    /// The bytes of the proof.
    ///
    /// # Panics
    /// On a proof put together by hand with more siblings, versions or hashes than the limits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kept: Vec<&Hash> = self.siblings.iter().filter(|hash| **hash != EMPTY).collect();
        let mut out = Vec::with_capacity(256 + 32 * kept.len());
        let count = u16::try_from(self.siblings.len()).expect("at most 256 siblings");
        let (kind, ..) = self.ending.kind();
        out.extend_from_slice(&[VERSION, kind]);
        out.extend_from_slice(&count.to_le_bytes());
        for eight in self.siblings.chunks(8) {
            let bits = eight.iter().enumerate().filter(|(_, hash)| **hash != EMPTY);
            out.push(bits.fold(0, |byte, (bit, _)| byte | (1 << bit)));
        }
        kept.iter().for_each(|hash| out.extend_from_slice(*hash));
        self.ending.encode(&mut out);
        out
    }

    /// Reads what [`encode`](Self::encode) wrote. Allocates no more than twice what is given.
    ///
    /// # Errors
    /// `UnsupportedVersion`; `Corrupt` for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, bytes);
        if bytes.len() > MAX_PROOF_LEN {
            return Err(cursor.error("longer than any proof"));
        }
        let version = cursor.u8()?;
        if version != VERSION {
            return Err(Error::UnsupportedVersion { what: WHAT, found: u16::from(version) });
        }
        let kind = cursor.u8()?;
        let siblings = decode_siblings(&mut cursor)?;
        let ending = match kind {
            0 => Ending::Nothing,
            1 => Ending::Other {
                path: PathHash::new(*cursor.array()?),
                count: cursor.u64()?,
                root: *cursor.array()?,
            },
            2 => decode_key(&mut cursor)?,
            _ => return Err(cursor.error("unknown ending")),
        };
        cursor.finish()?;
        Ok(Self { siblings, ending })
    }
}

impl Ending {
    fn kind(&self) -> (u8, &'static str) {
        match self {
            Self::Nothing => (0, "nothing"),
            Self::Other { .. } => (1, "another key"),
            Self::Key { .. } => (2, "the key"),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => {}
            Self::Other { path, count, root } => {
                out.extend_from_slice(path.as_bytes());
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(root);
            }
            Self::Key { count, first, versions, hashes } => {
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(&first.to_le_bytes());
                for len in [versions.len(), hashes.len()] {
                    let len = u32::try_from(len).expect("below the limits");
                    out.extend_from_slice(&len.to_le_bytes());
                }
                versions.iter().for_each(|version| out.extend_from_slice(&version.encode()));
                hashes.iter().for_each(|hash| out.extend_from_slice(hash));
            }
        }
    }
}

fn decode_siblings(cursor: &mut Cursor<'_>) -> Result<Vec<Hash>> {
    let count = usize::from(cursor.u16()?);
    if count > SIBLINGS_MAX {
        return Err(cursor.error("more siblings than bits in a path"));
    }
    let bits = cursor.bytes(count.div_ceil(8))?;
    let is_set = |at: usize| bits.get(at / 8).is_some_and(|byte| byte & (1 << (at % 8)) != 0);
    if (count..bits.len() * 8).any(is_set) {
        return Err(cursor.error("spare bits"));
    }
    let mut siblings = Vec::with_capacity(count);
    for at in 0..count {
        let hash = if is_set(at) { *cursor.array()? } else { EMPTY };
        if is_set(at) && hash == EMPTY {
            return Err(cursor.error("an empty sibling that is said not to be"));
        }
        siblings.push(hash);
    }
    Ok(siblings)
}

fn decode_key(cursor: &mut Cursor<'_>) -> Result<Ending> {
    let (count, first) = (cursor.u64()?, cursor.u64()?);
    let (versions, hashes) = (cursor.u32()? as usize, cursor.u32()? as usize);
    if versions > MAX_PROVEN_VERSIONS || hashes > HASHES_MAX {
        return Err(cursor.error("more versions or hashes than fit into a proof"));
    }
    if cursor.len() != versions * VERSION_LEAF_LEN + hashes * 32 {
        return Err(cursor.error("another length than its counts say"));
    }
    let (leaves, _) = cursor.bytes(versions * VERSION_LEAF_LEN)?.as_chunks::<VERSION_LEAF_LEN>();
    let versions = leaves.iter().map(|leaf| VersionLeaf::decode(leaf)).collect::<Result<_>>()?;
    Ok(Ending::Key { count, first, versions, hashes: cursor.hashes(hashes)? })
}
