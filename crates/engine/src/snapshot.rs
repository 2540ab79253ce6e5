//! Snapshots of a store at a revision. Derived: what a snapshot holds and how it is streamed
//! is the log's; here it is found where a revision ends.

use cairn_mvcc::Error as KeysError;
use cairn_segment::{RecordKind, Snapshot, SnapshotOptions};
use cairn_types::Lsn;

use crate::{Engine, Result};

/// Where a snapshot ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotAt {
    /// After everything that was written.
    #[default]
    Newest,
    /// Before the first change of a key after this revision.
    Revision(u64),
    /// Before this LSN, never within a batch: how the same snapshot is taken again.
    Lsn(Lsn),
}

impl Engine {
    /// Takes a snapshot of the store: keys, leases, topics, events and groups as they were.
    /// Writers and readers go on. Its bytes come from [`Snapshot::write_to`]; they are taken in
    /// by [`SnapshotImport`](cairn_segment::SnapshotImport).
    ///
    /// ```
    /// use cairn_engine::{Engine, SnapshotAt, SnapshotImport};
    /// use std::sync::Arc;
    /// let dir = tempfile::tempdir()?;
    /// let engine = Engine::open(dir.path().join("data"))?;
    /// engine.create_keyspace("users")?;
    /// let first = engine.keyspace("users")?.put("alice", "1")?.revision;
    /// engine.keyspace("users")?.put("alice", "2")?;
    /// let mut stream = Vec::new();
    /// engine.snapshot(SnapshotAt::Revision(first))?.write_to(&mut stream, 0, None)?;
    ///
    /// let vfs = Arc::new(cairn_vfs::StdVfs::create(dir.path().join("copy"))?);
    /// let mut import = SnapshotImport::open(vfs)?;
    /// import.read_from(&mut stream.as_slice(), None)?;
    /// import.finish(engine.log().codecs())?;
    /// let copy = Engine::open(dir.path().join("copy"))?;
    /// assert_eq!(copy.keyspace("users")?.get("alice")?.as_deref(), Some(&b"1"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FutureRevision`](KeysError::FutureRevision), [`Compacted`](KeysError::Compacted); as
    /// [`Log::snapshot`](cairn_segment::Log::snapshot).
    pub fn snapshot(&self, at: SnapshotAt) -> Result<Snapshot> {
        let (revision, end) = match at {
            SnapshotAt::Newest => self.end()?,
            SnapshotAt::Revision(revision) => (revision, self.end_of(revision)?),
            SnapshotAt::Lsn(lsn) => (self.revision_before(lsn)?, lsn),
        };
        if self.shared.log.head().next_lsn > self.shared.log.visible_end() {
            self.shared.log.sync()?;
        }
        let options = SnapshotOptions { until: Some(end), revision, ..SnapshotOptions::default() };
        let snapshot = self.shared.log.snapshot(&options)?;
        // What cleaning left out, the rest of the snapshot must have hidden.
        let oldest = self.shared.log.cleaned_to();
        if revision < oldest {
            return Err(KeysError::Compacted { requested: revision, oldest }.into());
        }
        Ok(snapshot)
    }

    /// The newest revision and the place after everything that was given one: read while no
    /// transaction is planned.
    fn end(&self) -> Result<(u64, Lsn)> {
        let log = &self.shared.log;
        let submitted = self
            .shared
            .keys
            .submit(&[], |planner| Ok((planner.revision() - 1, log.head().next_lsn)))?;
        Ok(submitted.answer)
    }

    /// The place of the first change after a revision.
    fn end_of(&self, revision: u64) -> Result<Lsn> {
        let (current, end) = self.end()?;
        let oldest = self.shared.keys.compact_revision();
        if revision > current {
            return Err(KeysError::FutureRevision { requested: revision, current }.into());
        }
        if revision < oldest {
            return Err(KeysError::Compacted { requested: revision, oldest }.into());
        }
        let mut found = end;
        self.each_change(end, |lsn, later| {
            if later > revision {
                found = lsn;
            }
            later <= revision
        })?;
        Ok(found)
    }

    fn revision_before(&self, end: Lsn) -> Result<u64> {
        let mut revision = 1;
        self.each_change(end, |_, later| {
            revision = revision.max(later);
            true
        })?;
        Ok(revision)
    }

    /// Walks through all changes of keys before an LSN while `look` says so.
    fn each_change(&self, end: Lsn, mut look: impl FnMut(Lsn, u64) -> bool) -> Result<()> {
        let log = &self.shared.log;
        let mut position = log.start_lsn();
        while let Some((from, to)) = log.next_keys(position)? {
            let mut scan = log.scan(from);
            while scan.position() < to.min(end) {
                let Some(record) = scan.next_record()? else { break };
                let is_change = matches!(record.view.kind, RecordKind::PUT | RecordKind::DELETE);
                if record.lsn < end && is_change && !look(record.lsn, record.view.sequence) {
                    return Ok(());
                }
            }
            if to >= end {
                break;
            }
            position = to;
        }
        Ok(())
    }
}
