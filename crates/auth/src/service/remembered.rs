//! Records that were opened before, so that a check need not decrypt what did not change.
//!
//! **Derived** from the store, and never believed by itself: each use asks the store for the
//! record first and takes what is remembered only when the stamp is the same. It holds no
//! password hashes and no metadata.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::AuthService;
use crate::error::Result;
use crate::record::{ApiKeyRecord, Record, RoleRecord, SessionRecord, UserId, UserRecord};
use crate::store::{KvStore, Stamp};

/// How many records of a kind are remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// What is remembered of each kind of record.
#[derive(Default)]
pub struct Memory {
    pub users: Remembered<UserFacts>,
    pub roles: Remembered<RoleRecord>,
    pub sessions: Remembered<SessionRecord>,
    pub api_keys: Remembered<ApiKeyRecord>,
}

/// What decisions need to know of a user.
pub struct UserFacts {
    pub id: UserId,
    pub disabled: bool,
    pub epoch: u64,
    pub roles: Vec<u64>,
}

impl From<UserRecord> for UserFacts {
    fn from(user: UserRecord) -> Self {
        let UserRecord { id, disabled, epoch, roles, .. } = user;
        Self { id, disabled, epoch, roles }
    }
}

type Stamped<V> = (Stamp, Arc<V>);

/// Values by the key of their record.
pub struct Remembered<V>(RwLock<HashMap<Bytes, Stamped<V>>>);

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<V> Remembered<V> {
    fn get(&self, key: &[u8], stamp: Stamp) -> Option<Arc<V>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(at, _)| *at == stamp).map(|(_, value)| Arc::clone(value))
    }

    fn put(&self, key: Bytes, stamp: Stamp, value: Arc<V>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, (stamp, value));
    }
}

impl<S: KvStore> AuthService<S> {
    /// What is known of the record at a key as it is now.
    pub(super) fn recall<R: Record, V: From<R>>(
        &self,
        memory: &Remembered<V>,
        key: Bytes,
    ) -> Result<Option<(Arc<V>, Stamp)>> {
        let Some(found) = self.store.get(&key)? else { return Ok(None) };
        if let Some(value) = memory.get(&key, found.stamp) {
            return Ok(Some((value, found.stamp)));
        }
        let value = Arc::new(V::from(self.unseal::<R>(&key, &found.value)?));
        memory.put(key, found.stamp, Arc::clone(&value));
        Ok(Some((value, found.stamp)))
    }
}
