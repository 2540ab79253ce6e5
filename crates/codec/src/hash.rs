//! What is hashed, and how: payloads, leaves (RFC 6962 section 2.1) and the chain of batches.

use cairn_types::{ChainHash, LeafHash, Lsn, PayloadHash, Timestamp};
use sha2::{Digest, Sha256};

/// Separates batch chain values from every other use of SHA-256.
pub const CHAIN_DOMAIN: [u8; 8] = *b"CRNchn1\0";
/// Prefix of a leaf (RFC 6962).
pub const LEAF_PREFIX: u8 = 0;
/// Prefix of the chain value of a single record.
pub const RECORD_CHAIN_PREFIX: u8 = 2;

/// SHA-256 of a payload.
///
/// ```
/// // printf abc | sha256sum
/// let hash = cairn_codec::hash::payload(b"abc").to_string();
/// assert!(hash.starts_with("ba7816bf8f01cfea"));
/// ```
#[must_use]
pub fn payload(bytes: &[u8]) -> PayloadHash {
    PayloadHash::new(Sha256::digest(bytes).into())
}

/// Leaf of a canonical statement.
#[must_use]
pub fn leaf(statement: &[u8]) -> LeafHash {
    let mut hasher = Sha256::new();
    hasher.update([LEAF_PREFIX]);
    hasher.update(statement);
    LeafHash::new(hasher.finalize().into())
}

/// Leaf of bytes that already begin with [`LEAF_PREFIX`].
pub(crate) fn leaf_of_prefixed(bytes: &[u8]) -> LeafHash {
    debug_assert_eq!(bytes.first(), Some(&LEAF_PREFIX), "the prefix is in place");
    LeafHash::new(Sha256::digest(bytes).into())
}

/// The chain value of one record after another, as offered to those who do not care for
/// batches.
#[must_use]
pub fn record_chain(previous: &ChainHash, leaf: &LeafHash) -> ChainHash {
    let mut bytes = [0; 65];
    bytes[0] = RECORD_CHAIN_PREFIX;
    bytes[1..33].copy_from_slice(previous.as_bytes());
    bytes[33..].copy_from_slice(leaf.as_bytes());
    ChainHash::new(Sha256::digest(bytes).into())
}

/// The fields of a batch header that its chain value commits to.
#[derive(Debug, Clone, Copy)]
pub struct ChainFields {
    /// Records in the batch.
    pub record_count: u32,
    /// LSN of the first.
    pub first_lsn: Lsn,
    /// Revision of the first, 0 without one.
    pub first_revision: u64,
    /// Time of the commit.
    pub commit_time: Timestamp,
    /// Durable end when it was written.
    pub durable_end: Lsn,
}

/// Computes the chain value of one batch from its leaves.
#[derive(Debug, Clone)]
pub struct BatchChain(Sha256);

impl BatchChain {
    /// Begins with the chain value before the batch and its header fields.
    #[must_use]
    pub fn new(previous: &ChainHash, fields: &ChainFields) -> Self {
        let mut head = [0; 80];
        head[..8].copy_from_slice(&CHAIN_DOMAIN);
        head[8..40].copy_from_slice(previous.as_bytes());
        head[40..44].copy_from_slice(&fields.record_count.to_le_bytes());
        head[44] = crate::batch::header::VERSION;
        head[48..56].copy_from_slice(&fields.first_lsn.get().to_le_bytes());
        head[56..64].copy_from_slice(&fields.first_revision.to_le_bytes());
        head[64..72].copy_from_slice(&fields.commit_time.as_micros().to_le_bytes());
        head[72..80].copy_from_slice(&fields.durable_end.get().to_le_bytes());
        let mut hasher = Sha256::new();
        hasher.update(head);
        Self(hasher)
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: &LeafHash) {
        self.0.update(leaf.as_bytes());
    }

    /// The chain value after the batch.
    #[must_use]
    pub fn finish(self) -> ChainHash {
        ChainHash::new(self.0.finalize().into())
    }
}
