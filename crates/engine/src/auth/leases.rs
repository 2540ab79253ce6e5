//! Leases as one principal may use them. A lease can end keys, so it takes what deleting them
//! would take.

use bytes::Bytes;
use cairn_auth::audit::Cause;
use cairn_auth::{Action, AdminArea, Decision, Resource};
use cairn_mvcc::{LeaseId, LeaseInfo, Range};
use cairn_types::{KeyspaceName, StreamId};

use super::{Guarded, requests};
use crate::Result;

/// What belongs to a lease.
struct Attached {
    keys: Vec<(StreamId, Bytes)>,
    /// What ending it would write to.
    asked: Vec<(Action, Resource)>,
}

impl Guarded {
    /// Grants a lease of `ttl` seconds for keys of a range; needs `Write` on all of it. What is
    /// attached to it later is checked by the put.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied); as [`Engine::grant_lease`](crate::Engine::grant_lease).
    pub fn grant_lease(&self, keyspace: &str, range: &Range, ttl: i64) -> Result<LeaseInfo> {
        let resource = requests::range(&KeyspaceName::new(keyspace)?, range)?;
        self.admit(Action::Write, &resource, || self.engine().grant_lease(ttl))
    }

    /// Renews a lease; needs `Write` on every key attached to it. Returns its seconds.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied); as [`Store::lease_keep_alive`](cairn_mvcc::Store::lease_keep_alive).
    pub fn keep_lease_alive(&self, id: LeaseId) -> Result<i64> {
        loop {
            let Attached { keys, asked } = self.attached(id)?;
            let renew = || Ok(self.engine().keys().lease_keep_alive_of(id, &keys)?);
            // Nothing was done when a key came or went since it was asked for.
            if let Some(seconds) = self.admit_all(&asked, renew)? {
                return Ok(seconds);
            }
        }
    }

    /// Ends a lease and deletes its keys; needs `Write` on every one of them. Returns how many
    /// keys that were.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied); as [`Store::lease_revoke`](cairn_mvcc::Store::lease_revoke).
    pub fn revoke_lease(&self, id: LeaseId) -> Result<u64> {
        loop {
            let Attached { keys, asked } = self.attached(id)?;
            let revoke = || Ok(self.engine().keys().lease_revoke_of(id, &keys)?);
            if let Some(deleted) = self.admit_all(&asked, revoke)? {
                return Ok(deleted);
            }
        }
    }

    /// What is known of a lease; needs `Read` on every key attached to it. `None` when there is
    /// no such lease.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied).
    pub fn lease(&self, id: LeaseId) -> Result<Option<LeaseInfo>> {
        loop {
            let Attached { keys, mut asked } = self.attached(id)?;
            asked.iter_mut().for_each(|(action, _)| *action = Action::Read);
            let found = self.admit_all(&asked, || Ok(self.engine().keys().lease(id)))?;
            if found.as_ref().is_none_or(|lease| lease.keys == keys) {
                return Ok(found);
            }
        }
    }

    /// What belongs to a lease. One without keys, or that is not there, is for whoever counts at
    /// all.
    fn attached(&self, id: LeaseId) -> Result<Attached> {
        let keys = self.engine().keys().lease(id).map(|lease| lease.keys).unwrap_or_default();
        let names = self.engine().keyspaces();
        let mut asked = Vec::with_capacity(keys.len());
        for (stream, key) in &keys {
            let keyspace = names.iter().find(|keyspace| keyspace.stream() == *stream);
            // A key of a keyspace that was dropped is nobody's.
            let Some(keyspace) = keyspace else { continue };
            asked.push((Action::Write, requests::key(keyspace.name(), key)?));
        }
        if asked.is_empty() && !self.counts()? {
            let resource = Resource::Admin(AdminArea::Maintenance);
            return Err(self.refuse(Action::Write, &resource, Decision::Deny(Cause::Unknown)));
        }
        Ok(Attached { keys, asked })
    }

    /// Whether there is a principal that was not revoked, or auth is not enabled.
    fn counts(&self) -> Result<bool> {
        match (self.service(), self.principal()) {
            (Some(service), Some(principal)) => Ok(service.authority(principal)?.is_alive()),
            _ => Ok(!self.engine().auth_enabled()?),
        }
    }
}
