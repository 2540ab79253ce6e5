//! Why something is not proven or not signed. Neither truth nor derived: only words.

use cairn_merkle::Hash;
use cairn_types::{ErrorKind, Lsn};

/// Result of an operation on proofs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something is not proven or not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log ends before a head that was signed: it was rolled back, or lost what was durable.
    #[error(
        "a head of {signed} records was signed, the log holds {found}: nothing is signed any more; restore the log, or start a new one"
    )]
    BelowSigned {
        /// Size of the newest signed head.
        signed: u64,
        /// Durable records of the log.
        found: u64,
    },
    /// The log holds another past than the one that was signed.
    #[error(
        "the first {size} records lead to the root {found}, but {signed} was signed: the log was rewritten, nothing is signed any more"
    )]
    SignedDiffers {
        /// Size of the newest signed head.
        size: u64,
        /// Its root.
        signed: Hash,
        /// The root that the log leads to.
        found: Hash,
    },
    /// There is a key but no memory of what it signed.
    #[error(
        "keys/signed is missing beside keys/checkpoint.key: what was signed before is not known, so nothing is signed; restore the file"
    )]
    SignedMissing,
    /// A file beside the log is not what was written.
    #[error("damaged {file}: {cause}; restore it from a copy")]
    Damaged {
        /// Its path.
        file: &'static str,
        /// What is wrong.
        cause: &'static str,
    },
    /// Records that are needed were dropped by retention.
    #[error("records before {start} were dropped and the tree over them is not there any more")]
    Pruned {
        /// First record that is left.
        start: Lsn,
    },
    /// Only the leaf of the record is left.
    #[error("the record at LSN {lsn} was dropped by the cleaner; only its leaf is left")]
    Dropped {
        /// Its place.
        lsn: Lsn,
    },
    /// The log holds no such record in a durable form.
    #[error("there is no durable record at LSN {lsn}; the log ends at {end}")]
    NoRecord {
        /// The place asked for.
        lsn: Lsn,
        /// Where the durable log ends.
        end: Lsn,
    },
    /// The key was not there at that revision.
    #[error("the key was not there at revision {revision}")]
    NoKey {
        /// The revision asked for.
        revision: u64,
    },
    /// A size that the tree does not have, or not in this order.
    #[error("no consistency proof from size {old} to size {new}: the tree has {size} records")]
    NoSuchSizes {
        /// The old size.
        old: u64,
        /// The new size.
        new: u64,
        /// Records in the tree.
        size: u64,
    },
    /// The map over all keys that the log states is not the one that its records lead to.
    #[error("the map root at LSN {lsn} is not what the records before it lead to")]
    MapRootDiffers {
        /// Place of the record.
        lsn: Lsn,
    },
    /// The name was set before.
    #[error("this log signs as {origin}; a name is chosen once")]
    OriginFixed {
        /// The name.
        origin: String,
    },
    /// The engine was opened for reading only.
    #[error("the store is open for reading only: nothing is signed")]
    ReadOnly,
    /// A file from outside does not have its exact form.
    #[error("malformed {what}: {cause}")]
    Malformed {
        /// Which file.
        what: &'static str,
        /// Which rule is broken.
        cause: &'static str,
    },
    /// A proof does not show what it should.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] crate::Error),
    /// A tree, a note or a proof was refused.
    #[error(transparent)]
    Merkle(#[from] cairn_merkle::Error),
    /// The key map refused something.
    #[error(transparent)]
    Map(#[from] cairn_merkle::map::Error),
    /// A file beside the log could not be read or written.
    #[error(transparent)]
    Files(#[from] cairn_vfs::Error),
}

impl Error {
    /// What the caller can do next. `Denied` means: do not believe it, or do not sign.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BelowSigned { .. }
            | Self::SignedDiffers { .. }
            | Self::SignedMissing
            | Self::ReadOnly
            | Self::Refused(_) => ErrorKind::Denied,
            Self::Damaged { .. } | Self::MapRootDiffers { .. } => ErrorKind::Corrupt,
            Self::Pruned { .. }
            | Self::Dropped { .. }
            | Self::NoRecord { .. }
            | Self::NoKey { .. } => ErrorKind::NotFound,
            Self::NoSuchSizes { .. } | Self::OriginFixed { .. } | Self::Malformed { .. } => {
                ErrorKind::Invalid
            }
            Self::Engine(error) => error.kind(),
            Self::Merkle(error) => error.kind(),
            Self::Map(error) => error.kind(),
            Self::Files(error) => error.kind(),
        }
    }

    /// Whether building the tiles again from the log can help.
    pub(super) fn is_damaged_tile(&self) -> bool {
        use cairn_merkle::Error as E;
        match self {
            Self::Merkle(E::Corrupt { .. } | E::MissingTile { .. } | E::DamagedTiles { .. }) => {
                true
            }
            Self::Merkle(E::Vfs(error)) => error.is_damaged(),
            _ => false,
        }
    }
}

impl From<cairn_segment::Error> for Error {
    fn from(error: cairn_segment::Error) -> Self {
        Self::Engine(error.into())
    }
}
