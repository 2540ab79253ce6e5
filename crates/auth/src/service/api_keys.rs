//! API keys: issue, verify, rotate, revoke, list.

use std::sync::Arc;
use std::time::Duration;

use cairn_types::Timestamp;
use subtle::ConstantTimeEq;

use super::check::{Principal, Via};
use super::remembered::UserFacts;
use super::{AuthService, places};
use crate::audit::{Cause, Subject, What};
use crate::error::{Error, Result};
use crate::policy::Permission;
use crate::record::{ApiKeyId, ApiKeyRecord, UserId, UserRecord};
use crate::secret::Secret;
use crate::store::{Batch, Expect, KvStore, Stamp};
use crate::token::ApiKeyText;

/// What an API key shall be.
#[derive(Debug, Clone, Default)]
pub struct ApiKeyRequest {
    /// Stands in the key, so that one for tests is not taken for a real one: 1 to 16 of `a-z`
    /// and `0-9`.
    pub environment: String,
    /// What people know it by, at most 64 bytes.
    pub label: String,
    /// How long it lives; `None`: until it is revoked.
    pub lifetime: Option<Duration>,
    /// What it may do at most; `None`: whatever its owner may. It never may more than the owner.
    pub scopes: Option<Vec<Permission>>,
}

/// An API key that was just issued.
#[derive(Debug)]
pub struct IssuedApiKey {
    /// The whole key. It cannot be shown again: the store has only a hash of it.
    pub key: Secret,
    /// Its public part.
    pub id: ApiKeyId,
}

/// What is told of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyInfo {
    /// Its public part.
    pub id: ApiKeyId,
    /// Whose it is.
    pub owner: UserId,
    /// Its environment.
    pub environment: String,
    /// Its label.
    pub label: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to some minutes.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// What it may do at most.
    pub scopes: Option<Vec<Permission>>,
}

impl From<ApiKeyRecord> for ApiKeyInfo {
    fn from(record: ApiKeyRecord) -> Self {
        let ApiKeyRecord { id, owner, environment, label, created_at, expires_at, .. } = record;
        let ApiKeyRecord { last_used_at, revoked_at, scopes, .. } = record;
        Self {
            id,
            owner,
            environment,
            label,
            created_at,
            expires_at,
            last_used_at,
            revoked_at,
            scopes,
        }
    }
}

impl<S: KvStore> AuthService<S> {
    /// Issues an API key of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Full`] when the user has too many.
    pub fn issue_api_key(&self, owner: UserId, request: &ApiKeyRequest) -> Result<IssuedApiKey> {
        let now = self.now();
        let issued = self.retried(|| {
            let text = ApiKeyText::random(&request.environment, &*self.parts.rng);
            let record = ApiKeyRecord {
                id: text.id,
                owner,
                environment: request.environment.clone(),
                label: request.label.clone(),
                mac: text.mac(&self.keys.api_keys),
                created_at: now,
                expires_at: request.lifetime.map(|lifetime| now.saturating_add(lifetime)),
                last_used_at: None,
                revoked_at: None,
                scopes: request.scopes.clone(),
            };
            record.check()?;
            let mut batch = Batch::new();
            self.add_api_key(&mut batch, &record)?;
            self.store.commit(batch)?;
            Ok(IssuedApiKey { key: text.to_text(), id: text.id })
        });
        let what = What::IssueApiKey { key: issued.as_ref().ok().map(|key| key.id) };
        self.audited(Subject::User(owner), what, issued)
    }

    /// Puts a new key and its index into a batch.
    fn add_api_key(&self, batch: &mut Batch, record: &ApiKeyRecord) -> Result<()> {
        let (owner, stamp) = self.known_user(record.owner)?;
        self.make_room_for_key(batch, &owner)?;
        // No key is born to a user who is being deleted.
        batch.expect(places::user(record.owner), Expect::Unchanged(stamp));
        let key = places::api_key(record.id);
        batch.expect(key.clone(), Expect::Absent);
        self.put(batch, key, record)?;
        batch.put(places::api_key_of(record.owner, record.id), places::PRESENT);
        Ok(())
    }

