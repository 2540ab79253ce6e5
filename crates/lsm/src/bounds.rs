//! Ranges of keys as bounds. Neither truth nor derived.

use std::ops::Bound;

/// Where a range begins and ends.
pub type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Whether a key lies in a range.
pub(crate) fn contains(bounds: &Bounds<'_>, key: &[u8]) -> bool {
    let after_start = match bounds.0 {
        Bound::Included(start) => start <= key,
        Bound::Excluded(start) => start < key,
        Bound::Unbounded => true,
    };
    after_start && !is_past(&bounds.1, key)
}

/// Whether a key lies behind the end of a range.
pub(crate) fn is_past(end: &Bound<&[u8]>, key: &[u8]) -> bool {
    match end {
        Bound::Included(end) => key > *end,
        Bound::Excluded(end) => key >= *end,
        Bound::Unbounded => false,
    }
}

/// Whether no key can lie in a range.
pub(crate) fn is_empty_range(bounds: &Bounds<'_>) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        _ => false,
    }
}

/// Whether a range may have keys from `start` on that are before `end`.
pub(crate) fn meets(bounds: &Bounds<'_>, start: &[u8], end: &[u8]) -> bool {
    let begins_after = match bounds.0 {
        Bound::Included(first) | Bound::Excluded(first) => first >= end,
        Bound::Unbounded => false,
    };
    !begins_after && !is_past(&bounds.1, start)
}

/// The first key of a range, or the one behind it, as a cursor seeks it.
pub(crate) fn first_key(bounds: &Bounds<'_>) -> Vec<u8> {
    match bounds.0 {
        Bound::Included(start) => start.to_vec(),
        Bound::Excluded(start) => successor(start),
        Bound::Unbounded => Vec::new(),
    }
}

/// The least key behind this one.
pub(crate) fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}
