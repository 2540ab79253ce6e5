//! What the map commits to of one version of a key. **Derived** from a record of the log.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | format version = 1 |
//! | 1 | 1 | 1 for a tombstone, else 0 |
//! | 2 | 2 | zero |
//! | 4 | 4 | sub of the mod revision |
//! | 8 | 8 | main of the mod revision |
//! | 16 | 8 | create revision, 0 for a tombstone |
//! | 24 | 8 | version in its generation, from 1; 0 for a tombstone |
//! | 32 | 8 | lease, 0 for none |
//! | 40 | 8 | LSN of the record |
//! | 48 | 32 | SHA-256 of the payload |

use super::cursor::Cursor;
use super::error::Result;
use crate::hash::short;
use crate::hashing::{Hash, sha256};
use cairn_types::{Lsn, PayloadHash, Revision};

/// Length of an encoded version leaf.
pub const VERSION_LEAF_LEN: usize = 80;
const VERSION: u8 = 1;
const WHAT: &str = "version leaf";

const _: () = assert!(48 + 32 == VERSION_LEAF_LEN);

/// One version of a key, as the map commits to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionLeaf {
    /// When it was written.
    pub modified: Revision,
    /// Main revision that created its generation, 0 for a tombstone.
    pub created: u64,
    /// Version in its generation, from 1; 0 for a tombstone.
    pub version: u64,
    /// Lease, 0 for none.
    pub lease: u64,
    /// Whether it deleted the key.
    pub tombstone: bool,
    /// Where the log has its record.
    pub lsn: Lsn,
    /// SHA-256 of the record's payload, as its statement says.
    pub payload_hash: PayloadHash,
}

impl VersionLeaf {
    /// The first put of a generation.
    #[must_use]
    pub fn put(modified: Revision, lsn: Lsn, value: &[u8]) -> Self {
        let payload_hash = PayloadHash::new(sha256(value));
        let (created, version) = (modified.main, 1);
        Self { modified, created, version, lease: 0, tombstone: false, lsn, payload_hash }
    }

    /// The put after this one: it continues the generation, or opens one after a tombstone.
    #[must_use]
    pub fn next_put(&self, modified: Revision, lsn: Lsn, value: &[u8]) -> Self {
        let first = Self::put(modified, lsn, value);
        if self.tombstone {
            return first;
        }
        Self { created: self.created, version: self.version.saturating_add(1), ..first }
    }

    /// A deletion.
    #[must_use]
    pub fn tombstone(modified: Revision, lsn: Lsn) -> Self {
        let put = Self::put(modified, lsn, b"");
        Self { created: 0, version: 0, tombstone: true, ..put }
    }

    /// Whether this is a put of exactly these bytes. Of a salted record the payload, salt and
    /// all, must be given.
    #[must_use]
    pub fn holds(&self, payload: &[u8]) -> bool {
        !self.tombstone && *self.payload_hash.as_bytes() == sha256(payload)
    }

    /// The bytes that are hashed and stored in proofs.
    #[must_use]
    pub fn encode(&self) -> [u8; VERSION_LEAF_LEN] {
        let mut bytes = [0; VERSION_LEAF_LEN];
        bytes[0] = VERSION;
        bytes[1] = u8::from(self.tombstone);
        bytes[4..8].copy_from_slice(&self.modified.sub.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.modified.main.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.created.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.version.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.lease.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.lsn.get().to_le_bytes());
        bytes[48..].copy_from_slice(self.payload_hash.as_bytes());
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// `Corrupt` for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, bytes);
        let &[format, tombstone, 0, 0] = cursor.array()? else {
            return Err(cursor.error("reserved bytes"));
        };
        if format != VERSION || tombstone > 1 {
            return Err(cursor.error("format version or flag"));
        }
        let sub = cursor.u32()?;
        let leaf = Self {
            modified: Revision { main: cursor.u64()?, sub },
            created: cursor.u64()?,
            version: cursor.u64()?,
            lease: cursor.u64()?,
            tombstone: tombstone == 1,
            lsn: Lsn::new(cursor.u64()?),
            payload_hash: PayloadHash::new(*cursor.array()?),
        };
        if let Some(cause) = leaf.fault() {
            return Err(cursor.error(cause));
        }
        cursor.finish()?;
        Ok(leaf)
    }

    /// What no record of the log would say.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.modified.main == 0 {
            return Some("a version before the first revision");
        }
        if self.tombstone {
            let bare = (self.created, self.version, self.lease) == (0, 0, 0);
            return (!bare).then_some("a tombstone with the facts of a put");
        }
        let sound = self.version > 0 && (1..=self.modified.main).contains(&self.created);
        (!sound).then_some("a put that its generation cannot have")
    }

    /// Leaf of the tree of the key's versions (RFC 6962).
    pub(super) fn leaf_hash(&self) -> Hash {
        short::sha256([&[0], &self.encode()])
    }

    /// Whether `next` can come after this version of the same key.
    pub(super) fn is_before(&self, next: &Self) -> bool {
        self.modified < next.modified && self.lsn < next.lsn
    }
}
