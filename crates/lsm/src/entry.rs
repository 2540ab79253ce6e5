//! What the store holds: versions of keys. Derived: from the records of the log.
//!
//! A version has a **sequence** (a revision, an LSN: it only grows) by which readers choose,
//! a **reference** (the place in the log that it came from), and a **weight**: how many keys more
//! exist because of it than before, -1, 0 or 1. The weights of all versions of a range sum up to
//! the number of keys in it, however many versions merges have left: that is how the store
//! counts without looking at each key.

use bytes::Bytes;

/// A version as a layer above knows it.
pub trait Version: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// Orders the versions of a key; strictly grows from one to the next.
    fn sequence(&self) -> u64;

    /// Whether it ends the key.
    fn is_tombstone(&self) -> bool;

    /// The place in the log that it came from.
    fn reference(&self) -> u64;

    /// Appends everything else.
    fn encode(&self, out: &mut Vec<u8>);

    /// Takes what [`encode`](Self::encode) wrote; `None` when it is not that. With `share` the
    /// version may share the entry's bytes (see [`EntryRef::share`]): it is read and let go of.
    /// Without, it stays in memory, and copies them.
    fn decode(entry: &EntryRef<'_>, share: bool) -> Option<Self>;

    /// Bytes that it holds outside itself, for the memory budget.
    fn heap_len(&self) -> usize;
}

/// A version as a walk meets it.
#[derive(Debug)]
pub enum Stored<'a, V> {
    /// Memory had it.
    Memory(V),
    /// A table has it.
    Table(&'a EntryRef<'a>),
}

impl<V: Version> Stored<'_, V> {
    /// Whether it ends its key.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::Memory(version) => version.is_tombstone(),
            Self::Table(entry) => entry.tombstone,
        }
    }

    /// The version, sharing its bytes with the table; `None` when it cannot be decoded.
    #[must_use]
    pub fn decode(self) -> Option<V> {
        match self {
            Self::Memory(version) => Some(version),
            Self::Table(entry) => V::decode(entry, true),
        }
    }
}

/// Knows which versions must give up their content.
pub trait Redact: Send + Sync + std::fmt::Debug {
    /// What [`EntryRef::value`] is to be from now on; `None` when it stays as it is. Asking again
    /// about what it gave must give `None`.
    fn redact(&self, entry: &EntryRef<'_>) -> Option<Vec<u8>>;
}

/// A version in a block of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The version's sequence.
    pub sequence: u64,
    /// Whether it ends the key.
    pub tombstone: bool,
    /// Keys more that exist because of it.
    pub weight: i8,
    /// Its place in the log.
    pub reference: u64,
    /// What the layer above encoded.
    pub value: &'a [u8],
    /// Bytes that the value is a part of, and where in them it begins.
    pub(crate) owner: Option<(&'a Bytes, usize)>,
}

/// An [`EntryRef`] that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key.
    pub key: Bytes,
    /// The version's sequence.
    pub sequence: u64,
    /// Whether it ends the key.
    pub tombstone: bool,
    /// Keys more that exist because of it.
    pub weight: i8,
    /// Its place in the log.
    pub reference: u64,
    /// What the layer above encoded.
    pub value: Bytes,
}

impl Entry {
    /// Borrows it.
    pub(crate) fn as_ref(&self) -> EntryRef<'_> {
        EntryRef {
            key: &self.key,
            sequence: self.sequence,
            tombstone: self.tombstone,
            weight: self.weight,
            reference: self.reference,
            value: &self.value,
            owner: None,
        }
    }
}

impl EntryRef<'_> {
    /// A part of the value, from `start` on: shared with the block where that is possible, else
    /// copied. Whoever keeps it keeps the whole block, or the mapped table.
    #[must_use]
    pub fn share(&self, start: usize) -> Bytes {
        let value = self.value.get(start..).unwrap_or_default();
        match self.owner {
            Some((bytes, at)) => {
                bytes.slice(at + start.min(self.value.len())..at + self.value.len())
            }
            None => Bytes::copy_from_slice(value),
        }
    }

    /// Copies it.
    pub(crate) fn to_entry(self) -> Entry {
        Entry {
            key: Bytes::copy_from_slice(self.key),
            sequence: self.sequence,
            tombstone: self.tombstone,
            weight: self.weight,
            reference: self.reference,
            value: Bytes::copy_from_slice(self.value),
        }
    }

    /// Keys rise, and the versions of one key fall.
    pub(crate) fn is_before(&self, key: &[u8], sequence: u64) -> bool {
        match self.key.cmp(key) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => self.sequence > sequence,
            std::cmp::Ordering::Greater => false,
        }
    }
}
