//! Errors of the ordered store. Neither truth nor derived: only words.

use cairn_types::ErrorKind;

/// Result of an operation of the ordered store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the ordered store could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of tables is damaged. Tables are derived: they can be deleted and are built again
    /// from the log, where that is retained whole.
    #[error("{file} is damaged at byte {position}: {cause}; tables can be rebuilt from the log")]
    Corrupt {
        /// The file.
        file: String,
        /// Where.
        position: u64,
        /// What is wrong.
        cause: &'static str,
    },
    /// A newer format.
    #[error("{file} has format version {found}, which is not supported: use a newer program")]
    UnsupportedVersion {
        /// The file.
        file: String,
        /// Version found.
        found: u16,
    },
    /// Something over its limit.
    #[error("{what}: {found} is over the limit of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Size found.
        found: u64,
        /// Limit.
        limit: u64,
    },
    /// Keys to be loaded are not in rising order.
    #[error("key {index} is not above the one before it; sort the keys first")]
    NotRising {
        /// Which of the keys, from 0.
        index: u64,
    },
    /// Of the file system.
    #[error(transparent)]
    Vfs(#[from] cairn_vfs::Error),
    /// Of a block's compression.
    #[error(transparent)]
    Codec(#[from] cairn_codec::Error),
    /// Of a filter or sparse index.
    #[error(transparent)]
    Index(#[from] cairn_index::Error),
    /// Of the log.
    #[error(transparent)]
    Log(#[from] cairn_segment::Error),
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::UnsupportedVersion { .. } => ErrorKind::Unsupported,
            Self::TooLarge { .. } | Self::NotRising { .. } => ErrorKind::Invalid,
            Self::Vfs(error) => error.kind(),
            Self::Codec(error) => error.kind(),
            Self::Index(error) => error.kind(),
            Self::Log(error) => error.kind(),
        }
    }

    pub(crate) fn corrupt(file: &str, position: u64, cause: &'static str) -> Self {
        Self::Corrupt { file: file.to_owned(), position, cause }
    }
}
