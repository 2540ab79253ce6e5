//! Reading a sparse index: borrowed or owned. **Derived**: from a sorted file.

use super::{
    AT_BODY_CRC, AT_COUNT, AT_END, AT_HEADER_CRC, AT_PREFIX_LEN, AT_RESTS_LEN, AT_VERSION,
    ENTRY_LEN, HEADER_LEN, MAGIC, SALT, VERSION, WHAT, head,
};
use crate::bits::{u16_at, u32_at, u64_at};
use crate::error::{Error, Result};
use bytes::Bytes;
use cairn_codec::SaltedCrc;
use std::cmp::Ordering;

/// Where a key can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Position of the last entry that is not above the key.
    pub start: u64,
    /// Position of the entry behind it, or the end.
    pub end: u64,
}

/// A sparse index in borrowed bytes.
#[derive(Debug, Clone, Copy)]
pub struct SparseView<'a> {
    heads: &'a [[u8; 8]],
    positions: &'a [[u8; 8]],
    ends: &'a [[u8; 4]],
    prefix: &'a [u8],
    rests: &'a [u8],
    end: u64,
}

/// A sparse index that owns its bytes (shared, not copied).
#[derive(Debug, Clone)]
pub struct SparseIndex {
    bytes: Bytes,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    count: usize,
    prefix_len: usize,
    end: u64,
}

impl<'a> SparseView<'a> {
    /// Checks every byte and opens the index.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not exactly what a builder wrote, `UnsupportedVersion`.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        Shape::read(bytes).map(|shape| Self::of(bytes, shape))
    }

    fn of(bytes: &'a [u8], Shape { count, prefix_len, end }: Shape) -> Self {
        let mut rest = bytes.get(HEADER_LEN..).unwrap_or_default();
        let mut part = |len: usize| {
            let (part, after) = rest.split_at_checked(len).unwrap_or_default();
            rest = after;
            part
        };
        let heads = part(count * 8).as_chunks().0;
        let positions = part(count * 8).as_chunks().0;
        let ends = part(count * 4).as_chunks().0;
        let prefix = part(prefix_len);
        Self { heads, positions, ends, prefix, rests: rest, end }
    }

    /// The position from which on to look for a key: that of the last entry that is not above
    /// it. `None` when the key lies before all entries.
    #[must_use]
    pub fn seek(&self, key: &[u8]) -> Option<u64> {
        self.position(self.find(key)?)
    }

    /// As [`seek`](Self::seek), with the position at which to stop looking for exactly this key.
    #[must_use]
    pub fn seek_span(&self, key: &[u8]) -> Option<Span> {
        let index = self.find(key)?;
        let start = self.position(index)?;
        Some(Span { start, end: self.position(index + 1).unwrap_or(self.end) })
    }

    /// The number of the last entry that is not above the key.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        let Some(rest) = key.strip_prefix(self.prefix) else {
            // Above or below all keys alike.
            return if key < self.prefix { None } else { self.heads.len().checked_sub(1) };
        };
        let head = head(rest);
        let mut low = self.heads.partition_point(|other| u64::from_le_bytes(*other) < head);
        let equal = self.heads.get(low..).unwrap_or_default();
        let mut high = low + equal.partition_point(|other| u64::from_le_bytes(*other) == head);
        while low < high {
            let middle = low.midpoint(high);
            match self.rest(middle).cmp(rest) {
                Ordering::Greater => high = middle,
                Ordering::Equal | Ordering::Less => low = middle + 1,
            }
        }
        low.checked_sub(1)
    }

    /// The position of an entry.
    #[must_use]
    pub fn position(&self, index: usize) -> Option<u64> {
        self.positions.get(index).map(|position| u64::from_le_bytes(*position))
    }

    /// The key of an entry.
    #[must_use]
    pub fn key(&self, index: usize) -> Option<Vec<u8>> {
        self.heads.get(index).map(|_| [self.prefix, self.rest(index)].concat())
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The position behind the last entry's data.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    fn rest(&self, index: usize) -> &'a [u8] {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| u32::from_le_bytes(*end));
        let start = index.checked_sub(1).map_or(0, end) as usize;
        self.rests.get(start..end(index) as usize).unwrap_or_default()
    }
}

