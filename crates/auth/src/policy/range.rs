//! Ranges of keys, and whether several cover one. Pure.

use bytes::Bytes;
use cairn_types::limits::MAX_KEY_LEN;

use crate::error::{Error, Result};

/// Keys from a start up to but without an end, in byte order; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Bytes,
    // `None`: no end.
    end: Option<Bytes>,
}

impl KeyRange {
    /// From `start` up to but without `end`, or without an end.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is nothing between them or a bound is longer than a key
    /// followed by a zero byte can be.
    pub fn new(start: impl Into<Bytes>, end: Option<Bytes>) -> Result<Self> {
        let start = start.into();
        if start.len() > MAX_KEY_LEN + 1
            || end.as_ref().is_some_and(|end| end.len() > MAX_KEY_LEN + 1)
        {
            return Err(Error::invalid("key range", "a bound is too long"));
        }
        if end.as_ref().is_some_and(|end| *end <= start) {
            return Err(Error::invalid("key range", "its end is not after its start"));
        }
        Ok(Self { start, end })
    }

    /// Every key.
    #[must_use]
    pub const fn all() -> Self {
        Self { start: Bytes::new(), end: None }
    }

    /// One key.
    ///
    /// # Panics
    /// When the key is longer than [`MAX_KEY_LEN`]; there is no such key.
    #[must_use]
    pub fn key(key: &[u8]) -> Self {
        assert!(key.len() <= MAX_KEY_LEN, "there are no keys of this length");
        let start = Bytes::copy_from_slice(key);
        Self { start, end: Some([key, &[0]].concat().into()) }
    }

    /// Every key that begins with a prefix.
    ///
    /// # Panics
    /// When the prefix is longer than [`MAX_KEY_LEN`].
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        assert!(prefix.len() <= MAX_KEY_LEN, "there are no keys of this length");
        // The first key after them: the prefix without the 0xff at its end, one higher.
        let last = prefix.iter().rposition(|byte| *byte != 0xff);
        let end = last.map(|last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bytes::from(end)
        });
        Self { start: Bytes::copy_from_slice(prefix), end }
    }

    /// The first key that may be in it.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first key after it; `None` without an end.
    #[must_use]
    pub fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// Whether a key is in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && self.end.as_ref().is_none_or(|end| *key < **end)
    }

    /// Whether the other lies in it as a whole.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && reaches(self.end(), other.end())
    }

    /// Whether there may be a key in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let before = |range: &Self, key: &Bytes| range.end.as_ref().is_some_and(|end| end <= key);
        !before(self, &other.start) && !before(other, &self.start)
    }

    /// Whether these together leave no gap in it. Sorts them.
    pub(super) fn is_covered_by(&self, ranges: &mut [&Self]) -> bool {
        ranges.sort_by(|a, b| a.start.cmp(&b.start));
        let mut covered_to = &*self.start;
        for range in ranges {
            if *range.start > *covered_to {
                return false;
            }
            match range.end() {
                None => return true,
                Some(end) => covered_to = covered_to.max(end),
            }
            if reaches(Some(covered_to), self.end()) {
                return true;
            }
        }
        false
    }
}

/// Whether an end is as far as another; no end is the farthest.
fn reaches(end: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    match (end, other) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(end), Some(other)) => end >= other,
    }
}
