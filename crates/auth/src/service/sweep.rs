//! Taking away what is dead. Nothing depends on it but space: what is dead is refused anyway.

use bytes::Bytes;

use super::{AuthService, places};
use crate::error::Result;
use crate::record::{ApiKeyRecord, SessionRecord};
use crate::store::{Batch, Entry, Expect, KvStore};

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that were deleted.
    pub sessions: usize,
    /// API keys that were deleted.
    pub api_keys: usize,
    /// Where the next one goes on; `None` at the end.
    pub next: Option<Bytes>,
}

impl<S: KvStore> AuthService<S> {
    /// Looks at `limit` sessions or API keys from a place on and deletes the dead ones; API keys
    /// only when they have been dead for the configured time. Start with `None`, go on with
    /// `next`.
    ///
    /// # Errors
    /// When the store fails or a record is damaged.
    pub fn sweep(&self, from: Option<&Bytes>, limit: usize) -> Result<Swept> {
        let limit = limit.max(1);
        let in_keys = from.is_none_or(|from| from.starts_with(places::API_KEYS));
        let prefix = if in_keys { places::API_KEYS } else { places::SESSIONS };
        let entries = self.store.scan(prefix, from.map(|from| &**from), limit)?;
        let mut swept = Swept::default();
        for entry in &entries {
            if in_keys {
                swept.api_keys += usize::from(self.sweep_api_key(entry)?);
            } else {
                swept.sessions += usize::from(self.sweep_session(entry)?);
            }
        }
        swept.next = match entries.last() {
            Some(last) if entries.len() == limit => Some(last.key.clone()),
            // API keys are done: sessions come next.
            _ if in_keys => Some(Bytes::from_static(places::SESSIONS)),
            _ => None,
        };
        Ok(swept)
    }

    fn sweep_session(&self, entry: &Entry) -> Result<bool> {
        let session: SessionRecord = self.unseal(&entry.key, &entry.value)?;
        let user = self.facts(session.user)?;
        let alive = user.is_some_and(|user| self.death_of(&session, &user).is_none());
        if alive {
            return Ok(false);
        }
        self.take_away(entry, places::session_of(session.user, session.id))
    }

    fn sweep_api_key(&self, entry: &Entry) -> Result<bool> {
        let record: ApiKeyRecord = self.unseal(&entry.key, &entry.value)?;
        let owner = self.facts(record.owner)?;
        let died_at = match (&owner, record.revoked_at, record.expires_at) {
            (None, ..) => {
                return self.take_away(entry, places::api_key_of(record.owner, record.id));
            }
            (_, Some(revoked), Some(expires)) => revoked.min(expires),
            (_, Some(at), None) | (_, None, Some(at)) => at,
            (_, None, None) => return Ok(false),
        };
        if self.now() < died_at.saturating_add(self.config.keep_dead_keys) {
            return Ok(false);
        }
        self.take_away(entry, places::api_key_of(record.owner, record.id))
    }

    /// Deletes a record and its index unless it was changed meanwhile.
    fn take_away(&self, entry: &Entry, index: Bytes) -> Result<bool> {
        let mut batch = Batch::new();
        batch.expect(entry.key.clone(), Expect::Unchanged(entry.stamp));
        batch.delete(entry.key.clone()).delete(index);
        match self.store.commit(batch) {
            Ok(()) => Ok(true),
            Err(crate::StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
