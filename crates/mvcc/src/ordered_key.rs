//! Keys that compare by their first eight bytes, which lie beside them in the index: most
//! comparisons then follow no pointer. Derived.

use std::borrow::Borrow;
use std::cmp::Ordering;

use bytes::Bytes;

/// A key in the index.
#[derive(Debug, Clone)]
pub(crate) struct OrderedKey {
    head: u64,
    bytes: Bytes,
}

/// A key that is only looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe<'a> {
    head: u64,
    bytes: &'a [u8],
}

/// What both have: enough to compare them.
pub(crate) trait Heads {
    fn head(&self) -> u64;
    fn bytes(&self) -> &[u8];
}

/// The first eight bytes as a number that orders like them; a shorter key is filled with
/// zeroes, which ties with longer ones and is settled by the bytes.
fn head_of(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            let mut head = [0; 8];
            head[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(head)
        }
    }
}

impl OrderedKey {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { head: head_of(&bytes), bytes }
    }

    pub(crate) fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl<'a> Probe<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { head: head_of(bytes), bytes }
    }
}

impl Heads for OrderedKey {
    fn head(&self) -> u64 {
        self.head
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Heads for Probe<'_> {
    fn head(&self) -> u64 {
        self.head
    }

    fn bytes(&self) -> &[u8] {
        self.bytes
    }
}

fn compare(a: &(impl Heads + ?Sized), b: &(impl Heads + ?Sized)) -> Ordering {
    a.head().cmp(&b.head()).then_with(|| a.bytes().cmp(b.bytes()))
}

impl Ord for dyn Heads + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for dyn Heads + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Heads + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for dyn Heads + '_ {}

impl Ord for OrderedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for OrderedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for OrderedKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for OrderedKey {}

impl<'a> Borrow<dyn Heads + 'a> for OrderedKey {
    fn borrow(&self) -> &(dyn Heads + 'a) {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_order_like_their_bytes(
            a in proptest::collection::vec(0_u8..3, 0..12),
            b in proptest::collection::vec(0_u8..3, 0..12),
        ) {
            let (left, right) = (OrderedKey::new(a.clone().into()), OrderedKey::new(b.clone().into()));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            let (left, right) = (Probe::new(&a), Probe::new(&b));
            let (left, right): (&dyn Heads, &dyn Heads) = (&left, &right);
            prop_assert_eq!(left.cmp(right), a.cmp(&b));
        }
    }
}