    /// Deletes a dead key of a user who has as many as are allowed.
    fn make_room_for_key(&self, batch: &mut Batch, owner: &UserRecord) -> Result<()> {
        let (index, most) = (places::api_keys_of(owner.id), self.config.api_keys_max);
        let entries = self.store.scan(&index, None, most)?;
        if entries.len() < most {
            return Ok(());
        }
        for entry in entries {
            let id = ApiKeyId(places::tail(&entry.key, &index)?);
            let found = self.read::<ApiKeyRecord>(&places::api_key(id))?;
            let over = |(record, _): &(ApiKeyRecord, Stamp)| {
                let expired = record.expires_at.is_some_and(|at| self.now() >= at);
                record.revoked_at.is_some() || expired
            };
            if found.as_ref().is_none_or(over) {
                batch.delete(places::api_key(id)).delete(entry.key);
                return Ok(());
            }
        }
        Err(Error::Full { what: "API keys of a user", limit: most as u64 })
    }

    /// Whose key this is. A key with a typing error is refused before the store is asked.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] whatever is wrong with it.
    pub fn verify_api_key(&self, key: impl AsRef<[u8]>) -> Result<Principal> {
        let Some(text) = ApiKeyText::parse(key.as_ref()) else {
            let what = What::VerifyApiKey { key: None };
            self.audit(Subject::Nobody, what, Err(Cause::Malformed));
            return Err(Error::Unauthenticated);
        };
        let what = What::VerifyApiKey { key: Some(text.id) };
        let (subject, found) = match self.matching_api_key(&text) {
            Ok(found) => found,
            Err(error) => return self.audited(Subject::Nobody, what, Err(error)),
        };
        self.audit(subject, what, found.as_ref().map(drop).map_err(|cause| *cause));
        let (record, stamp) = found.map_err(|_| Error::Unauthenticated)?;
        let principal = Principal { user: record.owner, via: Via::ApiKey(record.id) };
        self.touch_api_key(&record, stamp);
        Ok(principal)
    }

    #[expect(clippy::type_complexity, reason = "a name for it would be used once")]
    fn matching_api_key(
        &self,
        text: &ApiKeyText,
    ) -> Result<(Subject, Result<(Arc<ApiKeyRecord>, Stamp), Cause>)> {
        let mac = text.mac(&self.keys.api_keys);
        let (subject, found) = self.live_api_key(text.id)?;
        // Also a key that is dead is compared, so that only its owner can learn that it is.
        let Some((record, stamp, death)) = found else {
            return Ok((Subject::Nobody, Err(Cause::Unknown)));
        };
        let right = bool::from(record.mac.ct_eq(&mac)) && record.environment == text.environment;
        Ok(match death {
            _ if !right => (subject, Err(Cause::WrongSecret)),
            Some(cause) => (subject, Err(cause)),
            None => (subject, Ok((record, stamp))),
        })
    }

    /// A key, and why it is dead if it is.
    #[expect(clippy::type_complexity, reason = "a name for it would be used once")]
    pub(super) fn live_api_key(
        &self,
        id: ApiKeyId,
    ) -> Result<(Subject, Option<(Arc<ApiKeyRecord>, Stamp, Option<Cause>)>)> {
        let found = self.recall::<ApiKeyRecord, _>(&self.memory.api_keys, places::api_key(id))?;
        let Some((record, stamp)) = found else {
            return Ok((Subject::Nobody, None));
        };
        if record.id != id {
            return Err(Error::corrupt("API key record", "it names another key"));
        }
        let owner = self.facts(record.owner)?;
        let death = self.death_of_key(&record, owner.as_deref());
        Ok((Subject::User(record.owner), Some((record, stamp, death))))
    }

    pub(super) fn death_of_key(
        &self,
        record: &ApiKeyRecord,
        owner: Option<&UserFacts>,
    ) -> Option<Cause> {
        if record.revoked_at.is_some() || owner.is_none() {
            Some(Cause::Revoked)
        } else if owner.is_some_and(|owner| owner.disabled) {
            Some(Cause::Disabled)
        } else if record.expires_at.is_some_and(|at| self.now() >= at) {
            Some(Cause::Expired)
        } else {
            None
        }
    }