impl SparseIndex {
    /// Checks every byte and opens the index.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not exactly what a builder wrote, `UnsupportedVersion`.
    pub fn open(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let shape = Shape::read(&bytes)?;
        Ok(Self { bytes, shape })
    }

    /// The borrowed form, which has all other calls.
    #[must_use]
    #[inline]
    pub fn view(&self) -> SparseView<'_> {
        SparseView::of(&self.bytes, self.shape)
    }

    /// See [`SparseView::seek`].
    #[must_use]
    pub fn seek(&self, key: &[u8]) -> Option<u64> {
        self.view().seek(key)
    }

    /// See [`SparseView::seek_span`].
    #[must_use]
    pub fn seek_span(&self, key: &[u8]) -> Option<Span> {
        self.view().seek_span(key)
    }

    /// The bytes as they were opened.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Shape {
    fn read(bytes: &[u8]) -> Result<Self> {
        let short = || corrupt("length", bytes.len() as u64, HEADER_LEN as u64);
        let header = bytes.first_chunk::<HEADER_LEN>().ok_or_else(short)?;
        let magic = u32_at(header, 0).ok_or_else(short)?;
        if magic != MAGIC {
            return Err(corrupt("magic", magic, MAGIC));
        }
        let crc = SaltedCrc::new(SALT);
        let found = u32_at(header, AT_HEADER_CRC).ok_or_else(short)?;
        let expected = crc.checksum(&header[..AT_HEADER_CRC]);
        if found != expected {
            return Err(corrupt("header's CRC", found, expected));
        }
        let version = u16_at(header, AT_VERSION).ok_or_else(short)?;
        if version != VERSION {
            return Err(Error::UnsupportedVersion { what: WHAT, found: version });
        }
        let number = |at| u32_at(header, at).map(u64::from).ok_or_else(short);
        let prefix_len = u64::from(u16_at(header, AT_PREFIX_LEN).ok_or_else(short)?);
        let (count, rests) = (number(AT_COUNT)?, number(AT_RESTS_LEN)?);
        let len = HEADER_LEN as u64 + count * ENTRY_LEN as u64 + prefix_len + rests;
        if len != bytes.len() as u64 {
            return Err(corrupt("length", bytes.len() as u64, len));
        }
        let found = u32_at(header, AT_BODY_CRC).ok_or_else(short)?;
        let expected = crc.checksum(bytes.get(HEADER_LEN..).unwrap_or_default());
        if found != expected {
            return Err(corrupt("body's CRC", found, expected));
        }
        let end = u64_at(header, AT_END).ok_or_else(short)?;
        let narrow = |number: u64| usize::try_from(number).map_err(|_| short());
        let shape = Self { count: narrow(count)?, prefix_len: narrow(prefix_len)?, end };
        shape.check_order(SparseView::of(bytes, shape))?;
        Ok(shape)
    }

    /// A forged index could otherwise send a search outside its file or astray.
    fn check_order(self, view: SparseView<'_>) -> Result<()> {
        let (mut rest_end, mut position) = (0, 0);
        for (index, end) in view.ends.iter().enumerate() {
            let end = u32::from_le_bytes(*end) as usize;
            let next = view.position(index).unwrap_or_default();
            let rising = index == 0 || view.rest(index - 1) < view.rest(index);
            let head_fits = view.heads.get(index).map(|found| u64::from_le_bytes(*found))
                == Some(head(view.rest(index)));
            if end < rest_end || next < position || !rising || !head_fits {
                return Err(corrupt("entry out of order", index as u64, index as u64));
            }
            (rest_end, position) = (end, next);
        }
        if rest_end != view.rests.len() || position > self.end {
            return Err(corrupt("end", position, self.end));
        }
        Ok(())
    }
}

fn corrupt(cause: &'static str, found: impl Into<u64>, expected: impl Into<u64>) -> Error {
    Error::Corrupt { what: WHAT, cause, found: found.into(), expected: expected.into() }
}
