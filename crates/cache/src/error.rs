//! What can go wrong.

use std::time::Duration;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something given that cannot be.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A lock was not had in time.
    #[error("lock {name:?} was not free within {timeout:?}")]
    LockTimeout {
        /// Its name.
        name: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// A lock is not held any more.
    #[error("lock {name:?} is not held with token {token} any more; take it again")]
    LockLost {
        /// Its name.
        name: String,
        /// The fencing token.
        token: u64,
    },
    /// A session's record that cannot be used.
    #[error("the session's record cannot be used: {cause}")]
    SessionRecord {
        /// What is wrong with it.
        cause: String,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] cairndb::engine::Error),
}

impl From<cairndb::keys::Error> for Error {
    fn from(error: cairndb::keys::Error) -> Self {
        Self::Engine(error.into())
    }
}
