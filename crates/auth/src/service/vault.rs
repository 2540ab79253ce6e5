//! Reading and sealing records. Derived: from the store and its keys.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use cairn_vfs::Rng;

use super::remembered::UserFacts;
use super::{AuthService, places};
use crate::error::{Error, Result};
use crate::record::{Record, UserId, UserRecord};
use crate::seal::EnvelopeEncryptor;
use crate::store::{Batch, Expect, KvStore, Stamp};

/// A record of the store and when it was written.
pub fn read<R: Record, S: KvStore>(
    store: &S,
    sealer: &EnvelopeEncryptor,
    key: &[u8],
) -> Result<Option<(R, Stamp)>> {
    let Some(found) = store.get(key)? else { return Ok(None) };
    Ok(Some((unseal(sealer, key, &found.value)?, found.stamp)))
}

fn unseal<R: Record>(sealer: &EnvelopeEncryptor, key: &[u8], value: &[u8]) -> Result<R> {
    let plaintext = sealer.unseal(R::KIND, key, value)?;
    R::decode(plaintext.expose())
}

/// A record as it is stored at this key.
pub fn seal<R: Record>(
    sealer: &EnvelopeEncryptor,
    key: &[u8],
    record: &R,
    rng: &dyn Rng,
) -> Result<Bytes> {
    Ok(sealer.seal(R::KIND, key, &record.encode()?, rng)?.into())
}

impl<S: KvStore> AuthService<S> {
    pub(super) fn read<R: Record>(&self, key: &[u8]) -> Result<Option<(R, Stamp)>> {
        let sealer = self.sealer.read().unwrap_or_else(PoisonError::into_inner);
        read(&self.store, &sealer, key)
    }

    /// Opens a record that a scan found.
    pub(super) fn unseal<R: Record>(&self, key: &[u8], value: &[u8]) -> Result<R> {
        let sealer = self.sealer.read().unwrap_or_else(PoisonError::into_inner);
        unseal(&sealer, key, value)
    }

    /// Puts a sealed record into a batch.
    pub(super) fn put<R: Record>(&self, batch: &mut Batch, key: Bytes, record: &R) -> Result<()> {
        let sealer = self.sealer.read().unwrap_or_else(PoisonError::into_inner);
        let sealed = seal(&sealer, &key, record, &*self.parts.rng)?;
        batch.put(key, sealed);
        Ok(())
    }

    /// Puts a record in the place of the one that was read.
    pub(super) fn replace<R: Record>(
        &self,
        batch: &mut Batch,
        key: Bytes,
        record: &R,
        read: Stamp,
    ) -> Result<()> {
        batch.expect(key.clone(), Expect::Unchanged(read));
        self.put(batch, key, record)
    }

    pub(super) fn user(&self, id: UserId) -> Result<Option<(UserRecord, Stamp)>> {
        let found = self.read::<UserRecord>(&places::user(id))?;
        if found.as_ref().is_some_and(|(user, _)| user.id != id) {
            return Err(Error::corrupt("user record", "it names another user"));
        }
        Ok(found)
    }

    /// What decisions need to know of a user.
    pub(super) fn facts(&self, id: UserId) -> Result<Option<Arc<UserFacts>>> {
        let found = self.recall::<UserRecord, _>(&self.memory.users, places::user(id))?;
        match found {
            Some((user, _)) if user.id != id => {
                Err(Error::corrupt("user record", "it names another user"))
            }
            found => Ok(found.map(|(user, _)| user)),
        }
    }

    pub(super) fn known_user(&self, id: UserId) -> Result<(UserRecord, Stamp)> {
        self.user(id)?.ok_or(Error::NotFound { what: "user" })
    }

    /// Takes the next number; no number is given twice, because the commit that uses it writes
    /// it down under the condition that nobody else did.
    pub(super) fn take_number(&self, batch: &mut Batch) -> Result<u64> {
        let key = Bytes::from_static(places::NEXT);
        let found = self.store.get(&key)?;
        let (last, expected) = match &found {
            Some(found) => (places::counter_of(&found.value)?, Expect::Unchanged(found.stamp)),
            None => (0, Expect::Absent),
        };
        let next = last.checked_add(1).ok_or(Error::Full { what: "numbers", limit: u64::MAX })?;
        batch.expect(key.clone(), expected).put(key, places::counter_value(next));
        Ok(next)
    }

    /// Tries a change until no other one crosses it.
    pub(super) fn retried<T>(&self, mut change: impl FnMut() -> Result<T>) -> Result<T> {
        for _ in 1..super::RETRIES {
            match change() {
                Err(Error::Conflict { .. }) => {}
                result => return result,
            }
        }
        change()
    }
}
