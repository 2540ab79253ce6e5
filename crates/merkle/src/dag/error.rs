//! Why a DAG refuses something. Neither truth nor derived: only words.

use super::cid::Cid;
use super::store::StoreError;
use cairn_types::ErrorKind;

/// Result of an operation of a DAG.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a DAG refuses something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such block.
    #[error("there is no block {cid}")]
    NotFound {
        /// Its id.
        cid: Cid,
    },
    /// A block that does not hash to its id.
    #[error("the block {cid} is altered: its bytes hash to {found}")]
    Altered {
        /// The id it stands under.
        cid: Cid,
        /// What its bytes hash to.
        found: Cid,
    },
    /// Bytes that are not what they should be, or are not in the one form allowed.
    #[error("not a valid {what}: {cause}")]
    Invalid {
        /// Which structure.
        what: &'static str,
        /// Which rule is broken.
        cause: &'static str,
    },
    /// An id of another version, codec or hash, or an archive of another version.
    #[error("{what} {found} is not supported")]
    Unsupported {
        /// Which number, such as the version of an id.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// Over a limit.
    #[error("{what}: {found} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is, or as far as it was counted.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The store failed.
    #[error("the store of blocks failed")]
    Store(#[source] StoreError),
    /// Reading or writing an archive failed.
    #[error("reading or writing an archive failed")]
    Io(#[from] std::io::Error),
}

impl Error {
    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Altered { .. } => ErrorKind::Corrupt,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::TooLarge { .. } => ErrorKind::Full,
            Self::Store(_) | Self::Io(_) => ErrorKind::Unavailable,
        }
    }
}
