//! Decisions: may this principal do that? Derived: from the records as they are now.
//!
//! Every check asks the store whether anything changed, so a role that was taken away, a key that was
//! revoked and a user who was disabled count from the next check on.

use super::AuthService;
use crate::audit::{Cause, Subject, What};
use crate::error::Result;
use crate::policy::{Action, Resource};
use crate::record::{ApiKeyId, SessionId, UserId};
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
        Ok(self.authority(principal)?.decide(action, resource))
    }
}
