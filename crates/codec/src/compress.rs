//! Compression codecs and their registry. Decompression is capped: the declared length is
//! checked against a limit before anything is allocated, and the result must have exactly it.

mod lz4;
mod none;
#[cfg(feature = "zstd")]
mod zstd_pool;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
#[cfg(feature = "zstd")]
use std::sync::Mutex;

use cairn_types::limits;

pub use lz4::Lz4;
pub use none::Raw;
#[cfg(feature = "zstd")]
pub use zstd_pool::Zstd;

use crate::{Error, Result};

/// Number of a codec on disk: 0 none, 1 LZ4, 2 Zstandard, 64 to 254 free for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodecId(u8);

impl CodecId {
    /// Stored as it is.
    pub const NONE: Self = Self(0);
    /// LZ4 block format.
    pub const LZ4: Self = Self(1);
    /// Zstandard (RFC 8878).
    pub const ZSTD: Self = Self(2);
    /// The first number that users may give to a codec of their own.
    pub const USER_MIN: Self = Self(64);
    /// The last number that users may give to a codec of their own.
    pub const USER_MAX: Self = Self(254);

    /// Wraps a number.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Compresses and decompresses payload sections.
pub trait Codec: Send + Sync + fmt::Debug {
    /// Its number on disk.
    fn id(&self) -> CodecId;

    /// Its name, for messages.
    fn name(&self) -> &str;

    /// Appends the compressed form of `raw` to `out`.
    ///
    /// # Errors
    /// [`Error::Codec`] when compression fails.
    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// Appends exactly `raw_len` decompressed bytes to `out`. Implementations allocate no more
    /// than that, whatever `stored` claims.
    ///
    /// # Errors
    /// When the bytes are damaged or do not decompress to `raw_len` bytes.
    fn decompress(&self, stored: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()>;
}

/// Which codec a log or topic writes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Store payloads as they are; reads need no copy.
    #[default]
    None,
    /// LZ4: fast.
    Lz4,
    /// Zstandard with a level from 1 (fast) to 19 (small); needs the feature `zstd`.
    Zstd {
        /// Level; others are brought into the range.
        level: i32,
    },
    /// A codec that was [registered](CodecRegistry::register) under this number, 64 to 254.
    Custom(u8),
}

impl Compression {
    /// The codec's number.
    #[must_use]
    pub const fn id(self) -> CodecId {
        match self {
            Self::None => CodecId::NONE,
            Self::Lz4 => CodecId::LZ4,
            Self::Zstd { .. } => CodecId::ZSTD,
            Self::Custom(number) => CodecId(number),
        }
    }
}

/// All codecs that a log can read, by number.
///
/// ```
/// use cairn_codec::{CodecId, CodecRegistry};
/// let registry = CodecRegistry::standard();
/// assert!(registry.get(CodecId::LZ4).is_ok());
/// assert!(registry.get(CodecId::new(200)).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct CodecRegistry {
    codecs: BTreeMap<CodecId, Arc<dyn Codec>>,
    /// What batches are sealed and opened with.
    pub(crate) sealing: Option<Arc<crate::seal::Sealing>>,
    /// Writers by level, each with its pool of contexts; clones of the registry share them.
    #[cfg(feature = "zstd")]
    zstd_writers: Arc<Mutex<BTreeMap<i32, Arc<dyn Codec>>>>,
}

impl Default for CodecRegistry {
    fn default() -> Self {
        Self::standard()
    }
}

impl CodecRegistry {
    /// None, LZ4 and (with the feature `zstd`) Zstandard.
    #[must_use]
    pub fn standard() -> Self {
        let mut codecs: BTreeMap<CodecId, Arc<dyn Codec>> = BTreeMap::new();
        codecs.insert(CodecId::NONE, Arc::new(Raw));
        codecs.insert(CodecId::LZ4, Arc::new(Lz4));
        #[cfg(feature = "zstd")]
        codecs.insert(CodecId::ZSTD, Arc::new(Zstd::new(1)));
        Self {
            codecs,
            sealing: None,
            #[cfg(feature = "zstd")]
            zstd_writers: Arc::default(),
        }
    }

