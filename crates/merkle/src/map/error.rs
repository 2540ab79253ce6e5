//! Why a map refuses an update, a proof or a checkpoint. Neither truth nor derived: only words.

use cairn_types::ErrorKind;

/// Result of an operation of the map.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a map refuses an update, a proof or a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what was written.
    #[error("damaged {what}: {cause}")]
    Corrupt {
        /// Which structure.
        what: &'static str,
        /// Which field or rule.
        cause: &'static str,
    },
    /// A newer format.
    #[error("{what} has format version {found}, which is not supported")]
    UnsupportedVersion {
        /// Which structure.
        what: &'static str,
        /// Version found.
        found: u16,
    },
    /// The proof does not show what is claimed.
    #[error("the proof does not hold: {cause}")]
    Refused {
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The head says nothing of this revision yet.
    #[error("revision {asked} is after {newest}, the newest that the head covers")]
    FutureRevision {
        /// The revision asked for.
        asked: u64,
        /// The newest revision of the head.
        newest: u64,
    },
    /// A version that does not belong between the head before and the one after, or that does
    /// not come after the one before it.
    #[error("the version at LSN {lsn} is out of order: {cause}")]
    OutOfOrder {
        /// Where the log has it.
        lsn: u64,
        /// Which rule it breaks.
        cause: &'static str,
    },
    /// The map holds no more keys.
    #[error("the map is full: the limit is {limit} keys")]
    Full {
        /// Most keys.
        limit: u64,
    },
    /// A proof would be longer than any reader accepts.
    #[error("{found} versions do not fit into a proof, the limit is {limit}")]
    TooLarge {
        /// Versions that would be in it.
        found: u64,
        /// Most versions in one proof.
        limit: u64,
    },
    /// The versions that were given are not those that the map was built from.
    #[error("the versions given are not those the map commits to")]
    SourceDiffers,
    /// The versions could not be read.
    #[error("reading versions failed")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// What the caller can do next. `Denied` means: do not believe this, whoever brings it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } | Self::SourceDiffers => ErrorKind::Corrupt,
            Self::UnsupportedVersion { .. } => ErrorKind::Unsupported,
            Self::Refused { .. } => ErrorKind::Denied,
            Self::OutOfOrder { .. } | Self::FutureRevision { .. } => ErrorKind::Invalid,
            Self::TooLarge { .. } | Self::Full { .. } => ErrorKind::Full,
            Self::Source(_) => ErrorKind::Unavailable,
        }
    }
}
