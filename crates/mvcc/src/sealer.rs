//! A place for somebody else to seal values before they are logged, and to open them for
//! readers. This crate does not know keys of ciphers. Nothing is kept here.

use bytes::Bytes;
use cairn_types::{Lsn, StreamId};

use crate::{Erasure, Result};

/// Seals the values of some keyspaces. The log, memory and tables hold the sealed form alone,
/// and the hash in a statement is that of the sealed form.
pub trait ValueSealer: Send + Sync + std::fmt::Debug {
    /// Whether the values of a keyspace are sealed. It never changes for one keyspace.
    fn seals(&self, space: StreamId) -> bool;

    /// The sealed form of a value that is to be written.
    ///
    /// # Errors
    /// [`Error::Sealing`](crate::Error::Sealing); the write is refused then.
    fn seal(&self, space: StreamId, key: &[u8], value: &[u8]) -> Result<Bytes>;

    /// The value in a sealed form, or that its key is gone.
    ///
    /// # Errors
    /// [`Error::Sealing`](crate::Error::Sealing).
    fn open(
        &self,
        space: StreamId,
        key: &[u8],
        lsn: Lsn,
        stored: &[u8],
    ) -> Result<std::result::Result<Bytes, Erasure>>;
}
