//! One keyspace as its users hold it.

use std::ops::ControlFlow;

use bytes::Bytes;
use cairn_mvcc::{
    DeleteRange, DeleteResponse, KeyValue, KeyValueRef, Put, PutResponse, Range, RangeRequest,
    RangeResponse, Scan, WatchRequest, Watcher,
};
use cairn_types::{KeyspaceName, StreamId};

use crate::{Engine, Result};

/// A named set of keys. Clones are the same keyspace.
///
/// ```
/// use cairn_engine::Engine;
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// engine.create_keyspace("users")?;
/// let users = engine.keyspace("users")?;
/// let first = users.put("alice", "1")?.revision;
/// users.put("alice", "2")?;
/// assert_eq!(users.get("alice")?.as_deref(), Some(&b"2"[..]));
/// assert_eq!(users.get_at("alice", first)?.expect("there").value, "1");
/// assert_eq!(users.delete("alice")?.deleted, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Keyspace {
    engine: Engine,
    name: KeyspaceName,
    stream: StreamId,
}

impl Keyspace {
    pub(super) fn new(engine: Engine, name: KeyspaceName, stream: StreamId) -> Self {
        Self { engine, name, stream }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &KeyspaceName {
        &self.name
    }

    /// Its number, which requests of `cairn-mvcc` take.
    #[must_use]
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// What the log keeps of it.
    #[must_use]
    pub fn retention(&self) -> crate::KeyspaceRetention {
        self.engine.view().retention(self.stream)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// The log's.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.engine.shared.figures.key_reads.increment(1);
        Ok(self.engine.keys().value(self.stream, key.as_ref())?)
    }

    /// A key with its facts as it was at a revision; 0 for the current one.
    ///
    /// # Errors
    /// [`Compacted`](cairn_mvcc::Error::Compacted),
    /// [`FutureRevision`](cairn_mvcc::Error::FutureRevision); the log's.
    pub fn get_at(&self, key: impl AsRef<[u8]>, revision: u64) -> Result<Option<KeyValue>> {
        self.engine.shared.figures.key_reads.increment(1);
        Ok(self.engine.keys().get_at(self.stream, key.as_ref(), revision)?)
    }

    /// The revision of a key's newest change; `None` for one that is not there. Reads no value:
    /// the cheap answer to whether a remembered value is still the newest.
    ///
    /// # Errors
    /// As [`cairn_mvcc::Store::key_revision`].
    pub fn key_revision(&self, key: impl AsRef<[u8]>) -> Result<Option<u64>> {
        Ok(self.engine.keys().key_revision(self.stream, key.as_ref())?)
    }

    /// The engine it belongs to.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Writes a key.
    ///
    /// # Errors
    /// [`TooLarge`](cairn_mvcc::Error::TooLarge); the log's.
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<PutResponse> {
        self.put_with(Put::new(self.stream, key, value))
    }

    /// Writes a key with a lease, or keeping its old value or lease.
    ///
    /// # Errors
    /// As [`cairn_mvcc::Store::put`].
    pub fn put_with(&self, put: Put) -> Result<PutResponse> {
        self.engine.shared.figures.key_writes.increment(1);
        Ok(self.engine.keys().put(Put { space: self.stream, ..put })?)
    }

    /// Writes many keys in one revision, and returns it.
    ///
    /// # Errors
    /// [`DuplicateKey`](cairn_mvcc::Error::DuplicateKey) for a key that comes twice; the log's.
    pub fn put_all<K: Into<Bytes>, V: Into<Bytes>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<u64> {
        let puts: Vec<Put> =
            pairs.into_iter().map(|(key, value)| Put::new(self.stream, key, value)).collect();
        self.engine.shared.figures.key_writes.increment(1);
        Ok(self.engine.keys().put_all(puts)?)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// The log's.
    pub fn delete(&self, key: impl Into<Bytes>) -> Result<DeleteResponse> {
        self.delete_range(Range::key(key))
    }

    /// Deletes many keys in one revision; those that do not exist are passed over.
    ///
    /// # Errors
    /// The log's.
    pub fn delete_all<K: Into<Bytes>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<DeleteResponse> {
        let keys: Vec<Bytes> = keys.into_iter().map(Into::into).collect();
        self.engine.shared.figures.key_writes.increment(1);
        Ok(self.engine.keys().delete_all(self.stream, keys)?)
    }

    /// Deletes every key of a range.
    ///
    /// # Errors
    /// The log's.
    pub fn delete_range(&self, range: Range) -> Result<DeleteResponse> {
        self.engine.shared.figures.key_writes.increment(1);
        Ok(self.engine.keys().delete(&DeleteRange::new(self.stream, range))?)
    }

    /// Reads a range with all options of a [`RangeRequest`].
    ///
    /// # Errors
    /// As [`cairn_mvcc::Store::range`].
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        self.engine.shared.figures.key_reads.increment(1);
        Ok(self.engine.keys().range(&RangeRequest { space: self.stream, ..request.clone() })?)
    }

    /// Walks through a range at a revision, 0 for the current one.
    ///
    /// # Errors
    /// As [`cairn_mvcc::Store::scan`].
    pub fn scan(&self, range: Range, revision: u64) -> Result<Scan> {
        self.engine.shared.figures.key_reads.increment(1);
        Ok(self.engine.keys().scan(self.stream, range, revision)?)
    }

    /// Calls `each` with every key of a range at a revision, 0 for the current one, in order,
    /// until it breaks. Keys and values are lent: the fastest way to look at many.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use cairn_engine::Engine;
    /// use cairn_mvcc::Range;
    /// let dir = tempfile::tempdir()?;
    /// let engine = Engine::open(dir.path().join("data"))?;
    /// engine.create_keyspace("stones")?;
    /// let stones = engine.keyspace("stones")?;
    /// stones.put("basalt", "dark")?;
    /// stones.put("marble", "white")?;
    /// let mut bytes = 0;
    /// stones.visit(&Range::all(), 0, |kv| {
    ///     bytes += kv.value.len();
    ///     ControlFlow::<()>::Continue(())
    /// })?;
    /// assert_eq!(bytes, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`cairn_mvcc::Store::visit`].
    pub fn visit<B>(
        &self,
        range: &Range,
        revision: u64,
        each: impl FnMut(KeyValueRef<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.engine.shared.figures.key_reads.increment(1);
        Ok(self.engine.keys().visit(self.stream, range, revision, each)?)
    }

    /// How many keys it holds now.
    ///
    /// # Errors
    /// As [`cairn_mvcc::Store::key_count`].
    pub fn key_count(&self) -> Result<u64> {
        Ok(self.engine.keys().key_count(self.stream)?)
    }

    /// Every version of a key that can still be read, oldest first; a deletion has version 0.
    ///
    /// # Errors
    /// The log's.
    pub fn history(&self, key: impl AsRef<[u8]>) -> Result<Vec<KeyValue>> {
        self.engine.shared.figures.key_reads.increment(1);
        Ok(self.engine.keys().history(self.stream, key.as_ref())?)
    }

    /// Watches keys.
    ///
    /// # Errors
    /// [`Compacted`](cairn_mvcc::Error::Compacted).
    pub fn watch(&self, request: WatchRequest) -> Result<Watcher> {
        Ok(self.engine.keys().watch(WatchRequest { space: self.stream, ..request })?)
    }
}
