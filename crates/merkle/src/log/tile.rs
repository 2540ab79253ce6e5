//! Names of tiles, as in C2SP `tlog-tiles`: 256 hashes in a row are one file, so that any file
//! server can publish a log.
//!
//! ```text
//! tile/0/000            leaves 0-255                 a full tile, 8,192 bytes
//! tile/0/x001/234       leaves of tile 1,234
//! tile/0/001.p/17       the first 17 leaves after 256  partial: the right edge of some tree
//! tile/1/000            256 roots, each of one full tile of level 0
//! tile/entries/000      the entries of tile/0/000
//! ```
//!
//! | bytes of a tile of hashes | what |
//! |---|---|
//! | 32 | the first hash |
//! | ... | as many as its width, 1 to 256; nothing after the last |

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::HASH_LEN;
use crate::log::tree::SIZE_MAX;

/// Hashes or entries of a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Tree levels that a tile stands for.
pub const TILE_HEIGHT: u8 = 8;
/// The highest level that can be named.
pub const LEVEL_MAX: u8 = 63;
/// The highest level that a tree of [`SIZE_MAX`] leaves has hashes at.
pub const LEVEL_USED_MAX: u8 = 7;
/// Characters of the longest name.
pub const PATH_LEN_MAX: usize = 64;
/// No tree has a tile with a greater index.
const INDEX_MAX: u64 = SIZE_MAX >> TILE_HEIGHT;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes; at level 0 leaves, above that the roots of full tiles one level below.
    Hashes {
        /// The level.
        level: u8,
    },
    /// The entries themselves.
    Entries,
}

/// The name of one tile.
///
/// ```
/// use cairn_merkle::log::TileId;
/// let tile = TileId::hashes(0, 1_234_067, 256)?;
/// assert_eq!(tile.to_string(), "tile/0/x001/x234/067");
/// assert_eq!("tile/0/x001/x234/067".parse::<TileId>()?, tile);
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl TileId {
    /// A tile of hashes; a width of 256 means it is full.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the level is over 63, the width is not 1 to 256, or the index is
    /// beyond every tree.
    pub fn hashes(level: u8, index: u64, width: u16) -> Result<Self> {
        check("level of a tile", level.into(), LEVEL_MAX.into())?;
        Self::new(TileKind::Hashes { level }, index, width)
    }

    /// A bundle of entries; a width of 256 means it is full.
    ///
    /// # Errors
    /// As [`hashes`](Self::hashes).
    pub fn entries(index: u64, width: u16) -> Result<Self> {
        Self::new(TileKind::Entries, index, width)
    }

    fn new(kind: TileKind, index: u64, width: u16) -> Result<Self> {
        check("index of a tile", index, INDEX_MAX)?;
        // A width of 0 wraps to the greatest: an empty tile has no name.
        check("width of a tile", width.wrapping_sub(1).into(), (TILE_WIDTH - 1).into())?;
        Ok(Self { kind, index, width })
    }

    /// What it holds.
    #[must_use]
    pub const fn kind(self) -> TileKind {
        self.kind
    }

    /// Its place in its level, from 0.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds, 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Whether it holds all 256.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile in the same place.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// The length it must have in bytes; nothing for entries, which have lengths of their own.
    #[must_use]
    pub const fn byte_len(self) -> Option<usize> {
        match self.kind {
            TileKind::Hashes { .. } => Some(self.width as usize * HASH_LEN),
            TileKind::Entries => None,
        }
    }

    /// Checks a length in bytes against the name.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a tile of hashes does not have the length that its name says, or
    /// entries are longer than the format lets them be.
    pub fn check_len(self, len: u64) -> Result<()> {
        let (expected, fits) = match self.byte_len() {
            Some(expected) => (expected as u64, len == expected as u64),
            None => {
                let limit = u64::from(self.width) * (2 + u64::from(u16::MAX));
                (limit, len <= limit)
            }
        };
        if fits {
            return Ok(());
        }
        Err(Error::Corrupt { what: self.to_string(), cause: "length", found: len, expected })
    }

    /// The directory of the partial tiles in the same place.
    pub(crate) fn partial_dir(self) -> String {
        format!("{}.p", self.full())
    }
}

fn check(what: &'static str, found: u64, limit: u64) -> Result<()> {
    if found <= limit { Ok(()) } else { Err(Error::OutOfRange { what, found, limit }) }
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let groups = self.index.max(1).ilog(1000);
        for group in (1..=groups).rev() {
            write!(f, "x{:03}/", self.index / 1000_u64.pow(group) % 1000)?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() {
            return Ok(());
        }
        f.write_str(".p/")?;
        write!(f, "{}", self.width)
    }
}

impl FromStr for TileId {
    type Err = Error;

    /// Takes the one form that each tile has.
    fn from_str(text: &str) -> Result<Self> {
        let malformed = |cause| Error::Malformed { what: "tile path", cause };
        if text.len() > PATH_LEN_MAX {
            return Err(malformed("too long"));
        }
        let rest = text.strip_prefix("tile/").ok_or(malformed("it begins with tile/"))?;
        let (level, rest) = rest.split_once('/').ok_or(malformed("level and index are missing"))?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => {
                (index, width.parse().map_err(|_| malformed("the width is no number"))?)
            }
            None => (rest, TILE_WIDTH),
        };
        let mut number = 0_u64;
        for group in index.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let digits: u64 = digits.parse().map_err(|_| malformed("the index is no number"))?;
            let wider = number.checked_mul(1000).and_then(|number| number.checked_add(digits));
            number = wider.ok_or(malformed("the index is too large"))?;
        }
        let tile = if level == "entries" {
            Self::entries(number, width)?
        } else {
            let level = level.parse().map_err(|_| malformed("the level is no number"))?;
            Self::hashes(level, number, width)?
        };
        // Signs, missing or further zeroes, a missing or further `x`: all have another form.
        let mut canonical = String::with_capacity(text.len());
        write!(canonical, "{tile}").expect("a String takes everything");
        if canonical == text { Ok(tile) } else { Err(malformed("it has another form")) }
    }
}
