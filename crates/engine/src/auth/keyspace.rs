//! A keyspace as one principal may use it.

use std::time::Duration;

use bytes::Bytes;
use cairn_auth::{Action, Resource};
use cairn_mvcc::{
    DeleteRange, DeleteResponse, KeyValue, Put, PutResponse, Range, RangeRequest, RangeResponse,
    Txn, TxnResponse, WatchBatch, WatchRequest, Watcher,
};
use cairn_types::KeyspaceName;

use super::{Guarded, requests};
use crate::{Keyspace, Result};

/// A keyspace of which every call is checked; the calls are those of [`Keyspace`].
#[derive(Debug, Clone)]
pub struct GuardedKeyspace {
    guarded: Guarded,
    keyspace: Keyspace,
}

impl GuardedKeyspace {
    pub(super) const fn new(guarded: Guarded, keyspace: Keyspace) -> Self {
        Self { guarded, keyspace }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &KeyspaceName {
        self.keyspace.name()
    }

    pub(super) const fn unguarded(&self) -> &Keyspace {
        &self.keyspace
    }

    /// The value of a key; needs `Read` on it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::get`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        let key = key.as_ref();
        self.guarded.admit_key(Action::Read, self.name(), key, || self.keyspace.get(key))
    }

    /// A key with its facts at a revision; needs `Read` on it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::get_at`].
    pub fn get_at(&self, key: impl AsRef<[u8]>, revision: u64) -> Result<Option<KeyValue>> {
        let key = key.as_ref();
        let read = || self.keyspace.get_at(key, revision);
        self.guarded.admit_key(Action::Read, self.name(), key, read)
    }

    /// Every readable version of a key; needs `Read` on it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::history`].
    pub fn history(&self, key: impl AsRef<[u8]>) -> Result<Vec<KeyValue>> {
        let key = key.as_ref();
        self.guarded.admit_key(Action::Read, self.name(), key, || self.keyspace.history(key))
    }

    /// Reads a range; needs `Read` on all of it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::range`].
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        let resource = requests::range(self.name(), &request.range)?;
        self.guarded.admit(Action::Read, &resource, || self.keyspace.range(request))
    }

    /// Writes a key; needs `Write` on it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::put`].
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<PutResponse> {
        let key: Bytes = key.into();
        let write = || self.keyspace.put(key.clone(), value);
        self.guarded.admit_key(Action::Write, self.name(), &key, write)
    }

    /// Writes a key with options; needs `Write`, and `Read` to be shown the version before or to
    /// keep its value or lease.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::put_with`].
    pub fn put_with(&self, put: Put) -> Result<PutResponse> {
        let mut asked = Vec::new();
        requests::put(self.name(), &put, &mut asked)?;
        self.guarded.admit_all(&asked, || self.keyspace.put_with(put))
    }

    /// Writes many keys in one revision, and returns it; needs `Write` on each.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::put_all`]; nothing was written then.
    pub fn put_all<K: Into<Bytes>, V: Into<Bytes>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<u64> {
        let pairs: Vec<(Bytes, Bytes)> =
            pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let asked =
            |(key, _): &(Bytes, Bytes)| Ok((Action::Write, requests::key(self.name(), key)?));
        let asked: Vec<_> = pairs.iter().map(asked).collect::<Result<_>>()?;
        self.guarded.admit_all(&asked, || self.keyspace.put_all(pairs))
    }

    /// Deletes a key; needs `Write` on it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::delete`].
    pub fn delete(&self, key: impl Into<Bytes>) -> Result<DeleteResponse> {
        self.delete_with(DeleteRange::key(self.keyspace.stream(), key))
    }

    /// Deletes many keys in one revision; needs `Write` on each.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::delete_all`]; nothing was deleted then.
    pub fn delete_all<K: Into<Bytes>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<DeleteResponse> {
        let keys: Vec<Bytes> = keys.into_iter().map(Into::into).collect();
        let asked = |key: &Bytes| Ok((Action::Write, requests::key(self.name(), key)?));
        let asked: Vec<_> = keys.iter().map(asked).collect::<Result<_>>()?;
        self.guarded.admit_all(&asked, || self.keyspace.delete_all(keys))
    }

    /// Deletes a range; needs `Write` on all of it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::delete_range`].
    pub fn delete_range(&self, range: Range) -> Result<DeleteResponse> {
        self.delete_with(DeleteRange::new(self.keyspace.stream(), range))
    }

    fn delete_with(&self, delete: DeleteRange) -> Result<DeleteResponse> {
        let resource = requests::range(self.name(), &delete.range)?;
        self.guarded.admit(Action::Write, &resource, || self.keyspace.delete_range(delete.range))
    }

    /// Compare, then, else; needs what both branches need, since a refusal that depended on
    /// the branch would tell what the comparison found.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), also for an operation on another keyspace; as
    /// [`Engine::txn`](crate::Engine::txn).
    pub fn txn(&self, txn: &Txn) -> Result<TxnResponse> {
        let mut asked = Vec::new();
        requests::txn(self.name(), self.keyspace.stream(), txn, &mut asked)?;
        self.guarded.admit_all(&asked, || self.guarded.engine().txn(txn))
    }

    /// Watches keys; needs `Read` on the range now and whenever a change is handed out.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Keyspace::watch`].
    pub fn watch(&self, request: WatchRequest) -> Result<GuardedWatcher> {
        let resource = requests::range(self.name(), &request.range)?;
        let watcher =
            self.guarded.admit(Action::Read, &resource, || self.keyspace.watch(request))?;
        Ok(GuardedWatcher { guarded: self.guarded.clone(), resource, watcher })
    }
}

/// Between two looks at what is in the log and not shown to readers yet.
const PUBLISHED_SOON: Duration = Duration::from_micros(200);

/// A watch that ends when its principal may no longer read.
#[derive(Debug)]
pub struct GuardedWatcher {
    guarded: Guarded,
    resource: Resource,
    watcher: Watcher,
}

impl GuardedWatcher {
    /// The next revision with wanted changes, if it is there already.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Watcher::try_next`].
    pub fn try_next(&mut self) -> Result<Option<WatchBatch>> {
        let Self { guarded, resource, watcher } = self;
        guarded.admit(Action::Read, resource, || Ok(watcher.try_next()?))
    }

    /// The next revision with wanted changes, waiting for it; `None` when the time is over.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next(&mut self, timeout: Duration) -> Result<Option<WatchBatch>> {
        let clock = self.guarded.engine().log().clock().clone();
        let start = clock.monotonic();
        loop {
            let seen = self.guarded.engine().log().visible_end();
            if let Some(batch) = self.try_next()? {
                return Ok(Some(batch));
            }
            let left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
            if left.is_zero() {
                return Ok(None);
            }
            // As in `Watcher::next`: what is visible but not published yet wakes nobody.
            let behind = self.watcher.position() < seen;
            let wait = if behind { left.min(PUBLISHED_SOON) } else { left };
            // Nobody is admitted while waiting, so that a change of permissions need not wait.
            let _look_either_way = self.guarded.engine().log().wait_for(seen, wait);
        }
    }
}
