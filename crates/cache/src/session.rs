//! Sessions of any serde type: who is here, and what is remembered about them. Truth: sealed
//! records in the engine, under leases; the cache in front is derived and checked at each use.
//!
//! ```text
//! token (32 random bytes, with the user only) ─ SHA-256 ─▶ s/HASH ─▶ sealed record ─┐ one lease,
//! user ─ HMAC ─▶ u/TAG/HASH (index, written in the same transaction) ───────────────┘ renewed by touch
//!
//! get: hash ─▶ index of the engine: there? lease alive? which revision? ─▶ opened before?
//!                                                          no: unseal ◀────┴──▶ yes: shared
//! ```
//!
//! Invariants:
//! - The store holds no token, no name of a user and no data in the clear.
//! - A session that was revoked is served by nobody after the revocation returned: every `get`
//!   asks the engine's index first, and what it finds in the cache must have that revision.
//! - Record and index are there together or not at all, and end together with their lease.
//! - A session ends after the idle time without a touch, and after its lifetime whatever happens.

mod manager;
mod record;
mod time;
mod token;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use cairndb::types::Timestamp;

pub use manager::SessionManager;
pub use token::{SessionId, SessionToken};

use crate::{Error, Result};

/// Settings of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Keyspace that holds them; it is created when absent.
    pub keyspace: String,
    /// A session ends when it was not touched for so long; whole seconds. Touches within the
    /// first eighth of it write nothing, so it may end up to an eighth sooner, never later.
    pub idle: Duration,
    /// A session ends after so long, whatever happens.
    pub lifetime: Duration,
    /// Most sessions of one user; a new one ends the oldest.
    pub per_user_max: usize,
    /// Longest data in bytes, as JSON.
    pub data_len_max: usize,
    /// Most opened sessions that are kept in memory.
    pub cached_max: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            keyspace: "sessions".to_owned(),
            idle: Duration::from_secs(HOUR / 2),
            lifetime: Duration::from_secs(12 * HOUR),
            per_user_max: 64,
            data_len_max: 64 << 10,
            cached_max: 10_000,
        }
    }
}

impl SessionConfig {
    /// Most sessions that a user may have: all of them end in one transaction.
    const PER_USER_MAX: usize = 1024;

    fn check(&self) -> Result<()> {
        let reason = if self.idle < Duration::from_secs(1) || self.lifetime < self.idle {
            "a session lasts at least a second, and at least as long as it may be idle"
        } else if !(1..=Self::PER_USER_MAX).contains(&self.per_user_max) {
            "a user has 1 to 1,024 sessions"
        } else {
            return Ok(());
        };
        Err(Error::Invalid { what: "session settings", reason: reason.to_owned() })
    }
}

/// A session that was just stored.
#[derive(Debug, Clone)]
pub struct IssuedSession {
    /// For the user alone; it is nowhere else and cannot be shown again.
    pub token: SessionToken,
    /// For logs and lists; nobody gets in with it.
    pub id: SessionId,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// A living session. Clones share user and data.
#[derive(Debug)]
pub struct Session<T> {
    /// For logs and lists.
    pub id: SessionId,
    /// Whose it is.
    pub user: Arc<str>,
    /// What is remembered.
    pub data: Arc<T>,
    /// When it began.
    pub issued_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// Revision of the engine that it was written at.
    pub revision: u64,
}

impl<T> Clone for Session<T> {
    fn clone(&self) -> Self {
        let (user, data) = (self.user.clone(), self.data.clone());
        let (issued_at, expires_at) = (self.issued_at, self.expires_at);
        Self { id: self.id, user, data, issued_at, expires_at, revision: self.revision }
    }
}

/// How the cache in front does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionStats {
    /// Answers whose data was opened before and is still the newest.
    pub hits: u64,
    /// Answers for which a record was opened.
    pub misses: u64,
}
