//! A version of a key in a standalone store. Derived.

use bytes::Bytes;

use crate::entry::{EntryRef, Version};

/// A value or a deletion, at its place in the log. Its sequence is the LSN behind it, so that 0
/// is before everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) lsn: u64,
    pub(crate) value: Option<Bytes>,
}

impl Version for Value {
    fn sequence(&self) -> u64 {
        self.lsn + 1
    }

    fn is_tombstone(&self) -> bool {
        self.value.is_none()
    }

    fn reference(&self) -> u64 {
        self.lsn
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.value.as_deref().unwrap_or_default());
    }

    fn decode(entry: &EntryRef<'_>, share: bool) -> Option<Self> {
        let value = (!entry.tombstone).then(|| match share {
            true => entry.share(0),
            false => Bytes::copy_from_slice(entry.value),
        });
        Some(Self { lsn: entry.reference, value })
    }

    fn heap_len(&self) -> usize {
        self.value.as_ref().map_or(0, Bytes::len)
    }
}
