//! What can go wrong in a log, by what the caller should do next.

use cairn_types::{ErrorKind, Lsn, SegmentId, StreamId};

/// Result of a log operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where and how stored bytes differ from what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Corruption {
    /// File, relative to the store's directory.
    pub file: String,
    /// Byte position in that file.
    pub position: u64,
    /// The log position that is affected, where it is known.
    pub lsn: Option<Lsn>,
    /// The cause in words: what was expected, what was found.
    pub cause: String,
}

impl Corruption {
    /// A finding at `position` of `file`.
    #[must_use]
    pub fn new(file: impl Into<String>, position: u64, cause: impl Into<String>) -> Self {
        Self { file: file.into(), position, lsn: None, cause: cause.into() }
    }

    /// The same finding, tied to a log position.
    #[must_use]
    pub fn at_lsn(mut self, lsn: Lsn) -> Self {
        self.lsn = Some(lsn);
        self
    }
}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.file, self.position)?;
        if let Some(lsn) = self.lsn {
            write!(f, " (LSN {lsn})")?;
        }
        write!(f, ": {}", self.cause)
    }
}

/// Errors of [`Log`](crate::Log) and its parts.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Stored bytes are not what was written. Nothing was changed or cut away.
    #[error(
        "damaged: {0}; `cairn verify` shows the extent; restore the file from a copy, or see `cairn repair`"
    )]
    Corrupt(Corruption),
    /// The store is encrypted and the key is missing, or it is another one. Nothing was changed.
    #[error("{file} is encrypted: {cause}")]
    Sealed {
        /// A file that cannot be opened.
        file: String,
        /// What is wrong with the key.
        cause: String,
    },
    /// A segment between two others is absent.
    #[error(
        "segment {segment} is missing: the log needs it between its neighbours; restore the file from a copy"
    )]
    MissingSegment {
        /// The absent segment.
        segment: SegmentId,
    },
    /// Two files claim the same segment, or a file carries another segment's header.
    #[error(
        "{file} says it is segment {found}, its name says {expected}; remove or restore the copy"
    )]
    DuplicateSegment {
        /// File, relative to the store's directory.
        file: String,
        /// Segment number by file name.
        expected: SegmentId,
        /// Segment number in the header.
        found: SegmentId,
    },
    /// A segment of another store lies in this directory.
    #[error("{file} belongs to another store; move it out of this directory")]
    ForeignSegment {
        /// File, relative to the store's directory.
        file: String,
    },
    /// A segment does not continue the one before it.
    #[error("segment {segment} does not continue the log: {cause}")]
    ChainMismatch {
        /// The segment whose header disagrees.
        segment: SegmentId,
        /// What differs.
        cause: String,
    },
    /// The format is newer than this program or not Cairn's.
    #[error(
        "{file}: format version {found} is not supported (this program reads {supported}); the file was not touched"
    )]
    UnsupportedVersion {
        /// File, relative to the store's directory.
        file: String,
        /// Version found.
        found: u8,
        /// Version this program reads and writes.
        supported: u8,
    },
    /// An earlier write or sync failed, so the log takes no more writes.
    #[error(
        "the log refuses writes since an earlier failure ({cause}); close it and open it again"
    )]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// The disk is full, or the log reached a limit of its settings. Nothing of this write was
    /// acknowledged and earlier data is intact.
    #[error("no space left while {doing}: {limit}")]
    NoSpace {
        /// What was being done.
        doing: &'static str,
        /// What is full, and what to do.
        limit: crate::SpaceLimit,
    },
    /// The caller expected another next sequence on a stream.
    #[error(
        "stream {stream} is at sequence {actual}, the caller expected {expected}; read what was added and decide again"
    )]
    SequenceConflict {
        /// The stream.
        stream: StreamId,
        /// What the caller expected.
        expected: u64,
        /// The stream's next sequence.
        actual: u64,
    },
    /// A batch, key or payload is larger than a limit.
    #[error("{what}: {found} is over the limit of {limit}; split it")]
    TooLarge {
        /// Which limit.
        what: &'static str,
        /// Size found.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A position that the log does not hold (not yet, or no longer).
    #[error("LSN {lsn} is outside the readable log [{start}, {end})")]
    OutOfRange {
        /// The position asked for.
        lsn: Lsn,
        /// First readable position.
        start: Lsn,
        /// End of the readable log, exclusive.
        end: Lsn,
    },
    /// A sequence that a stream does not hold (not yet, or no longer).
    #[error("stream {stream} holds no sequence {sequence}")]
    NoSuchSequence {
        /// The stream.
        stream: StreamId,
        /// The sequence asked for.
        sequence: u64,
    },
    /// There is no store in the directory.
    #[error("no Cairn store here; create one by opening it for writing")]
    NoStore,
    /// The configuration or an argument cannot work.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// The argument.
        what: &'static str,
        /// Why it cannot work.
        reason: String,
    },
    /// The log was opened for reading only.
    #[error("this log was opened for reading only")]
    ReadOnly,
    /// The log was closed.
    #[error("this log was closed")]
    Closed,
    /// A snapshot could not be written or was refused.
    #[error(transparent)]
    Snapshot(#[from] crate::SnapshotError),
    /// A batch could not be built or decoded for the caller.
    #[error(transparent)]
    Codec(#[from] cairn_codec::Error),
    /// The file system failed.
    #[error(transparent)]
    Vfs(std::sync::Arc<cairn_vfs::Error>),
}

impl From<cairn_vfs::Error> for Error {
    fn from(error: cairn_vfs::Error) -> Self {
        Self::Vfs(std::sync::Arc::new(error))
    }
}

impl Error {
    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt(_)
            | Self::MissingSegment { .. }
            | Self::DuplicateSegment { .. }
            | Self::ForeignSegment { .. }
            | Self::ChainMismatch { .. } => ErrorKind::Corrupt,
            Self::UnsupportedVersion { .. } => ErrorKind::Unsupported,
            Self::Poisoned { .. } => ErrorKind::Poisoned,
            Self::NoSpace { .. } => ErrorKind::Full,
            Self::SequenceConflict { .. } => ErrorKind::Conflict,
            Self::TooLarge { .. } | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::OutOfRange { .. } | Self::NoSuchSequence { .. } | Self::NoStore => {
                ErrorKind::NotFound
            }
            Self::ReadOnly | Self::Sealed { .. } => ErrorKind::Denied,
            Self::Closed => ErrorKind::Unavailable,
            Self::Snapshot(error) => error.kind(),
            Self::Codec(error) => error.kind(),
            Self::Vfs(error) => error.kind(),
        }
    }

    /// Whether this program is too old, or lacks a codec: that is no damage, and nothing may be cut
    /// or given up for it.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.kind() == ErrorKind::Unsupported
    }

    /// Why a batch at `position` of `file` cannot be read.
    pub(crate) fn of_batch(
        file: impl Into<String>,
        position: u64,
        error: cairn_codec::Error,
    ) -> Self {
        if error.kind() == ErrorKind::Unsupported {
            return Self::Codec(error);
        }
        Self::corrupt(file, position, error.to_string())
    }

    pub(crate) fn corrupt(
        file: impl Into<String>,
        position: u64,
        cause: impl Into<String>,
    ) -> Self {
        Self::Corrupt(Corruption::new(file, position, cause))
    }
}
