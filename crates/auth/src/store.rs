//! What this crate needs of a database: get, scan, and a commit that is whole or not at all.
//!
//! Neither truth nor derived: a trait. Whoever implements it decides where the records live;
//! [`MemoryStore`] keeps them in memory.

mod memory;

pub use memory::MemoryStore;

use bytes::Bytes;

/// When a value was last written. Any number that no two writes of a key share, also when it was
/// deleted between them, will do; a revision is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// A stamp of a store's own counting.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A value and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// The value.
    pub value: Bytes,
    /// When it was last written.
    pub stamp: Stamp,
}

/// A key with its value, as a scan gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// When it was last written.
    pub stamp: Stamp,
}

/// What must hold of a key for a batch to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// It was last written then.
    Unchanged(Stamp),
}

/// Changes that happen together, under conditions. A key stands in `puts` or `deletes` once.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Conditions; all are checked before anything is written.
    pub expectations: Vec<(Bytes, Expect)>,
    /// Keys and their new values.
    pub puts: Vec<(Bytes, Bytes)>,
    /// Keys that go; one that is not there is no error.
    pub deletes: Vec<Bytes>,
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands something of a key.
    pub fn expect(&mut self, key: Bytes, what: Expect) -> &mut Self {
        self.expectations.push((key, what));
        self
    }

    /// Writes a key.
    pub fn put(&mut self, key: Bytes, value: impl Into<Bytes>) -> &mut Self {
        self.puts.push((key, value.into()));
        self
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: Bytes) -> &mut Self {
        self.deletes.push(key);
        self
    }
}

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An expectation did not hold; nothing was written.
    #[error("an expectation of the batch does not hold")]
    Conflict,
    /// The store itself failed.
    #[error("the store failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The database underneath.
///
/// A commit is atomic, isolated from others and as durable as the store promises; later reads
/// see it. Keys are opaque bytes in byte order, at most 96 bytes long.
pub trait KvStore: Send + Sync {
    /// The newest value of a key.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn get(&self, key: &[u8]) -> Result<Option<Stamped>, StoreError>;

    /// At most `limit` entries whose keys begin with `prefix` and come after `after`, in order.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Checks the expectations and writes everything, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an expectation does not hold, else [`StoreError::Failed`].
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;
}

impl<S: KvStore + ?Sized> KvStore for std::sync::Arc<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Stamped>, StoreError> {
        (**self).get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        (**self).scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        (**self).commit(batch)
    }
}
