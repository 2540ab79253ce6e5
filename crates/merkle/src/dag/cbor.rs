//! The part of DAG-CBOR that nodes and archives use: unsigned integers, byte strings, texts,
//! arrays, maps with text keys, and ids (tag 42). **Truth**: it decides what blocks mean.
//!
//! Strict: every head in its shortest form, no indefinite lengths, no floats, nulls, booleans,
//! negative numbers or other tags, and map keys in order: shorter first, then by bytes. So a
//! value has one encoding, and its hash is its name. The two kinds of maps here have fixed keys,
//! which the reader asks for by name.

use super::cid::{CID_LEN, Cid};
use super::error::{Error, Result};

/// An id is a byte string: one zero byte, then the id.
const CID_STRING_LEN: u64 = 1 + CID_LEN as u64;
const TAG_CID: u64 = 42;

/// Upper three bits of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Major {
    Unsigned = 0,
    Bytes = 2,
    Text = 3,
    Array = 4,
    Map = 5,
    Tag = 6,
}

/// Writes values.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    fn head(&mut self, major: Major, value: u64) {
        let major = (major as u8) << 5;
        let bytes = value.to_be_bytes();
        match value {
            0..=23 => self.0.push(major | bytes[7]),
            24..=0xff => self.0.extend_from_slice(&[major | 24, bytes[7]]),
            0x100..=0xffff => {
                self.0.push(major | 25);
                self.0.extend_from_slice(&bytes[6..]);
            }
            0x1_0000..=0xffff_ffff => {
                self.0.push(major | 26);
                self.0.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend_from_slice(&bytes);
            }
        }
    }

    pub(super) fn unsigned(&mut self, value: u64) {
        self.head(Major::Unsigned, value);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.head(Major::Bytes, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.head(Major::Text, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn array(&mut self, len: usize) {
        self.head(Major::Array, len as u64);
    }

    pub(super) fn map(&mut self, len: usize) {
        self.head(Major::Map, len as u64);
    }

    pub(super) fn cid(&mut self, cid: &Cid) {
        self.head(Major::Tag, TAG_CID);
        self.head(Major::Bytes, CID_STRING_LEN);
        self.0.push(0);
        self.0.extend_from_slice(&cid.encode());
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads values off the front of bytes that nobody vouches for.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front; `what` names the structure in errors.
    pub(super) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    pub(super) const fn error(&self, cause: &'static str) -> Error {
        Error::Invalid { what: self.what, cause }
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (taken, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| self.error("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn head(&mut self, major: Major) -> Result<u64> {
        let first = self.take(1)?.first().copied().unwrap_or_default();
        if first >> 5 != major as u8 {
            return Err(self.error("a value of another kind"));
        }
        let (len, least) = match first & 31 {
            small @ 0..=23 => return Ok(u64::from(small)),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(self.error("an indefinite or reserved length")),
        };
        let value = self.take(len)?.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        if value < least { Err(self.error("a number in a longer form")) } else { Ok(value) }
    }

    pub(super) fn unsigned(&mut self) -> Result<u64> {
        self.head(Major::Unsigned)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.head(Major::Bytes)?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<&'a str> {
        let len = self.head(Major::Text)?;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a text that is not UTF-8"))
    }

    /// The next key of a map, which must be this one.
    pub(super) fn key(&mut self, name: &str) -> Result<()> {
        if self.text()? == name { Ok(()) } else { Err(self.error("another key or order of keys")) }
    }

    /// The start of a map, which must have so many keys.
    pub(super) fn map(&mut self, len: u64) -> Result<()> {
        if self.head(Major::Map)? == len { Ok(()) } else { Err(self.error("other keys")) }
    }

    /// The start of an array: its length, checked against `limit` and against what is left, with
    /// at least `item_len_min` bytes an item.
    pub(super) fn array(&mut self, limit: usize, item_len_min: usize) -> Result<usize> {
        let found = self.head(Major::Array)?;
        let len = usize::try_from(found).unwrap_or(usize::MAX);
        if len > limit {
            return Err(Error::TooLarge { what: self.what, found, limit: limit as u64 });
        }
        if len.saturating_mul(item_len_min) > self.rest.len() {
            return Err(self.error("cut short"));
        }
        Ok(len)
    }

    pub(super) fn cid(&mut self) -> Result<Cid> {
        if self.head(Major::Tag)? != TAG_CID {
            return Err(self.error("a tag that is not of an id"));
        }
        match self.bytes()?.split_first() {
            Some((0, cid)) => Cid::decode(cid),
            _ => Err(self.error("an id without its zero byte")),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("bytes after the end")) }
    }
}
