//! What a principal may do, taken out of the store once and asked many times. Derived: it holds
//! until any record changes or its time is over; whoever keeps one watches for both.

use std::sync::Arc;

use cairn_types::Timestamp;

use super::AuthService;
use super::check::{Decision, Principal, Via};
use crate::audit::{Cause, Subject, What};
use crate::error::Result;
use crate::policy::{self, Action, Permission, Resource};
use crate::record::{ApiKeyRecord, RoleRecord};
use crate::store::KvStore;

/// The permissions of a principal as they were when it was made.
///
/// It knows nothing of later changes: a role taken away, a key revoked. Ask
/// [`AuthService::check`] unless you know that no record changed since.
#[derive(Clone)]
pub struct Authority {
    /// Why it may do nothing at all.
    dead: Option<Cause>,
    roles: Vec<Arc<RoleRecord>>,
    key: Option<Arc<ApiKeyRecord>>,
    until: Option<Timestamp>,
}

impl Authority {
    const fn dead(cause: Cause) -> Self {
        Self { dead: Some(cause), roles: Vec::new(), key: None, until: None }
    }

    /// When the session or key ends; from then on it must be made anew. `None`: never by time.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether it allows something.
    pub fn decide(&self, action: Action, resource: &Resource) -> Decision {
        self.decide_by(
            |roles| policy::allows(roles, action, resource),
            |scopes| policy::allows(scopes, action, resource),
        )
    }

    /// Whether it allows something with one key of a keyspace; allocates nothing.
    pub fn decide_key(&self, action: Action, keyspace: &str, key: &[u8]) -> Decision {
        self.decide_by(
            |roles| policy::allows_key(roles, action, keyspace, key),
            |scopes| policy::allows_key(scopes, action, keyspace, key),
        )
    }

    /// Whether it allows anything at all: the session or key counts and the user is not disabled.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.dead.is_none()
    }

    /// Whether an API key narrows it to less than its owner may.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.scopes.is_some())
    }

    fn decide_by<'a>(
        &'a self,
        by_roles: impl FnOnce(&mut dyn Iterator<Item = &'a Permission>) -> bool,
        by_scopes: impl FnOnce(&'a [Permission]) -> bool,
    ) -> Decision {
        if let Some(cause) = self.dead {
            return Decision::Deny(cause);
        }
        if !by_roles(&mut self.roles.iter().flat_map(|role| &role.permissions)) {
            return Decision::Deny(Cause::NoPermission);
        }
        match self.key.as_ref().and_then(|key| key.scopes.as_deref()) {
            Some(scopes) if !by_scopes(scopes) => Decision::Deny(Cause::OutOfScope),
            _ => Decision::Allow,
        }
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("dead", &self.dead).finish_non_exhaustive()
    }
}

impl<S: KvStore> AuthService<S> {
    /// What a principal may do as the records are now. Somebody who may do nothing any more gets
    /// an authority that denies everything and says why. The sink is not told.
    ///
    /// # Errors
    /// When the store fails or a record is damaged.
    pub fn authority(&self, principal: &Principal) -> Result<Authority> {
        let (user, key, until) = match principal.via {
            Via::Session(id) => match self.live_session(id)?.1 {
                Err(cause) => return Ok(Authority::dead(cause)),
                Ok((session, _, user)) => {
                    let idle = session.last_seen_at.saturating_add(session.idle);
                    (user, None, Some(idle.min(session.expires_at)))
                }
            },
            Via::ApiKey(id) => match self.live_api_key(id)?.1 {
                None => return Ok(Authority::dead(Cause::Unknown)),
                Some((_, _, Some(cause))) => return Ok(Authority::dead(cause)),
                Some((record, _, None)) => {
                    // Read again rather than handed through: a user deleted in between is gone.
                    let Some(user) = self.facts(record.owner)? else {
                        return Ok(Authority::dead(Cause::Revoked));
                    };
                    let until = record.expires_at;
                    (user, Some(record), until)
                }
            },
        };
        let mut roles = Vec::with_capacity(user.roles.len());
        for id in &user.roles {
            roles.extend(self.role(*id)?.map(|(role, _)| role));
        }
        Ok(Authority { dead: None, roles, key, until })
    }

    /// Tells the sink of a decision that was taken with an [`Authority`], or about somebody
    /// who did not say who it is.
    pub fn tell_decision(
        &self,
        principal: Option<&Principal>,
        action: Action,
        resource: &Resource,
        decision: Decision,
    ) {
        let subject = principal.map_or(Subject::Nobody, |principal| Subject::User(principal.user));
        let outcome = match decision {
            Decision::Allow => Ok(()),
            Decision::Deny(cause) => Err(cause),
        };
        let what = What::Check { action, resource: resource.clone() };
        self.audit(subject, what, outcome);
    }
}
