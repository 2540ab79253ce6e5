//! What can go wrong with a file, and what the caller can do about it.

use std::fmt;
use std::io;

use cairn_types::ErrorKind;

/// Result of a file operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Operations, for messages and for the schedules of the faulty disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Op {
    /// Open or create a file.
    Open,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Reserve space.
    Allocate,
    /// Change the length.
    SetLen,
    /// Ask for length or existence.
    Inspect,
    /// Sync a file.
    Sync,
    /// Sync a directory.
    SyncDir,
    /// List a directory.
    List,
    /// Create a directory.
    CreateDir,
    /// Rename.
    Rename,
    /// Remove.
    Remove,
    /// Hard link.
    Link,
    /// Lock.
    Lock,
    /// Map into memory.
    Map,
    /// Watch a directory.
    Watch,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// No such file.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Disk, quota or file size limit reached, or a short write.
    NoSpace,
    /// The device failed.
    Io,
    /// Fewer bytes than asked for.
    UnexpectedEof,
    /// The bytes are not those that were written, or were sealed with a key that is gone.
    Damaged,
    /// The path leaves the store's directory, or is a symbolic link.
    UnsafePath,
    /// Owner or mode of the directory would let others change it, or access is denied.
    Permissions,
    /// Another opener holds the store.
    Locked,
    /// Not possible on this file system.
    Unsupported,
    /// The simulated machine is down.
    Crashed,
}

/// A failed file operation.
#[derive(Debug)]
pub struct Error {
    /// What was tried.
    pub op: Op,
    /// On which path, relative to the root.
    pub path: String,
    /// What kind of failure.
    pub kind: FaultKind,
    /// What the system said.
    pub source: Option<io::Error>,
}

impl Error {
    /// A failure without a system error.
    pub fn new(op: Op, path: impl Into<String>, kind: FaultKind) -> Self {
        Self { op, path: path.into(), kind, source: None }
    }

    /// A failure that the system reported.
    pub fn from_io(op: Op, path: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => FaultKind::NotFound,
            io::ErrorKind::AlreadyExists => FaultKind::AlreadyExists,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::WriteZero => FaultKind::NoSpace,
            io::ErrorKind::UnexpectedEof => FaultKind::UnexpectedEof,
            io::ErrorKind::InvalidData => FaultKind::Damaged,
            io::ErrorKind::PermissionDenied => FaultKind::Permissions,
            io::ErrorKind::Unsupported => FaultKind::Unsupported,
            _ => FaultKind::Io,
        };
        Self { op, path: path.into(), kind, source: Some(source) }
    }

    /// Whether the file was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == FaultKind::NotFound
    }

    /// Whether the bytes are not those that were written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self.kind, FaultKind::Damaged | FaultKind::UnexpectedEof)
    }

    /// Whether space ran out.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        self.kind == FaultKind::NoSpace
    }

    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.kind {
            FaultKind::NotFound => ErrorKind::NotFound,
            FaultKind::AlreadyExists => ErrorKind::Conflict,
            FaultKind::NoSpace => ErrorKind::Full,
            FaultKind::Io | FaultKind::Crashed => ErrorKind::Unavailable,
            FaultKind::UnexpectedEof | FaultKind::Damaged => ErrorKind::Corrupt,
            FaultKind::UnsafePath => ErrorKind::Invalid,
            FaultKind::Permissions => ErrorKind::Denied,
            FaultKind::Locked => ErrorKind::Busy,
            FaultKind::Unsupported => ErrorKind::Unsupported,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the store's directory" } else { &self.path };
        let advice = match self.kind {
            FaultKind::NotFound => "it does not exist",
            FaultKind::AlreadyExists => "it exists already",
            FaultKind::NoSpace => "no space is left; free some and try again",
            FaultKind::Io => "the device failed",
            FaultKind::UnexpectedEof => "the file is shorter than it should be",
            FaultKind::Damaged => "its bytes are not those that were written",
            FaultKind::UnsafePath => {
                "the path is not safe: it leaves the store or is a symbolic link"
            }
            FaultKind::Permissions => {
                "access is denied, or the directory belongs to or can be written by others"
            }
            FaultKind::Locked => "another process or handle has the store open",
            FaultKind::Unsupported => "the file system cannot do that",
            FaultKind::Crashed => "the simulated machine is down",
        };
        write!(f, "{:?} of {path}: {advice}", self.op)?;
        if let Some(source) = &self.source {
            write!(f, " ({source})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
