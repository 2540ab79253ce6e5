//! Several changes that are written together. Neither truth nor derived until written.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Changes of a [`write`](super::LsmTree::write). The last change of a key counts.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    changes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let value = Some(Bytes::copy_from_slice(value));
        self.changes.insert(Bytes::copy_from_slice(key), value);
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: &[u8]) {
        self.changes.insert(Bytes::copy_from_slice(key), None);
    }

    /// How many keys it changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = (&Bytes, &Option<Bytes>)> {
        self.changes.iter()
    }
}
