//! Kinds of errors, named by what the caller does next.

/// What the caller of a failed operation can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing asked for is not there (not yet, or no longer).
    NotFound,
    /// Somebody else was first: read again and decide again.
    Conflict,
    /// The request can never work as it is: change it.
    Invalid,
    /// Try again a little later.
    Busy,
    /// The service is not to be had: closed, a device failed, or a peer is down.
    Unavailable,
    /// An earlier failure made writing unsafe: close and open again.
    Poisoned,
    /// Stored bytes are damaged: verify, restore or repair.
    Corrupt,
    /// The format or feature is newer than this program.
    Unsupported,
    /// Not permitted.
    Denied,
    /// A limit of space is reached: free some.
    Full,
}
