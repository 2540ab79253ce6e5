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
    /// The cache is not asked at the moment, since it failed a short time ago.
    #[error("the cache is left alone for {left:?}, since it failed just now")]
    Resting {
        /// For how long still.
        left: Duration,
    },
    /// What the cache knows is older than the reader allows, or nobody keeps it up to date.
    #[error("the cache was last brought up to date {age:?} ago, over the bound of {bound:?}")]
    TooOld {
        /// How long ago; `None` when nobody does.
        age: Option<Duration>,
        /// The reader's bound.
        bound: Duration,
    },
    /// Closed.
    #[error("the cache is closed")]
    Closed,
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
            Self::Timeout { .. } | Self::Resting { .. } | Self::TooOld { .. } => ErrorKind::Busy,
            Self::Connect { .. } | Self::Protocol { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Engine(error) => error.kind(),
        }
    }

    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }
}