    /// Adds a codec of the user's. What was written with it is read only where it is registered.
    ///
    /// # Errors
    /// [`Error::CodecNumber`] when its number is taken or not free for users.
    pub fn register(&mut self, codec: Arc<dyn Codec>) -> Result<()> {
        let id = codec.id();
        if !(CodecId::USER_MIN..=CodecId::USER_MAX).contains(&id) || self.codecs.contains_key(&id) {
            return Err(Error::CodecNumber(id.get()));
        }
        self.codecs.insert(id, codec);
        Ok(())
    }

    /// The codec of this number.
    ///
    /// # Errors
    /// [`Error::UnknownCodec`] when none is registered.
    pub fn get(&self, id: CodecId) -> Result<&dyn Codec> {
        self.codecs.get(&id).map(|codec| &**codec).ok_or(Error::UnknownCodec(id.get()))
    }

    /// A codec to write with. Levels of Zstandard are brought into 1 to 19; writers of one level
    /// share their memory.
    ///
    /// # Errors
    /// [`Error::UnknownCodec`] when none is registered; for Zstandard without the feature `zstd`.
    pub fn writer(&self, compression: Compression) -> Result<Arc<dyn Codec>> {
        match compression {
            #[cfg(feature = "zstd")]
            Compression::Zstd { level } => {
                let mut writers =
                    self.zstd_writers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let writer =
                    writers.entry(level.clamp(1, 19)).or_insert_with(|| Arc::new(Zstd::new(level)));
                Ok(writer.clone())
            }
            other => {
                let id = other.id();
                self.codecs.get(&id).cloned().ok_or(Error::UnknownCodec(id.get()))
            }
        }
    }
}

/// The cap that every codec applies before it allocates.
pub(crate) fn check_raw_len(raw_len: usize) -> Result<()> {
    if raw_len > limits::MAX_BATCH_RAW_LEN {
        return Err(Error::DecompressedTooLarge { limit: limits::MAX_BATCH_RAW_LEN as u64 });
    }
    Ok(())
}

pub(crate) fn check_result(name: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected != found {
        let (expected, found) = (expected as u64, found as u64);
        return Err(Error::LengthMismatch { what: name, expected, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Vec<Arc<dyn Codec>> {
        let registry = CodecRegistry::standard();
        registry.codecs.values().cloned().collect()
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        for codec in all() {
            let mut out = Vec::new();
            let refused = codec.decompress(&[0; 16], limits::MAX_BATCH_RAW_LEN + 1, &mut out);
            assert!(matches!(refused, Err(Error::DecompressedTooLarge { .. })), "{codec:?}");
            let mut stored = Vec::new();
            codec.compress(&vec![0; 1 << 20], &mut stored).expect("zeroes compress");
            assert!(codec.decompress(&stored, 1000, &mut out).is_err(), "{codec:?}");
            assert!(out.capacity() < 1 << 19, "{codec:?} allocated {}", out.capacity());
        }
    }

    proptest! {
        #[test]
        fn data_survives_every_codec(raw in proptest::collection::vec(0_u8..4, 0..4000)) {
            for codec in all() {
                let (mut stored, mut out) = (Vec::new(), vec![9]);
                codec.compress(&raw, &mut stored).expect("compresses");
                codec.decompress(&stored, raw.len(), &mut out).expect("decompresses");
                prop_assert_eq!(&out[1..], raw.as_slice());
            }
        }

        #[test]
        fn no_bytes_make_a_codec_panic(
            stored in proptest::collection::vec(any::<u8>(), 0..300),
            raw_len in 0_usize..5000,
        ) {
            for codec in all() {
                let mut out = Vec::new();
                if codec.decompress(&stored, raw_len, &mut out).is_ok() {
                    prop_assert_eq!(out.len(), raw_len);
                }
            }
        }
    }
}
