//! What can go wrong with keys, by what the caller should do next.

use bytes::Bytes;
use cairn_types::{ErrorKind, Lsn, StreamId};

use crate::LeaseId;

/// Result of an operation on keys.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of [`Store`](crate::Store) and its parts.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The revision was compacted away.
    #[error("revision {requested} was compacted; the oldest that can be read is {oldest}")]
    Compacted {
        /// Revision asked for.
        requested: u64,
        /// Oldest revision that can be read.
        oldest: u64,
    },
    /// The revision does not exist yet.
    #[error("revision {requested} is in the future; the current one is {current}")]
    FutureRevision {
        /// Revision asked for.
        requested: u64,
        /// Current revision.
        current: u64,
    },
    /// A request without a key.
    #[error("the key is empty; give a key")]
    EmptyKey,
    /// A transaction changes a key twice.
    #[error("key {} is changed twice in one transaction; change it once", shown(key))]
    DuplicateKey {
        /// The key.
        key: Bytes,
    },
    /// A transaction has more operations than allowed.
    #[error("a transaction level may hold {limit} operations; split it")]
    TooManyOps {
        /// The limit.
        limit: usize,
    },
    /// `ignore_value` together with a value.
    #[error("a value was given though the old one is to be kept")]
    ValueProvided,
    /// `ignore_lease` together with a lease.
    #[error("a lease was given though the old one is to be kept")]
    LeaseProvided,
    /// A put that keeps the old value or lease of a key that is not there.
    #[error("key {} does not exist, so there is nothing of it to keep", shown(key))]
    KeyNotFound {
        /// The key.
        key: Bytes,
    },
    /// The keyspace was dropped: what is put there would be gone at the next open.
    #[error("keyspace {space} was dropped; look it up by its name again")]
    KeyspaceDropped {
        /// Its number.
        space: StreamId,
    },
    /// There is no such lease.
    #[error("lease {id} does not exist or has expired; grant one")]
    LeaseNotFound {
        /// The lease.
        id: LeaseId,
    },
    /// The lease exists already.
    #[error("lease {id} exists already; choose another id")]
    LeaseExists {
        /// The lease.
        id: LeaseId,
    },
    /// A time to live beyond the limit.
    #[error("a time to live of {ttl} s is above the limit of {limit} s")]
    LeaseTtlTooLarge {
        /// Seconds asked for.
        ttl: i64,
        /// The limit in seconds.
        limit: i64,
    },
    /// Another transaction changed what this one rests on.
    #[error("key {} was changed by another transaction; read again and retry", shown(key))]
    Conflict {
        /// The key that was changed.
        key: Bytes,
        /// The revision that changed it.
        revision: u64,
    },
    /// Sorting that makes no sense, such as by value without values.
    #[error("these results cannot be sorted so: {reason}")]
    InvalidSort {
        /// Why.
        reason: &'static str,
    },
    /// A key or value is larger than a limit.
    #[error("{what} is {found} bytes, the limit is {limit}")]
    TooLarge {
        /// Which limit.
        what: &'static str,
        /// Size found.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The value was erased; the version is still there.
    #[error("the value in record {lsn} was erased{}", authority(*by))]
    Erased {
        /// The record that held it.
        lsn: Lsn,
        /// The record that authorised it; nothing when the log names none.
        by: Option<Lsn>,
    },
    /// A record of the log that holds no valid change although its checksums are right.
    #[error("record {lsn} of the log is no valid change: {cause}")]
    Damaged {
        /// The record.
        lsn: Lsn,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A value could not be sealed or opened.
    #[error("{cause}")]
    Sealing {
        /// What the caller can do next.
        kind: ErrorKind,
        /// What went wrong.
        cause: String,
    },
    /// The index failed: its tables are damaged, or the file system refused.
    #[error(transparent)]
    Index(std::sync::Arc<cairn_lsm::Error>),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] cairn_segment::Error),
}

fn authority(by: Option<Lsn>) -> String {
    by.map_or_else(String::new, |by| format!(" by record {by}"))
}

fn shown(key: &Bytes) -> String {
    format!("\"{}\"", key.escape_ascii())
}

impl From<cairn_lsm::Error> for Error {
    fn from(error: cairn_lsm::Error) -> Self {
        Self::Index(std::sync::Arc::new(error))
    }
}

impl From<cairn_codec::Error> for Error {
    fn from(error: cairn_codec::Error) -> Self {
        Self::Log(error.into())
    }
}

impl Error {
    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Compacted { .. }
            | Self::KeyNotFound { .. }
            | Self::KeyspaceDropped { .. }
            | Self::LeaseNotFound { .. }
            | Self::Erased { .. } => ErrorKind::NotFound,
            Self::FutureRevision { .. }
            | Self::EmptyKey
            | Self::DuplicateKey { .. }
            | Self::TooManyOps { .. }
            | Self::ValueProvided
            | Self::LeaseProvided
            | Self::LeaseTtlTooLarge { .. }
            | Self::InvalidSort { .. }
            | Self::TooLarge { .. } => ErrorKind::Invalid,
            Self::LeaseExists { .. } | Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Sealing { kind, .. } => *kind,
            Self::Index(error) => error.kind(),
            Self::Log(error) => error.kind(),
        }
    }
}
