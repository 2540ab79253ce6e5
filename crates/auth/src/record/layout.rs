//! Writing and reading fields, with every length checked. Neither truth nor derived.

use cairn_types::Timestamp;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

/// Appends fields. Lengths were checked when the values were made.
#[derive(Default)]
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    pub fn version(&mut self, version: u8) {
        assert!(self.0.is_empty(), "the version comes first");
        self.u8(version);
    }

    pub fn reserved(&mut self, count: usize) {
        (0..count).for_each(|_| self.u8(0));
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn time(&mut self, at: Timestamp) {
        self.bytes(&at.as_micros().to_le_bytes());
    }

    /// A time that may be absent, which is written as the earliest one.
    pub fn maybe_time(&mut self, at: Option<Timestamp>) {
        self.time(at.unwrap_or(Timestamp::MIN));
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        let len = self.0.len() + bytes.len();
        if len > self.0.capacity() {
            // A vector that grows by itself leaves its old bytes in freed memory.
            let mut bigger = Vec::with_capacity(len.max(2 * self.0.capacity()).max(512));
            bigger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = Zeroizing::new(bigger);
        }
        self.0.extend_from_slice(bytes);
    }

    /// A length of one byte and the bytes.
    pub fn short(&mut self, bytes: &[u8]) {
        self.u8(u8::try_from(bytes.len()).expect("the caller's cap is below 256"));
        self.bytes(bytes);
    }

    /// A length of two bytes and the bytes.
    pub fn long(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).expect("the caller's cap is below 65,536"));
        self.bytes(bytes);
    }
}

/// Takes fields off the front.
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub const fn new(rest: &'a [u8], what: &'static str) -> Self {
        Self { rest, what }
    }

    /// An error about this record.
    pub const fn corrupt(&self, cause: &'static str) -> Error {
        Error::corrupt(self.what, cause)
    }

    pub fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt("bytes follow its end")) }
    }

    pub fn version(&mut self, supported: u8) -> Result<()> {
        let found = self.u8()?;
        if found == supported {
            return Ok(());
        }
        Err(Error::UnsupportedVersion { what: self.what, found })
    }

    pub fn reserved(&mut self, count: usize) -> Result<()> {
        if self.bytes(count)?.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        Err(self.corrupt("a reserved byte is not 0"))
    }

    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.corrupt("it is cut short"));
        };
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.corrupt("it is cut short"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn time(&mut self) -> Result<Timestamp> {
        self.array().map(|bytes| Timestamp::from_micros(i64::from_le_bytes(bytes)))
    }

    pub fn maybe_time(&mut self) -> Result<Option<Timestamp>> {
        self.time().map(|at| (at != Timestamp::MIN).then_some(at))
    }

    /// A number of things, at most `max`.
    pub fn count(&mut self, max: usize) -> Result<usize> {
        let count = usize::from(self.u16()?);
        if count <= max { Ok(count) } else { Err(self.corrupt("a number is over its limit")) }
    }

    /// Bytes after a length of one byte.
    pub fn short(&mut self, max: usize) -> Result<&'a [u8]> {
        let len = usize::from(self.u8()?);
        self.capped(len, max)
    }

    /// Bytes after a length of two bytes.
    pub fn long(&mut self, max: usize) -> Result<&'a [u8]> {
        let len = usize::from(self.u16()?);
        self.capped(len, max)
    }

    fn capped(&mut self, len: usize, max: usize) -> Result<&'a [u8]> {
        if len > max {
            return Err(self.corrupt("a length is over its limit"));
        }
        self.bytes(len)
    }

    /// Text after a length of one byte.
    pub fn short_text(&mut self, max: usize) -> Result<&'a str> {
        let bytes = self.short(max)?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("a text is no UTF-8"))
    }
}
