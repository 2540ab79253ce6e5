//! Why bytes were refused.

use cairn_types::ErrorKind;

/// Result of a codec operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes were refused, or could not be produced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Other magic bytes.
    #[error("these bytes do not begin a batch")]
    BadMagic,
    /// Fewer bytes than a structure needs.
    #[error("{what}: {found} bytes, at least {expected} are needed")]
    CutShort {
        /// Which structure.
        what: &'static str,
        /// Bytes found.
        found: u64,
        /// Bytes needed.
        expected: u64,
    },
    /// A length or number that cannot be.
    #[error("{what}: {found} is outside 0..={limit}")]
    InvalidLength {
        /// Which length or number.
        what: &'static str,
        /// The one found.
        found: u64,
        /// The largest possible.
        limit: u64,
    },
    /// A newer format.
    #[error("batch format version {found} is not supported")]
    UnsupportedVersion {
        /// Version found.
        found: u8,
    },
    /// A codec that is not registered.
    #[error("codec {0} is not registered; register it before opening the log")]
    UnknownCodec(u8),
    /// A flag this program does not know.
    #[error("unknown flags {0:#x}")]
    UnknownFlag(u16),
    /// A record kind this program does not know.
    #[error("unknown record kind {0}")]
    UnknownKind(u8),
    /// The header's checksum does not match.
    #[error("header CRC32 is {found:08x}, computed {expected:08x}")]
    HeaderCrc {
        /// Computed over the bytes.
        expected: u32,
        /// Stored.
        found: u32,
    },
    /// The body's checksum does not match.
    #[error("body CRC32 is {found:08x}, computed {expected:08x}")]
    BodyCrc {
        /// Computed over the bytes.
        expected: u32,
        /// Stored.
        found: u32,
    },
    /// Data that would decompress to more than it declares or than is allowed.
    #[error("decompressed data exceeds {limit} bytes")]
    DecompressedTooLarge {
        /// The cap.
        limit: u64,
    },
    /// Two lengths that must agree differ.
    #[error("{what}: {found} bytes where {expected} were declared")]
    LengthMismatch {
        /// Which length.
        what: &'static str,
        /// Declared.
        expected: u64,
        /// Found.
        found: u64,
    },
    /// Valid content in a form that the writer would not have chosen.
    #[error("{0} is not in canonical form")]
    NonCanonical(&'static str),
    /// A codec failed.
    #[error("codec {codec}: {cause}")]
    Codec {
        /// Its name.
        codec: String,
        /// What it said.
        cause: String,
    },
    /// Something of the caller's over its limit.
    #[error("{what}: {found} is over the limit of {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A value could not be encoded or decoded.
    #[error("value codec {codec}: {cause}")]
    Value {
        /// Its name.
        codec: &'static str,
        /// What it said.
        cause: String,
    },
    /// A codec cannot be registered under this number.
    #[error("codec number {0} is taken or not free for users; choose one from 64 to 254")]
    CodecNumber(u8),
    /// A secret that is no key.
    #[error("a key is 32 bytes that are not all zero, not these {found}")]
    InvalidKey {
        /// Bytes given.
        found: u64,
    },
    /// Data keys are wrapped by an outer key that was not given.
    #[error("the outer key {id} is not among those given")]
    KeyMissing {
        /// Which one.
        id: crate::seal::OuterKeyId,
    },
    /// The bytes were not sealed with this key for this place.
    #[error("the block does not decrypt with this key at this place")]
    Decrypt,
}

impl Error {
    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnsupportedVersion { .. }
            | Self::UnknownCodec(_)
            | Self::UnknownFlag(_)
            | Self::UnknownKind(_) => ErrorKind::Unsupported,
            Self::TooLarge { .. }
            | Self::Value { .. }
            | Self::CodecNumber(_)
            | Self::InvalidKey { .. } => ErrorKind::Invalid,
            Self::Decrypt | Self::KeyMissing { .. } => ErrorKind::Denied,
            _ => ErrorKind::Corrupt,
        }
    }
}
