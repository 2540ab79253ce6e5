//! A key of a slot. Derived.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

/// Keys up to this many bytes lie in the slot itself.
const SHORT_LEN: usize = 30;

/// Bytes of a key, where most keys are: without an allocation, and where the slot is looked at
/// anyway.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    Short { len: u8, bytes: [u8; SHORT_LEN] },
    Long(Arc<[u8]>),
}

const _: () = assert!(size_of::<Key>() == 32);

impl Key {
    #[inline]
    pub(crate) fn new(key: &[u8]) -> Self {
        match u8::try_from(key.len()) {
            Ok(len) if key.len() <= SHORT_LEN => {
                let mut bytes = [0; SHORT_LEN];
                bytes[..key.len()].copy_from_slice(key);
                Self::Short { len, bytes }
            }
            _ => Self::Long(key.into()),
        }
    }

    /// Bytes that it takes outside of itself.
    pub(crate) fn heap_len(&self) -> usize {
        match self {
            Self::Short { .. } => 0,
            Self::Long(key) => key.len(),
        }
    }
}

/// Seed of the hashes of keys, so that chosen keys cannot collide. Each opening has its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    #[inline]
    pub(crate) fn hash(self, key: &[u8]) -> u64 {
        cairn_index::key_hash_seeded(self.0, key)
    }
}

impl Deref for Key {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(key) => key,
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_compare_like_their_bytes(
            a in proptest::collection::vec(any::<u8>(), 0..40),
            b in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let (left, right) = (Key::new(&a), Key::new(&b));
            prop_assert_eq!(&*left, &a[..]);
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!(left == right, a == b);
        }
    }
}
