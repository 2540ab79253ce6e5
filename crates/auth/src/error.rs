//! Why a call failed. Neither truth nor derived: only words.
//!
//! Nothing here tells a stranger which part of his credentials was wrong:
//! [`Error::Unauthenticated`] has no fields, and the cause goes to the audit sink alone.

use std::time::Duration;

use cairn_types::ErrorKind;

use crate::store::StoreError;

/// Result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key, token, name or password is not valid. One error for every cause.
    #[error("not authenticated")]
    Unauthenticated,
    /// Too many failed logins of this account or from this address, whether or not it exists.
    #[error("too many attempts, try again in {} s", .retry_after.as_millis().div_ceil(1000).max(1))]
    Throttled {
        /// When the next attempt will be looked at.
        retry_after: Duration,
    },
    /// As many passwords are being hashed, and waiting to be, as were allowed.
    #[error("all hashing places are taken")]
    Busy,
    /// There is no such thing.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The name is taken.
    #[error("this {what} is taken")]
    Exists {
        /// Which kind of name.
        what: &'static str,
    },
    /// Somebody else changed the same thing: read again and decide again.
    #[error("{what} was changed by another")]
    Conflict {
        /// What was changed.
        what: &'static str,
    },
    /// Nobody would be left who may manage users and roles.
    #[error("this is the last administrator; make another one first")]
    LastAdministrator,
    /// The argument can never work as it is.
    #[error("invalid {what}: {cause}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A limit of numbers or lengths is reached.
    #[error("too many or too long: {what}, the limit is {limit}")]
    Full {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The master key would protect nothing.
    #[error("weak master key: {cause}")]
    WeakKey {
        /// What is weak about it.
        cause: &'static str,
    },
    /// The master key could not be fetched.
    #[error("the master key is not to be had: {cause}")]
    KeyUnavailable {
        /// What the provider said.
        cause: String,
    },
    /// Wrong key, moved ciphertext or changed bytes; there is no plaintext.
    #[error("{what} cannot be decrypted: wrong key, moved or changed")]
    Decrypt {
        /// What was to be decrypted.
        what: &'static str,
    },
    /// Stored bytes do not follow their format.
    #[error("damaged {what}: {cause}")]
    Corrupt {
        /// Which record.
        what: &'static str,
        /// Which rule it breaks.
        cause: &'static str,
    },
    /// A newer format.
    #[error("{what} has format version {found}, which is not supported")]
    UnsupportedVersion {
        /// Which record.
        what: &'static str,
        /// The version found.
        found: u8,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unauthenticated | Self::LastAdministrator => ErrorKind::Denied,
            Self::Throttled { .. } | Self::Busy => ErrorKind::Busy,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Exists { .. } | Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Invalid { .. } | Self::WeakKey { .. } => ErrorKind::Invalid,
            Self::Full { .. } => ErrorKind::Full,
            Self::KeyUnavailable { .. } | Self::Store(_) => ErrorKind::Unavailable,
            Self::Decrypt { .. } | Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::UnsupportedVersion { .. } => ErrorKind::Unsupported,
        }
    }

    pub(crate) const fn invalid(what: &'static str, cause: &'static str) -> Self {
        Self::Invalid { what, cause }
    }

    pub(crate) const fn corrupt(what: &'static str, cause: &'static str) -> Self {
        Self::Corrupt { what, cause }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict { what: "a record" },
            StoreError::Failed(source) => Self::Store(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_as_long_as_told_has_waited_long_enough() {
        for (millis, told) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (29_500, 30)] {
            let retry_after = Duration::from_millis(millis);
            let text = Error::Throttled { retry_after }.to_string();
            assert!(text.ends_with(&format!(" in {told} s")), "{millis}: {text}");
        }
    }
}
