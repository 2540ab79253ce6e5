//! Compaction: giving up the past before a revision. The request is a record of the log; the
//! versions are then dropped from memory piece by piece, and from tables when they are merged.

use crate::record::CompactionRecord;
use crate::{Error, Planner, Result, Store};

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Oldest revision that can be read now.
    pub revision: u64,
    /// Versions dropped from memory; those in tables go with the next merge.
    pub version_count: u64,
}

impl Store {
    /// Makes `revision` the oldest one that can be read. For each key the newest version at or
    /// before it stays, unless that is a tombstone. Returns once memory has dropped the others.
    ///
    /// # Errors
    /// [`Error::Compacted`] when that was done already, [`Error::FutureRevision`]; the log's.
    pub fn compact(&self, revision: u64) -> Result<Compacted> {
        self.compact_with(revision, |_| Ok(()))
    }

    /// As [`compact`](Self::compact), with what `also` plans in the same batch; it must not
    /// change keys.
    ///
    /// # Errors
    /// As [`compact`](Self::compact); what `also` returns.
    ///
    /// # Panics
    /// When `also` changes a key.
    pub fn compact_with(
        &self,
        revision: u64,
        also: impl FnOnce(&mut Planner<'_>) -> Result<()>,
    ) -> Result<Compacted> {
        self.write(|planner| {
            if revision <= planner.oldest {
                let oldest = planner.oldest;
                return Err(Error::Compacted { requested: revision, oldest });
            }
            if revision > planner.base {
                let current = planner.base;
                return Err(Error::FutureRevision { requested: revision, current });
            }
            planner.compaction = Some(CompactionRecord { oldest: revision, current: planner.base });
            also(planner)?;
            assert!(planner.overlay.is_empty(), "a compaction comes without changes of keys");
            Ok(())
        })?;
        let version_count = self.drop_versions(revision);
        self.note_cleaning_due();
        Ok(Compacted { revision, version_count })
    }

    /// Drops versions that nobody can read; readers and writers get their turn in between.
    pub(crate) fn drop_versions(&self, revision: u64) -> u64 {
        let tree = &self.shared.index.tree;
        tree.set_oldest(revision);
        tree.compact_memory()
    }
}
