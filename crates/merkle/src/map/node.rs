//! Inner nodes of the trie and the links between them. **Derived** from the entries below.

use crate::hash::short;
use crate::hashing::Hash;

/// Separates inner nodes from every other use of SHA-256.
const DOMAIN: [u8; 8] = *b"CRNmpn1\0";
/// What stands for an empty side in an inner node, and for the root of an empty map.
pub(super) const EMPTY: Hash = [0; 32];
/// Most keys of a map. The inner nodes of evenly spread paths, one and a half for each, then
/// have room too.
pub(super) const KEYS_MAX: u64 = 1 << 30;

/// A node with something on at least one side and at least two entries below. 40 bytes.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) sides: [Link; 2],
    pub(super) hash: Hash,
}

/// Leads to what stands below: nothing, an entry alone, or an inner node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link(u32);

/// A link taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Empty,
    Entry(usize),
    Inner(usize),
}

const ENTRY_BIT: u32 = 1 << 31;

impl Link {
    pub(super) const EMPTY: Self = Self(u32::MAX);

    pub(super) fn to_entry(index: usize) -> Self {
        Self::number(index).map(|number| Self(number | ENTRY_BIT)).expect("at most 2^30 keys")
    }

    pub(super) fn to_inner(index: usize) -> Self {
        Self::number(index).map(Self).expect("2^31 inner nodes are more than memory holds")
    }

    fn number(index: usize) -> Option<u32> {
        u32::try_from(index).ok().filter(|number| *number < ENTRY_BIT - 1)
    }

    pub(super) fn target(self) -> Target {
        match self.0 {
            u32::MAX => Target::Empty,
            number if number & ENTRY_BIT != 0 => Target::Entry((number & !ENTRY_BIT) as usize),
            number => Target::Inner(number as usize),
        }
    }
}

/// Hash of an inner node.
pub(super) fn inner(left: &Hash, right: &Hash) -> Hash {
    short::sha256([&DOMAIN, left, right])
}
