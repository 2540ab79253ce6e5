//! What can go wrong with a cache. None of it ever comes out of a hybrid store that has an
//! engine, but for what the engine says.

use std::time::Duration;

use cairndb::types::ErrorKind;

/// Result of a cache operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of caches.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that is none, or not one of a kind that is known.
    #[error("the address of the cache is not usable: {reason}")]
    InvalidUrl {
        /// What is wrong with it. Holds no password.
        reason: String,
    },
    /// Something that this backend or this build cannot do.
    #[error("not supported: {what}")]
    Unsupported {
        /// What was asked for, and what to do instead.
        what: String,
    },
    /// A key, channel or number outside its limits.
    #[error("{what} of {found} is over the limit of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// No connection, or it broke.
    #[error("no connection to {target}: {reason}")]
    Connect {
        /// Host and port.
        target: String,
        /// What the system said.
        reason: String,
    },
    /// The server did not answer in time; whether it did what was asked is not known.
    #[error("no answer within {limit:?}")]
    Timeout {
        /// How long was waited.
        limit: Duration,
    },
    /// The peer's bytes are no answer of the protocol.
    #[error("the answer is not one of the protocol: {what}")]
    Protocol {
        /// What was wrong.
        what: String,
    },
    /// The server refused.
    #[error("the server refused: {message}")]
    Refused {
        /// What it said, shortened.
        message: String,
    },
    /// The server does not let us in.
    #[error("the server does not let us in: {message}")]
    Denied {
        /// What it said, shortened.
        message: String,
    },
    /// What the cache knows is older than the reader allows, or nobody keeps it up to date.
    #[error("the cache was last brought up to date {age:?} ago, over the bound of {bound:?}")]
    TooOld {
        /// How long ago; `None` when nobody does.
        age: Option<Duration>,
        /// The reader's bound.
        bound: Duration,
    },
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
    /// Messages that a subscriber wants are not in the log any more.
    #[error(
        "what came after {after} is gone from the log, which begins at {oldest}; read the state anew"
    )]
    TooFarBehind {
        /// Where the subscriber stands.
        after: u64,
        /// What the log still has.
        oldest: u64,
    },
    /// A message of a channel that is none of ours.
    #[error("the message is not one of the bridge's: {what}")]
    InvalidMessage {
        /// What is wrong with it.
        what: String,
    },
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] cairndb::engine::Error),
}

impl Error {
    /// What the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidUrl { .. } | Self::TooLarge { .. } | Self::Refused { .. } => {
                ErrorKind::Invalid
            }
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Timeout { .. } | Self::TooOld { .. } => ErrorKind::Busy,
            Self::Connect { .. } | Self::Protocol { .. } => ErrorKind::Unavailable,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::LockTimeout { .. } => ErrorKind::Busy,
            Self::LockLost { .. } => ErrorKind::Unavailable,
            Self::SessionRecord { .. } | Self::InvalidMessage { .. } => ErrorKind::Corrupt,
            Self::TooFarBehind { .. } => ErrorKind::NotFound,
            Self::Engine(error) => error.kind(),
        }
    }

    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }
}

impl From<cairndb::keys::Error> for Error {
    fn from(error: cairndb::keys::Error) -> Self {
        Self::Engine(error.into())
    }
}
