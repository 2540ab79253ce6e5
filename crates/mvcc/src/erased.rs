//! Which records were erased, and by which record's authority. Derived: from the erasure records
//! of the log, which the layer above reads and notes here; reads, replay and merges obey it at
//! once, whether the bytes are gone yet or not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use cairn_lsm::{EntryRef, Redact, Version as _};
use cairn_types::{Lsn, StreamId};

use crate::index::with_key;
use crate::key_value::{Place, Version};
use crate::{Error, Result, Store};

/// That a value is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Erasure {
    /// The record that held it.
    pub lsn: Lsn,
    /// The record that authorised its erasure; nothing when the log names none.
    pub by: Option<Lsn>,
}

/// The erased records of a log, each with the record that authorised it. The layer above notes
/// them; all who read share it.
#[derive(Debug, Default)]
pub struct Erased {
    by: RwLock<BTreeMap<Lsn, Lsn>>,
    /// Looked at first: mostly nothing was ever erased.
    is_any: AtomicBool,
}

impl Erased {
    /// Notes that a record is erased by the authority of another; the first one counts.
    pub fn note(&self, lsn: Lsn, by: Lsn) {
        self.by.write().unwrap_or_else(PoisonError::into_inner).entry(lsn).or_insert(by);
        self.is_any.store(true, Ordering::Release);
    }

    /// The record that authorised the erasure of another.
    #[must_use]
    pub fn by(&self, lsn: Lsn) -> Option<Lsn> {
        if !self.is_any.load(Ordering::Acquire) {
            return None;
        }
        self.by.read().unwrap_or_else(PoisonError::into_inner).get(&lsn).copied()
    }

    /// All of them in order, each with the record that authorised it.
    #[must_use]
    pub fn all(&self) -> Vec<(Lsn, Lsn)> {
        let by = self.by.read().unwrap_or_else(PoisonError::into_inner);
        by.iter().map(|(lsn, by)| (*lsn, *by)).collect()
    }

    pub(crate) fn erasure(&self, lsn: Lsn) -> Erasure {
        Erasure { lsn, by: self.by(lsn) }
    }
}

impl Redact for Erased {
    fn redact(&self, entry: &EntryRef<'_>) -> Option<Vec<u8>> {
        self.by(Lsn::new(entry.reference))?;
        let version = Version::decode(entry, true)?;
        let left = version.without_value()?;
        let mut value = Vec::new();
        left.encode(&mut value);
        Some(value)
    }
}

/// What a version's value is.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    Value(Bytes),
    Erased(Erasure),
}

impl Held {
    /// The value, empty when it was erased, and whether it was.
    pub(crate) fn parts(self) -> (Bytes, Option<Erasure>) {
        match self {
            Self::Value(value) => (value, None),
            Self::Erased(erasure) => (Bytes::new(), Some(erasure)),
        }
    }

    /// The value.
    pub(crate) fn value(self) -> Result<Bytes> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Erased(Erasure { lsn, by }) => Err(Error::Erased { lsn, by }),
        }
    }
}

impl Version {
    /// The version without its value, unless it holds none here.
    pub(crate) fn without_value(&self) -> Option<Self> {
        let keeps = self.is_tombstone() || self.place == Place::Erased;
        (!keeps).then(|| Self { place: Place::Erased, ..self.clone() })
    }
}

impl Store {
    /// Takes the values of versions that were [noted](Erased) as erased out of memory and out
    /// of tables, looking at these keys; how many tables were written again. Doing it again is
    /// harmless. On a log that is open for reading only tables stay as they are.
    ///
    /// # Errors
    /// [`Error::Index`] when a table cannot be written; reads do not show the values even so.
    pub fn give_up(&self, keys: &[(StreamId, Bytes)]) -> Result<usize> {
        let tree = &self.shared.index.tree;
        let keys: Vec<Vec<u8>> =
            keys.iter().map(|(space, key)| with_key(*space, key, <[u8]>::to_vec)).collect();
        self.forget_values(&keys);
        // A flush that began before may have copied values; what begins now finds none.
        let _no_flush = self.shared.maintenance.flush_lock();
        let count = tree.redact(&keys)?;
        // What was taken into memory from a table in between.
        self.forget_values(&keys);
        Ok(count)
    }

    fn forget_values(&self, keys: &[Vec<u8>]) {
        let erased = &self.shared.erased;
        let mut state = self.write_state();
        state.unpublished.retain(|(lsn, _)| erased.by(*lsn).is_none());
        for key in keys {
            self.shared.index.tree.amend(key, |version: &Version| {
                erased.by(version.lsn)?;
                version.without_value()
            });
        }
    }
}
