//! What happened, told to whoever listens. Derived: the decisions are made elsewhere.
//!
//! Events hold no secrets. They also hold no user name that does not exist, because people type
//! their password there: such a name appears as a keyed hash of 8 bytes, the same each time.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use cairn_types::Timestamp;

use crate::names::RoleName;
use crate::policy::{Action, Resource};
use crate::record::{ApiKeyId, UserId};
use crate::seal::DataKeyId;

/// Whom an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// This user.
    User(UserId),
    /// A name that does not exist, as a keyed hash.
    UnknownName([u8; 8]),
    /// Nobody that could be told from others.
    Nobody,
}

/// Why somebody was refused. Only the audit sink is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The text does not have the form of such a thing.
    Malformed,
    /// There is no such user, key or session.
    Unknown,
    /// The password or secret is another one.
    WrongSecret,
    /// The user is disabled.
    Disabled,
    /// The time is over.
    Expired,
    /// Nobody used the session for too long.
    Idle,
    /// It was revoked, or the password or a role of the user changed.
    Revoked,
    /// Too many failures of the account or address.
    Throttled,
    /// Too many hashes at once.
    Busy,
    /// It would have left nobody who may manage users and roles.
    LastAdministrator,
    /// No role of the user allows it.
    NoPermission,
    /// The user may, but the API key's scopes do not allow it.
    OutOfScope,
    /// The store or a record failed.
    Failed,
}

/// What was done or decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A login with a password.
    Login {
        /// From where, when known.
        from: Option<IpAddr>,
    },
    /// A session token was checked.
    ValidateSession,
    /// An API key was checked.
    VerifyApiKey {
        /// Which, when its form was right.
        key: Option<ApiKeyId>,
    },
    /// A permission was asked for.
    Check {
        /// To do what.
        action: Action,
        /// On what.
        resource: Resource,
    },
    /// A user was created.
    CreateUser,
    /// A user got another name.
    RenameUser,
    /// A user was disabled.
    DisableUser,
    /// A user was enabled.
    EnableUser,
    /// A user was deleted, with keys and sessions.
    DeleteUser,
    /// A user's metadata was replaced.
    SetMetadata,
    /// A password was changed; by its owner when the old one was asked for.
    ChangePassword,
    /// A role was created or its permissions replaced.
    DefineRole(RoleName),
    /// A role was deleted and taken from everybody.
    DeleteRole(RoleName),
    /// A user was given a role.
    GrantRole(RoleName),
    /// A role was taken from a user.
    RevokeRole(RoleName),
    /// An API key was issued.
    IssueApiKey {
        /// The key, when there is one.
        key: Option<ApiKeyId>,
    },
    /// An API key was replaced by another one.
    RotateApiKey {
        /// The key that ends.
        old: ApiKeyId,
        /// The key in its place, when there is one.
        new: Option<ApiKeyId>,
    },
    /// An API key was revoked.
    RevokeApiKey(ApiKeyId),
    /// A session was issued.
    IssueSession,
    /// One session was revoked.
    RevokeSession,
    /// All sessions of a user were revoked.
    RevokeAllSessions,
    /// The data keys were put under another master key.
    RotateMasterKey,
    /// A new data key seals from now on.
    RotateDataKey {
        /// The key, when there is one.
        key: Option<DataKeyId>,
    },
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// About whom.
    pub subject: Subject,
    /// What.
    pub what: What,
    /// Whether it was done or allowed, and why not.
    pub outcome: Result<(), Cause>,
}

/// Takes audit events, in the thread that decided and before the caller learns the decision.
///
/// It must be quick and must not fail: a sink that writes to a slow place has a queue, and
/// counts what it had to drop.
pub trait AuditSink: Send + Sync + fmt::Debug {
    /// Takes an event.
    fn record(&self, event: &AuditEvent);
}

/// Takes events and forgets them.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _: &AuditEvent) {}
}

/// Keeps events in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryAudit(Mutex<Vec<AuditEvent>>);

impl MemoryAudit {
    /// Takes out what has been recorded.
    #[must_use]
    pub fn take(&self) -> Vec<AuditEvent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AuditSink for MemoryAudit {
    fn record(&self, event: &AuditEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
    }
}
