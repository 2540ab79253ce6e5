//! Changing keys: the master key, and the data key that seals.

use std::sync::PoisonError;

use super::{AuthService, load, places};
use crate::audit::{Subject, What};
use crate::error::{Error, Result};
use crate::seal::{DataKeyId, KeyProvider};
use crate::store::{Batch, Expect, KvStore};

impl<S: KvStore> AuthService<S> {
    /// Puts all data keys under another master key, in one commit. No record is rewritten, and
    /// the service opens with the new one alone.
    ///
    /// A store that keeps what was replaced, as a log does, keeps the old wrappings too: they and
    /// the old master key still open the data keys. [`rotate_data_key`](Self::rotate_data_key)
    /// keeps from their owner what is written later.
    ///
    /// # Errors
    /// [`Error::WeakKey`], [`Error::KeyUnavailable`]; [`Error::Conflict`] when another one
    /// changes keys at the same time.
    pub fn rotate_master_key(&self, new: &dyn KeyProvider) -> Result<()> {
        let rotated = new.master_key().and_then(|master| {
            // Held over the commit: no data key is added in between.
            let sealer = self.sealer.write().unwrap_or_else(PoisonError::into_inner);
            let mut batch = Batch::new();
            for (id, wrapped) in sealer.rewrap(&master, &*self.parts.rng) {
                let key = places::data_key(id);
                let before = self.store.get(&key)?;
                let before = before.ok_or(Error::corrupt("data keys", "one is missing"))?;
                batch.expect(key.clone(), Expect::Unchanged(before.stamp)).put(key, wrapped);
            }
            Ok(self.store.commit(batch)?)
        });
        self.audited(Subject::Nobody, What::RotateMasterKey, rotated)
    }

    /// Adds a data key that seals from now on. What older ones sealed is still opened, and is
    /// sealed anew whenever it is written.
    ///
    /// # Errors
    /// [`Error::Decrypt`] when the provider does not give the store's master key.
    pub fn rotate_data_key(&self, current: &dyn KeyProvider) -> Result<()> {
        let rotated = self.try_rotate_data_key(current);
        let what = What::RotateDataKey { key: rotated.as_ref().ok().copied() };
        self.audited(Subject::Nobody, what, rotated.map(drop))
    }

    fn try_rotate_data_key(&self, current: &dyn KeyProvider) -> Result<DataKeyId> {
        let master = current.master_key()?;
        let mut sealer = self.sealer.write().unwrap_or_else(PoisonError::into_inner);
        // Loaded anew: that proves that the master key is the right one.
        let mut next = load(&self.store, &master)?;
        let wrapped = next.add_data_key(&master, &*self.parts.rng)?;
        let id = next.active_key();
        let key = places::data_key(id);
        let mut batch = Batch::new();
        batch.expect(key.clone(), Expect::Absent).put(key, wrapped);
        // Stored before anything is sealed with it.
        self.store.commit(batch)?;
        *sealer = next;
        Ok(id)
    }
}
