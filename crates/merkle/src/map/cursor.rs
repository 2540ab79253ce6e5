//! Reads fixed-width fields off the front of bytes that nobody vouches for. Neither truth nor
//! derived.

use super::error::{Error, Result};
use crate::hashing::Hash;

/// What is left of some bytes.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the front; `what` names the structure in errors.
    pub(super) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    pub(super) fn error(&self, cause: &'static str) -> Error {
        Error::Corrupt { what: self.what, cause }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.error("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| self.error("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// A list of hashes; what is allocated is never more than what is there.
    pub(super) fn hashes(&mut self, count: usize) -> Result<Vec<Hash>> {
        let len = count.checked_mul(32).ok_or_else(|| self.error("too many hashes"))?;
        let bytes = self.bytes(len)?;
        Ok(bytes.as_chunks::<32>().0.to_vec())
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// # Errors
    /// `Corrupt` when something is left.
    pub(super) fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("bytes after the end")) }
    }
}
