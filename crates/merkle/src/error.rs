//! Why a tree, a proof or a note was refused. Neither truth nor derived: only words.

use cairn_types::ErrorKind;

use crate::hash::Hash;

/// Result of an operation on trees, proofs and notes.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a tree, a proof or a note was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Stored bytes are not what was written. Tiles and tree states are derived: build them again.
    #[error("damaged {what}: {cause} (found {found}, expected {expected})")]
    Corrupt {
        /// Which structure, or the path of a tile.
        what: String,
        /// Which field or rule.
        cause: &'static str,
        /// The value found.
        found: u64,
        /// The value that would be right, or the limit that is exceeded.
        expected: u64,
    },
    /// A tile that a tree of this size has is not in the store. Tiles are derived: build them again.
    #[error("the tile {path} is missing")]
    MissingTile {
        /// Its path.
        path: String,
    },
    /// A tile, or the right edge of all, is of the right length but not of the trusted tree. Tiles
    /// are derived: build them again.
    #[error("damaged tiles: {what} leads to {computed}, not to {trusted}")]
    DamagedTiles {
        /// Path of the tile, or which part.
        what: String,
        /// The hash computed.
        computed: Hash,
        /// The hash it should be.
        trusted: Hash,
    },
    /// A number that no tree of this size has room for, or over a limit.
    #[error("{what}: {found} is over the limit of {limit}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The largest possible value.
        limit: u64,
    },
    /// Text or bytes from outside do not have their exact form.
    #[error("malformed {what}: {cause}")]
    Malformed {
        /// What was read: note, checkpoint, key, proof file, ...
        what: &'static str,
        /// Which rule is broken.
        cause: &'static str,
    },
    /// A proof does not have the one length that its sizes ask for.
    #[error("the proof has {found} hashes, these sizes need {expected}")]
    ProofLength {
        /// Hashes found.
        found: u64,
        /// Hashes needed.
        expected: u64,
    },
    /// A proof leads to another root than the one that is trusted.
    #[error("{what}: this leads to the root {computed}, not to {trusted}")]
    RootMismatch {
        /// Which proof, and which of its roots.
        what: &'static str,
        /// The root computed.
        computed: Hash,
        /// The root it should be.
        trusted: Hash,
    },
    /// The signature of a known key is wrong: somebody changed the text or forged the line.
    #[error("the signature of {name} (key {id}) is wrong")]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Its id in hexadecimal digits.
        id: String,
    },
    /// Fewer of the keys that are asked for have signed than are asked for.
    #[error("{found} of the known {who} signed, {needed} must")]
    NotSigned {
        /// Which keys: of the log, or of its witnesses.
        who: &'static str,
        /// How many signed.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// The checkpoint is of another log.
    #[error("the checkpoint is of {found:?}, not of {expected:?}")]
    UnknownOrigin {
        /// Origin found.
        found: String,
        /// Origin asked for.
        expected: String,
    },
    /// A file of the tile directory could not be read or written.
    #[error(transparent)]
    Vfs(#[from] cairn_vfs::Error),
}

impl Error {
    /// What the caller can do next. `Corrupt` and `NotFound` mean: build the tiles again from the
    /// log. `Denied` means: do not believe this, whoever brings it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } | Self::DamagedTiles { .. } => ErrorKind::Corrupt,
            Self::MissingTile { .. } => ErrorKind::NotFound,
            Self::OutOfRange { .. } | Self::Malformed { .. } => ErrorKind::Invalid,
            Self::ProofLength { .. }
            | Self::RootMismatch { .. }
            | Self::BadSignature { .. }
            | Self::NotSigned { .. }
            | Self::UnknownOrigin { .. } => ErrorKind::Denied,
            Self::Vfs(error) => error.kind(),
        }
    }
}
