//! Why a snapshot was refused.

use std::sync::Arc;

use cairn_types::ErrorKind;

use crate::Corruption;

/// What can go wrong with a snapshot. A chunk is named by its number in the stream.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The stream does not begin like a snapshot.
    #[error("this is no snapshot: its first bytes are not those of a chunk")]
    NotASnapshot,
    /// A snapshot of a newer format.
    #[error("snapshot format version {found} is not supported (this program reads {supported})")]
    UnsupportedVersion {
        /// Version found.
        found: u8,
        /// Version this program reads and writes.
        supported: u8,
    },
    /// The stream ends too early; the import can go on.
    #[error("the snapshot ends within chunk {chunk}; go on with a stream from chunk {chunk} or 0")]
    Truncated {
        /// The chunk that is not whole.
        chunk: u64,
    },
    /// Bytes that are not what was exported.
    #[error("chunk {chunk} of the snapshot is damaged: {cause}; get it again")]
    Damaged {
        /// The chunk.
        chunk: u64,
        /// What is wrong.
        cause: String,
    },
    /// A chunk that does not come next.
    #[error("chunk {found} of the snapshot came where chunk {expected} belongs")]
    OutOfOrder {
        /// The chunk that comes next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// A chunk of another snapshot.
    #[error("chunk {chunk} belongs to snapshot {found}, not to {expected}")]
    Foreign {
        /// The chunk.
        chunk: u64,
        /// The snapshot that is imported, in hexadecimal.
        expected: String,
        /// The snapshot that the chunk names.
        found: String,
    },
    /// The snapshot has fewer chunks.
    #[error("the snapshot has {count} chunks, there is no chunk {chunk}")]
    NoSuchChunk {
        /// The chunk asked for.
        chunk: u64,
        /// How many there are.
        count: u64,
    },
    /// The directory holds something already.
    #[error("{path} exists: a snapshot is imported into an empty directory")]
    NotEmpty {
        /// What is there.
        path: String,
    },
    /// The directory holds an import that is not finished.
    #[error(
        "an import into this directory is not finished; go on with it, or remove the directory"
    )]
    Unfinished,
    /// The import was to be finished before all chunks came.
    #[error("the import is at chunk {next} of {count}; go on with it")]
    Incomplete {
        /// The chunk that comes next.
        next: u64,
        /// How many there are; 0 when the manifest has not come.
        count: u64,
    },
    /// All chunks came as they were sent, but they are no whole log. It was not made openable.
    #[error("the snapshot was damaged before it was sent: {0}")]
    Rejected(Corruption),
    /// The stream itself failed.
    #[error("reading or writing the snapshot's stream: {0}")]
    Stream(#[source] Arc<std::io::Error>),
}

impl SnapshotError {
    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnsupportedVersion { .. } => ErrorKind::Unsupported,
            Self::Damaged { .. } | Self::Rejected(_) | Self::Truncated { .. } => ErrorKind::Corrupt,
            Self::NotASnapshot
            | Self::OutOfOrder { .. }
            | Self::Foreign { .. }
            | Self::NotEmpty { .. } => ErrorKind::Invalid,
            Self::NoSuchChunk { .. } => ErrorKind::NotFound,
            Self::Unfinished | Self::Incomplete { .. } | Self::Stream(_) => ErrorKind::Unavailable,
        }
    }

    pub(super) fn damaged(chunk: u64, cause: impl Into<String>) -> Self {
        Self::Damaged { chunk, cause: cause.into() }
    }
}

impl From<std::io::Error> for SnapshotError {
    fn from(error: std::io::Error) -> Self {
        Self::Stream(Arc::new(error))
    }
}

/// A snapshot's id for people.
pub(super) fn shown(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
