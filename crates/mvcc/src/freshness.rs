//! Is what somebody remembers still so? Answers without reading values. Derived: from the index.

use std::sync::atomic::Ordering;

use cairn_types::StreamId;

use crate::{Result, Store};

/// A moment of the store. Two that are equal saw the same keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeMark {
    /// The revision that readers saw.
    pub revision: u64,
    /// Keyspaces forgotten since the store was opened, which takes no revision.
    pub forgotten: u64,
}

impl Store {
    /// The mark of now: two loads, no lock. Whoever takes it *before* reading knows, when it is
    /// the same later, that a read would give the same again.
    #[must_use]
    pub fn change_mark(&self) -> ChangeMark {
        let forgotten = self.shared.forgotten.load(Ordering::Acquire);
        ChangeMark { revision: self.revision(), forgotten }
    }

    /// The revision of the newest change of a key as readers see it now; `None` for a key that
    /// is not there. One look into the index: no value is read, nothing is allocated.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index), when the key is in tables and they cannot be read.
    pub fn key_revision(&self, space: StreamId, key: &[u8]) -> Result<Option<u64>> {
        self.read_at(0, |revision| {
            self.index()
                .with_version(space, key, revision, |version| version.map(|version| version.main))
        })
    }
}
