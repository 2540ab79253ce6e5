//! Why an index could not be opened or take a key. Neither truth nor derived: only words.

use cairn_types::ErrorKind;

/// Result of an index operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an index could not be opened or take a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what was written: build the index again.
    #[error("damaged {what}: {cause} (found {found}, expected {expected})")]
    Corrupt {
        /// Which structure.
        what: &'static str,
        /// Which field or rule.
        cause: &'static str,
        /// The value found.
        found: u64,
        /// The value that would be right, or the limit that is exceeded.
        expected: u64,
    },
    /// A newer format: build the index again or use a newer program.
    #[error("{what} has format version {found}, which is not supported")]
    UnsupportedVersion {
        /// Which structure.
        what: &'static str,
        /// Version found.
        found: u16,
    },
    /// The index holds something else than asked for (another seed, another position).
    #[error("{what} is {found}, not {expected}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// The value found.
        found: u64,
        /// The value asked for.
        expected: u64,
    },
    /// The budget is used up.
    #[error("{what} is full: the limit is {limit}")]
    Full {
        /// Which structure.
        what: &'static str,
        /// The limit, in the structure's own unit.
        limit: u64,
    },
    /// A revision that does not come after the last one of its key.
    #[error("revision {found} does not come after {last}")]
    NotAfter {
        /// The revision given.
        found: String,
        /// The last one.
        last: String,
    },
    /// The call can never work as it is.
    #[error("{what}: {found} is over the limit of {limit}")]
    OutOfRange {
        /// Which argument.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The largest possible value.
        limit: u64,
    },
}

impl Error {
    /// What the caller can do next. `Corrupt`, `Unsupported` and `Conflict` all mean for an
    /// index: drop it and build it again.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::UnsupportedVersion { .. } => ErrorKind::Unsupported,
            Self::Mismatch { .. } => ErrorKind::Conflict,
            Self::Full { .. } => ErrorKind::Full,
            Self::NotAfter { .. } | Self::OutOfRange { .. } => ErrorKind::Invalid,
        }
    }
}
