//! The alphabet of commands and answers: numbers, bytes, options, lists. Writer and reader
//! twins; every value has one encoding, and nothing is allocated that the bytes do not hold.

use bytes::Bytes;
use cairn_codec::varint;
use cairn_types::limits;

/// Elements for which room is made before they are read.
const PREPARED_COUNT: u64 = 64;

/// Elements of all lists of a command together: what one batch of the log can hold.
pub(super) const ELEMENTS_MAX: u64 = limits::MAX_BATCH_RECORDS as u64;

/// Writes values one after another.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    elements: u64,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Elements of all lists written.
    pub(crate) const fn element_count(&self) -> u64 {
        self.elements
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(value.into())
    }

    /// Bytes whose count both sides know.
    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn number(&mut self, value: u64) -> &mut Self {
        varint::put(&mut self.bytes, value);
        self
    }

    pub(crate) fn signed(&mut self, value: i64) -> &mut Self {
        self.number(varint::zigzag(value))
    }

    pub(crate) fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).fixed(bytes)
    }

    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        self.part(name.as_bytes())
    }

    pub(crate) fn option<T>(
        &mut self,
        value: Option<T>,
        put: impl FnOnce(&mut Self, T),
    ) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
        self
    }

    pub(crate) fn list<T>(
        &mut self,
        values: &[T],
        mut put: impl FnMut(&mut Self, &T),
    ) -> &mut Self {
        self.number(values.len() as u64);
        self.elements += values.len() as u64;
        for value in values {
            put(self, value);
        }
        self
    }
}

/// Reads values one after another; `None` for what a [`Writer`] does not write.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    all: &'a Bytes,
    rest: &'a [u8],
    /// Elements that lists may still have.
    elements: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(all: &'a Bytes) -> Self {
        Self { all, rest: all, elements: ELEMENTS_MAX }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        varint::take(&mut self.rest)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        self.number().map(varint::unzigzag)
    }

    pub(crate) fn part(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (part, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(part)
    }

    /// As [`part`](Self::part), sharing the memory.
    pub(crate) fn bytes(&mut self) -> Option<Bytes> {
        let part = self.part()?;
        Some(self.all.slice_ref(part))
    }

    pub(crate) fn option<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.bool()? { take(self).map(Some) } else { Some(None) }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.number()?;
        // Each element has at least a byte.
        if count > self.rest.len() as u64 {
            return None;
        }
        self.elements = self.elements.checked_sub(count)?;
        let mut values = Vec::with_capacity(usize::try_from(count.min(PREPARED_COUNT)).ok()?);
        for _ in 0..count {
            values.push(take(self)?);
        }
        Some(values)
    }
}
