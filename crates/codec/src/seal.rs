//! Encryption at rest: a cipher over blocks that binds each to its place, what it does to batches,
//! and the ring of keys that it works with.

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
    /// The number that the file's key was made with: a segment's; 0 for files beside the log.
    pub file: u64,
    /// Where in the file: the first LSN of a batch, the number of a block. It is authenticated,
    /// and never a nonce: a place may be written twice, a nonce must not.
    pub place: u64,
}

/// Encrypts and authenticates blocks.
pub trait BlockCipher: Send + Sync + fmt::Debug {
    /// Bytes that sealing adds to a block, whatever its length.
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
