//! Decisions: may this principal do that? Derived: from the records as they are now.
//!
//! Every check asks the store whether anything changed, so a role that was taken away, a key that was
//! revoked and a user who was disabled count from the next check on.

use std::sync::Arc;

use super::AuthService;
use super::remembered::UserFacts;
use crate::audit::{Cause, Subject, What};
use crate::error::Result;
use crate::policy::{self, Action, Resource};
use crate::record::{ApiKeyId, ApiKeyRecord, SessionId, UserId};
use crate::store::KvStore;

/// Somebody who proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub(super) user: UserId,
    pub(super) via: Via,
}

impl Principal {
    /// The user behind it.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// How it was proven.
    #[must_use]
    pub const fn via(&self) -> Via {
        self.via
    }
}

/// How a principal proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// By the token of a session.
    Session(SessionId),
    /// By an API key.
    ApiKey(ApiKeyId),
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a decision that nobody looks at protects nothing"]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not.
    Deny(Cause),
}

impl Decision {
    /// Whether it may.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allow)
    }
}

impl<S: KvStore> AuthService<S> {
    /// Decides whether a principal may do something: one of its user's roles must allow it, and
    /// an API key's scopes too. Reads the session or key, the user and the roles; writes nothing.
    ///
    /// # Errors
    /// When the store fails or a record is damaged; nothing is allowed then.
    pub fn check(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<Decision> {
        let decided = self.decide(principal, action, resource);
        let outcome = match &decided {
            Ok(Decision::Allow) => Ok(()),
            Ok(Decision::Deny(cause)) => Err(*cause),
            Err(_) => Err(Cause::Failed),
        };
        let what = What::Check { action, resource: resource.clone() };
        self.audit(Subject::User(principal.user), what, outcome);
        decided
    }

    fn decide(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<Decision> {
        let (user, key) = match self.presence(principal)? {
            Ok(present) => present,
            Err(cause) => return Ok(Decision::Deny(cause)),
        };
        let mut roles = Vec::with_capacity(user.roles.len());
        for id in &user.roles {
            roles.extend(self.role(*id)?.map(|(role, _)| role));
        }
        let permissions = roles.iter().flat_map(|role| &role.permissions);
        if !policy::allows(permissions, action, resource) {
            return Ok(Decision::Deny(Cause::NoPermission));
        }
        let scopes = key.as_ref().and_then(|key| key.scopes.as_ref());
        match scopes {
            Some(scopes) if !policy::allows(scopes, action, resource) => {
                Ok(Decision::Deny(Cause::OutOfScope))
            }
            _ => Ok(Decision::Allow),
        }
    }

    /// The user behind a principal and the key that narrows it, or why it counts no more.
    #[expect(clippy::type_complexity, reason = "a name for it would be used once")]
    fn presence(
        &self,
        principal: &Principal,
    ) -> Result<Result<(Arc<UserFacts>, Option<Arc<ApiKeyRecord>>), Cause>> {
        match principal.via {
            Via::Session(id) => {
                let (_, found) = self.live_session(id)?;
                Ok(found.map(|(_, _, user)| (user, None)))
            }
            Via::ApiKey(id) => match self.live_api_key(id)?.1 {
                None => Ok(Err(Cause::Unknown)),
                Some((_, _, Some(cause))) => Ok(Err(cause)),
                Some((record, _, None)) => {
                    // Read again rather than handed through: a user deleted in between is gone.
                    let user = self.facts(record.owner)?;
                    Ok(user.map_or(Err(Cause::Revoked), |user| Ok((user, Some(record)))))
                }
            },
        }
    }
}
