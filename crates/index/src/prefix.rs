//! An ordered index of keys in memory that also counts: get, insert, remove, ranges and
//! prefixes in both directions, and `count` and `nth` without touching what is between.
//! **Derived**: rebuilt from the log or from the tables.
//!
//! ```text
//!             inner: separators ─ child, count of keys below ─ ...
//!            ╱                   ╲
//! leaf: common prefix │ 2-byte heads │ ends │ rests │ values      (up to 128 keys)
//! ```
//!
//! A B-tree whose nodes store what their keys have in common once, and the first two bytes of
//! the rest apart, so that a search runs over one dense array. Why this and not a radix tree:
//! `docs/decisions/0011-prefix-index.md`.
//!
//! | call | cost, with n keys |
//! |---|---|
//! | `get`, `insert`, `remove` | O(log n) |
//! | `count`, `nth`, making a range | O(log n), whatever the range holds |
//! | a step of a range | O(1) |
//!
//! One writer at a time, by `&mut`: a caller with threads shards or locks it.

mod block;
mod node;
mod range;

use crate::error::{Error, Result};
use cairn_types::limits::MAX_INDEX_KEY_LEN;
use node::Node;
use std::ops::{Bound, RangeBounds};

pub use range::Range;

/// An ordered, counted map from keys (at most [`MAX_INDEX_KEY_LEN`] bytes) to values.
///
/// ```
/// use cairn_index::PrefixIndex;
/// let mut index = PrefixIndex::new();
/// for (place, key) in ["a/1", "a/2", "a/3", "b/1"].iter().enumerate() {
///     index.insert(key.as_bytes(), place)?;
/// }
/// assert_eq!(index.get(b"a/2"), Some(&1));
/// let mut page = index.prefix(b"a/");
/// assert_eq!(page.len(), 3, "counted, not visited");
/// page.skip(1);
/// assert_eq!(page.step(), Some((&b"a/2"[..], &1)));
/// assert_eq!(page.step_back(), Some((&b"a/3"[..], &2)));
/// assert_eq!(page.step(), None);
/// assert_eq!(index.nth(&b"a/"[..].., 3), Some((b"b/1".to_vec(), &3)));
/// # Ok::<(), cairn_index::Error>(())
/// ```
#[derive(Debug)]
pub struct PrefixIndex<V> {
    root: Node<V>,
    len: usize,
}

impl<V> Default for PrefixIndex<V> {
    fn default() -> Self {
        Self { root: Node::default(), len: 0 }
    }
}

impl<V> PrefixIndex<V> {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys there are. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.root.get(key)
    }

    /// The value of a key, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        self.root.get_mut(key)
    }

    /// Sets the value of a key; gives the one it had.
    ///
    /// # Errors
    /// `OutOfRange` for a key over [`MAX_INDEX_KEY_LEN`].
    pub fn insert(&mut self, key: &[u8], value: V) -> Result<Option<V>> {
        if key.len() > MAX_INDEX_KEY_LEN {
            let (found, limit) = (key.len() as u64, MAX_INDEX_KEY_LEN as u64);
            return Err(Error::OutOfRange { what: "length of a key", found, limit });
        }
        let old = self.root.insert_at_root(key, value);
        self.len += usize::from(old.is_none());
        Ok(old)
    }

    /// Takes a key out; gives its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        let old = self.root.remove_at_root(key)?;
        self.len -= 1;
        Some(old)
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The keys of a range in order, both ways; empty when its start lies behind its end.
    #[must_use]
    pub fn range<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> Range<'_, V> {
        let start = self.rank(range.start_bound(), 0);
        let end = self.rank(flipped(range.end_bound()), self.len);
        Range::new(&self.root, start, end)
    }

    /// The keys that begin with `prefix`, in order, both ways.
    #[must_use]
    pub fn prefix(&self, prefix: &[u8]) -> Range<'_, V> {
        let end = prefix_end(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range((Bound::Included(prefix), end))
    }

    /// How many keys lie in a range.
    #[must_use]
    pub fn count<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> usize {
        self.range(range).len()
    }

    /// The key number `n` of a range, from 0, and its value; `None` past its end.
    #[must_use]
    pub fn nth<'k>(&self, range: impl RangeBounds<&'k [u8]>, n: usize) -> Option<(Vec<u8>, &V)> {
        let mut range = self.range(range);
        range.skip(n);
        range.step().map(|(key, value)| (key.to_vec(), value))
    }

    /// Bytes allocated for keys and nodes, and for values without what they point to. O(n).
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.root.memory()
    }

    /// Checks what must always hold; for tests and `doctor`. O(n).
    ///
    /// # Panics
    /// When it does not: a bug in this module.
    pub fn check_invariants(&self) {
        assert_eq!(self.root.check(None, None), self.len, "the count is the sum over the leaves");
    }

    /// How many keys lie before a bound.
    fn rank(&self, bound: Bound<&&[u8]>, open: usize) -> usize {
        match bound {
            Bound::Included(key) => self.root.rank(key, false),
            Bound::Excluded(key) => self.root.rank(key, true),
            Bound::Unbounded => open,
        }
    }
}

/// An end that is included is passed like a start that is excluded, and the other way round.
fn flipped<T>(end: Bound<T>) -> Bound<T> {
    match end {
        Bound::Included(key) => Bound::Excluded(key),
        Bound::Excluded(key) => Bound::Included(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The first key behind all that begin with `prefix`; `None` when there is none.
///
/// ```
/// use cairn_index::prefix_end;
/// assert_eq!(prefix_end(b"a/").as_deref(), Some(&b"a0"[..]));
/// assert_eq!(prefix_end(b"a\xff").as_deref(), Some(&b"b"[..]));
/// assert_eq!(prefix_end(b"\xff"), None);
/// ```
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix.get(..=keep)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}
