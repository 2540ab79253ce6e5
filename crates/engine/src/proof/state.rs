//! How far the tree has come: which tiles are good and what was met on the way. Derived: thrown
//! away when it is damaged, of another store or of another past.
//!
//! `proofs/tree`, little-endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | `CRNptre1`: what it is, and the version |
//! | 8 | 16 | store |
//! | 24 | 8 | size of the tree |
//! | 32 | 32 | its root |
//! | 64 | 8 | size up to which tiles are synced |
//! | 72 | 8 | size of the newest recorded head |
//! | 80 | 8 | 1 + LSN of the newest map root, 0 without one |
//! | 88 | 8 | n, keys met, at most 256 |
//! | 96 | | n times: length u16, verifier key |
//! | then | 8 | first bytes of SHA-256 over everything before |

use cairn_merkle::Hash;
use cairn_merkle::hash::sha256;
use cairn_merkle::log::TreeHead;
use cairn_types::Lsn;
use cairn_vfs::Vfs;

use super::Result;
use super::files::{self, Keep};
use super::records::{Found, KEYS_MAX};

const PATH: &str = "proofs/tree";
const MAGIC: [u8; 8] = *b"CRNptre1";
const CHECK_LEN: usize = 8;
/// A key is a name of at most 1,024 bytes, an id and 44 characters.
const KEY_LEN_MAX: usize = 1200;
const LEN_MAX: usize = 96 + KEYS_MAX * (2 + KEY_LEN_MAX) + CHECK_LEN;

/// What is kept of a tree between two openings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeState {
    pub(super) head: TreeHead,
    pub(super) synced_size: u64,
    pub(super) found: Found,
}

impl TreeState {
    pub(super) fn read(vfs: &dyn Vfs, store: &[u8; 16]) -> Result<Option<Self>> {
        let bytes = files::read_derived(vfs, PATH, LEN_MAX)?;
        Ok(bytes.and_then(|bytes| Self::decode(&bytes, store)))
    }

    pub(super) fn write(&self, vfs: &dyn Vfs, store: &[u8; 16], keep: Keep) -> Result<()> {
        files::replace(vfs, PATH, &self.encode(store), keep)
    }

    fn encode(&self, store: &[u8; 16]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(store);
        out.extend_from_slice(&self.head.size.to_le_bytes());
        out.extend_from_slice(self.head.root.as_bytes());
        let keys = self.found.keys.len() as u64;
        let map_root = self.found.map_root.map_or(0, |lsn| lsn.get() + 1);
        for number in [self.synced_size, self.found.recorded_size, map_root, keys] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for key in &self.found.keys {
            let len = u16::try_from(key.len()).expect("names of keys are limited");
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(key.as_bytes());
        }
        let check = sha256(&out);
        out.extend_from_slice(&check.as_bytes()[..CHECK_LEN]);
        out
    }

    fn decode(bytes: &[u8], store: &[u8; 16]) -> Option<Self> {
        let (body, check) = bytes.split_last_chunk::<CHECK_LEN>()?;
        if bytes.len() > LEN_MAX || sha256(body).as_bytes().first_chunk() != Some(check) {
            return None;
        }
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        if *magic != MAGIC || id != store {
            return None;
        }
        let (size, rest) = rest.split_first_chunk()?;
        let (root, rest) = rest.split_first_chunk::<32>()?;
        let (synced, rest) = rest.split_first_chunk()?;
        let (recorded, rest) = rest.split_first_chunk()?;
        let (map_root, rest) = rest.split_first_chunk()?;
        let (count, mut rest) = rest.split_first_chunk()?;
        let mut found = Found {
            keys: Vec::new(),
            recorded_size: u64::from_le_bytes(*recorded),
            map_root: u64::from_le_bytes(*map_root).checked_sub(1).map(Lsn::new),
        };
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        for _ in 0..Some(count).filter(|count| *count <= KEYS_MAX)? {
            let (len, after) = rest.split_first_chunk()?;
            let (key, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            found.keys.push(String::from_utf8(key.to_vec()).ok()?);
            rest = after;
        }
        let head = TreeHead { size: u64::from_le_bytes(*size), root: Hash::new(*root) };
        let state = Self { head, synced_size: u64::from_le_bytes(*synced), found };
        rest.is_empty().then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let found = Found {
            keys: vec!["a+00000000+x".into(), "b".into()],
            recorded_size: 3,
            map_root: Some(Lsn::new(5)),
        };
        let state = TreeState { head: TreeHead::empty(), synced_size: 9, found };
        let bytes = state.encode(&[7; 16]);
        assert_eq!(TreeState::decode(&bytes, &[7; 16]), Some(state));
        assert_eq!(TreeState::decode(&bytes, &[8; 16]), None, "another store");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(TreeState::decode(&bytes, &[7; 16]), None);
        }
        for len in 0..bytes.len() {
            assert_eq!(TreeState::decode(&bytes[..len], &[7; 16]), None);
        }
    }
}