    /// Writes down that a key was used, when that was not done for a while. It is for people to
    /// look at, so a failure does not refuse the key.
    fn touch_api_key(&self, record: &ApiKeyRecord, read: Stamp) {
        let now = self.now();
        let fresh = |at: Timestamp| now < at.saturating_add(self.config.last_used_step);
        if record.last_used_at.is_some_and(fresh) {
            return;
        }
        let record = ApiKeyRecord { last_used_at: Some(now), ..record.clone() };
        let mut batch = Batch::new();
        if self.replace(&mut batch, places::api_key(record.id), &record, read).is_ok() {
            let _ = self.store.commit(batch);
        }
    }

    /// Issues a key in the place of another: same owner, environment, label, scopes and end. The
    /// old one goes on for `overlap`, or ends at once; it stays listed until a sweep takes it.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when the old one is revoked or expired; [`Error::Full`] when the
    /// owner has as many keys as are allowed and none of them is dead.
    pub fn rotate_api_key(&self, old: ApiKeyId, overlap: Duration) -> Result<IssuedApiKey> {
        let rotated = self.retried(|| {
            let now = self.now();
            let (_, found) = self.live_api_key(old)?;
            let Some((before, stamp, None)) = found else {
                return Err(Error::NotFound { what: "API key" });
            };
            let mut before = ApiKeyRecord::clone(&before);
            let text = ApiKeyText::random(&before.environment, &*self.parts.rng);
            let record = ApiKeyRecord {
                id: text.id,
                owner: before.owner,
                environment: before.environment.clone(),
                label: before.label.clone(),
                mac: text.mac(&self.keys.api_keys),
                created_at: now,
                expires_at: before.expires_at,
                last_used_at: None,
                revoked_at: None,
                scopes: before.scopes.clone(),
            };
            if overlap.is_zero() {
                before.revoked_at = Some(now);
            } else {
                let end = now.saturating_add(overlap);
                before.expires_at = Some(before.expires_at.map_or(end, |at| at.min(end)));
            }
            let mut batch = Batch::new();
            self.replace(&mut batch, places::api_key(old), &before, stamp)?;
            self.add_api_key(&mut batch, &record)?;
            self.store.commit(batch)?;
            Ok((record.owner, IssuedApiKey { key: text.to_text(), id: text.id }))
        });
        let (subject, new) = match &rotated {
            Ok((owner, key)) => (Subject::User(*owner), Some(key.id)),
            Err(_) => (Subject::Nobody, None),
        };
        let rotated = rotated.map(|(_, key)| key);
        self.audited(subject, What::RotateApiKey { old, new }, rotated)
    }

    /// Ends an API key. It stays listed until a sweep takes it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn revoke_api_key(&self, id: ApiKeyId) -> Result<()> {
        let revoked = self.retried(|| {
            let found = self.read::<ApiKeyRecord>(&places::api_key(id))?;
            let (mut record, stamp) = found.ok_or(Error::NotFound { what: "API key" })?;
            record.revoked_at.get_or_insert(self.now());
            let mut batch = Batch::new();
            self.replace(&mut batch, places::api_key(id), &record, stamp)?;
            self.store.commit(batch)?;
            Ok(record.owner)
        });
        let subject = revoked.as_ref().map_or(Subject::Nobody, |owner| Subject::User(*owner));
        self.audited(subject, What::RevokeApiKey(id), revoked.map(drop))
    }

    /// The API keys of a user, dead ones that were not swept included.
    ///
    /// # Errors
    /// When the store fails or a record is damaged.
    pub fn list_api_keys(&self, owner: UserId) -> Result<Vec<ApiKeyInfo>> {
        let index = places::api_keys_of(owner);
        let mut keys = Vec::new();
        for entry in self.store.scan(&index, None, super::AuthConfig::ROWS_MAX)? {
            let id = ApiKeyId(places::tail(&entry.key, &index)?);
            let found = self.read::<ApiKeyRecord>(&places::api_key(id))?;
            keys.extend(found.map(|(record, _)| ApiKeyInfo::from(record)));
        }
        Ok(keys)
    }
}
