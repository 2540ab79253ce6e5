//! The seam for encryption at rest: a cipher over a block, bound to the block's place, and the
//! cipher for it, and what it does to batches.

mod batches;
mod file_cipher;
mod ring;

pub(crate) use batches::{Sealing, place_of};
pub use batches::{copy_batch, seal_batch};
pub(crate) use file_cipher::{COUNTER_LEN, TAG_LEN};
pub use file_cipher::{FILE_SALT_LEN, FileCipher, FileKind, OVERHEAD, StoreKey};
pub use ring::{
    KeyNumber, KeyRing, OuterKey, OuterKeyId, RING_KEYS_MAX, RING_LEN_MAX, Random, RingKey,
    WRAP_RANDOM_LEN,
};

use std::fmt;

use crate::Result;

/// Where a block lies: authenticated with it, so that moved ciphertext is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockIdentity {
    /// The store.
    pub store_id: [u8; 16],
    /// The segment or table file.
    pub file: u64,
    /// Counter within the file; with a key derived for each file it is the nonce.
    pub counter: u64,
}

/// Encrypts and authenticates blocks.
pub trait BlockCipher: Send + Sync + fmt::Debug {
    /// Bytes that sealing adds.
    fn overhead(&self) -> usize;

    /// Appends the sealed form of `plain` to `out`.
    ///
    /// # Errors
    /// When the cipher fails or its counter is used up.
    fn seal(&self, identity: &BlockIdentity, plain: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// Appends the plain form of `sealed` to `out`.
    ///
    /// # Errors
    /// [`Error::Decrypt`](crate::Error::Decrypt) for another key, another place or a changed
    /// byte; `out` is then unchanged.
    fn open(&self, identity: &BlockIdentity, sealed: &[u8], out: &mut Vec<u8>) -> Result<()>;
}
