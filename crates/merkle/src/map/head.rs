//! The head of a map: payload of a log record of kind 7. **Derived**: the root follows from the
//! log up to `lsn_end`.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | format version = 1 |
//! | 1 | 7 | zero |
//! | 8 | 8 | revision: every version up to it is in the map |
//! | 16 | 8 | end LSN: the map holds the records before it and none from there on |
//! | 24 | 8 | count of keys, deleted ones included |
//! | 32 | 32 | root |

use super::cursor::Cursor;
use super::error::Result;
use crate::hashing::Hash;
use cairn_types::Lsn;

/// Length of an encoded head.
pub const MAP_HEAD_LEN: usize = 64;
const VERSION: u8 = 1;
const WHAT: &str = "map head";

/// What a map commits to, and up to where it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapHead {
    /// Main revision up to which every version is in the map; 0 before the first.
    pub revision: u64,
    /// The map holds the puts and deletes of all records before this one.
    pub lsn_end: Lsn,
    /// Keys that ever were, deleted ones included.
    pub key_count: u64,
    /// Root of the trie.
    pub root: Hash,
}

impl MapHead {
    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> [u8; MAP_HEAD_LEN] {
        let mut bytes = [0; MAP_HEAD_LEN];
        bytes[0] = VERSION;
        bytes[8..16].copy_from_slice(&self.revision.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.lsn_end.get().to_le_bytes());
        bytes[24..32].copy_from_slice(&self.key_count.to_le_bytes());
        bytes[32..].copy_from_slice(&self.root);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// `Corrupt` for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, bytes);
        if *cursor.array()? != [VERSION, 0, 0, 0, 0, 0, 0, 0] {
            return Err(cursor.error("format version or reserved bytes"));
        }
        let (revision, lsn_end) = (cursor.u64()?, Lsn::new(cursor.u64()?));
        let head = Self { revision, lsn_end, key_count: cursor.u64()?, root: *cursor.array()? };
        if (head.key_count == 0) != (head.root == [0; 32]) {
            return Err(cursor.error("the root of no keys is zero, and only that"));
        }
        cursor.finish()?;
        Ok(head)
    }
}
