//! The contents of `tile/entries/...`: the entries that the leaves of a tile were made of.
//!
//! | bytes | what |
//! |---|---|
//! | 2 | length of the first entry, **big-endian** (C2SP `tlog-tiles`) |
//! | that many | the entry |
//! | ... | up to 256 entries, nothing after the last |

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::log::tile::TILE_WIDTH;

/// Bytes of the longest entry.
pub const ENTRY_LEN_MAX: usize = u16::MAX as usize;

/// Writes one bundle, entry by entry.
///
/// ```
/// use cairn_merkle::log::entries::{self, BundleBuilder};
/// let mut bundle = BundleBuilder::new();
/// bundle.push(b"one")?;
/// assert_eq!(bundle.as_bytes(), b"\x00\x03one");
/// assert_eq!(entries::parse(&bundle.as_bytes().to_vec().into(), 1)?, [&b"one"[..]]);
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct BundleBuilder {
    bytes: Vec<u8>,
    count: u16,
}

impl BundleBuilder {
    /// Begins without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the entry is longer than 65,535 bytes or the bundle is full.
    pub fn push(&mut self, entry: &[u8]) -> Result<()> {
        if self.count >= TILE_WIDTH {
            let (found, limit) = (u64::from(self.count) + 1, TILE_WIDTH.into());
            return Err(Error::OutOfRange { what: "entries of a bundle", found, limit });
        }
        let len = u16::try_from(entry.len()).map_err(|_| Error::OutOfRange {
            what: "length of an entry",
            found: entry.len() as u64,
            limit: ENTRY_LEN_MAX as u64,
        })?;
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(entry);
        self.count += 1;
        Ok(())
    }

    /// How many entries it has, which is the width of its tile.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Its bytes so far: those of the partial bundle of this width.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The entries of a bundle of this width, without copying.
///
/// # Errors
/// [`Error::Corrupt`] unless it holds exactly so many.
pub fn parse(bundle: &Bytes, width: u16) -> Result<Vec<Bytes>> {
    let corrupt = |cause, found: usize, expected: usize| Error::Corrupt {
        what: "bundle of entries".into(),
        cause,
        found: found as u64,
        expected: expected as u64,
    };
    let mut entries = Vec::with_capacity(usize::from(width.min(TILE_WIDTH)));
    let mut at = 0;
    for _ in 0..width {
        let rest = bundle.get(at..).unwrap_or_default();
        let Some((len, rest)) = rest.split_first_chunk() else {
            return Err(corrupt("number of entries", entries.len(), width.into()));
        };
        let len = usize::from(u16::from_be_bytes(*len));
        if len > rest.len() {
            return Err(corrupt("length of an entry", len, rest.len()));
        }
        entries.push(bundle.slice(at + 2..at + 2 + len));
        at += 2 + len;
    }
    if at != bundle.len() {
        return Err(corrupt("bytes after the last entry", bundle.len() - at, 0));
    }
    Ok(entries)
}
