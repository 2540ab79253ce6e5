//! An ordered store with a log of its own. Truth: the log; the tables are derived.
//!
//! Every write is a batch of the log first, and the log is kept whole. A version's sequence is the LSN behind it, so a
//! snapshot is an LSN, too.

mod batch;
mod snapshot;
mod value;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cairn_codec::{Draft, RecordDraft, RecordKind};
use cairn_segment::{Log, LogConfig};
use cairn_types::{Lsn, StreamId, limits};
use cairn_vfs::{OsRng, Rng, StdVfs, Vfs};

use crate::bounds::Bounds;
use crate::manifest::Position;
use crate::{Error, Result, Tree, TreeOptions, TreeStats};

pub use batch::Batch;
pub use snapshot::{Scan, Snapshot};
use value::Value;

/// The stream of the log that holds the changes.
const STREAM: StreamId = StreamId::new(1);

/// The directory of the tables within the store's.
const TABLES: &str = "tables";

/// Versions merged by a writer before each batch while a merge is due.
const HELP_VERSIONS: usize = 2_000;

/// Settings of an [`LsmTree`].
#[derive(Debug, Clone, Default)]
pub struct LsmOptions {
    /// Of its log: durability, segment size, codec.
    pub log: LogConfig,
    /// Of its tables.
    pub tree: TreeOptions,
}

/// An ordered store of keys and values. Clones share it.
///
/// ```
/// use cairn_lsm::LsmTree;
/// let dir = tempfile::tempdir()?;
/// let tree = LsmTree::open(dir.path().join("store"))?;
/// tree.put(b"b", b"2")?;
/// tree.put(b"a", b"1")?;
/// tree.delete(b"b")?;
/// let all: Vec<_> = tree.scan(..).collect::<Result<_, _>>()?;
/// assert_eq!(all.len(), 1);
/// assert_eq!(all[0].0, "a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LsmTree {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: Log,
    tree: Tree<Value>,
    write: Mutex<()>,
    /// Records before this LSN are visible.
    published: AtomicU64,
    snapshots: Mutex<BTreeMap<u64, usize>>,
    /// Keys written since memory was trimmed.
    trimmed_after: AtomicUsize,
}

impl LsmTree {
    /// Opens or creates a store in a directory.
    ///
    /// # Errors
    /// Of the log and the tables.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir, LsmOptions::default())
    }

    /// Opens or creates a store with settings.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(dir: impl AsRef<Path>, options: LsmOptions) -> Result<Self> {
        let vfs: Arc<dyn Vfs> = Arc::new(StdVfs::create(dir.as_ref())?);
        Self::open_on(vfs, Arc::new(OsRng), options)
    }

    /// Opens or creates a store on any [`Vfs`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(vfs: Arc<dyn Vfs>, rng: Arc<dyn Rng>, options: LsmOptions) -> Result<Self> {
        let log = Log::options().vfs(vfs.clone()).rng(rng.clone()).config(options.log).open()?;
        let fits = |position: &Position| fits(&log, position);
        let opened = Tree::open(vfs.clone(), TABLES, options.tree, &*rng, log.store_id(), fits);
        let (tree, found) = match opened {
            // A view that is damaged is made again where the log is whole.
            Err(Error::Corrupt { .. } | Error::Index(_)) if log.start_lsn().get() == 0 => {
                Tree::<Value>::discard(&*vfs, TABLES)?;
                Tree::open(vfs, TABLES, options.tree, &*rng, log.store_id(), fits)?
            }
            outcome => outcome?,
        };
        let store = Self {
            shared: Arc::new(Shared {
                log,
                tree,
                write: Mutex::default(),
                published: AtomicU64::new(0),
                snapshots: Mutex::default(),
                trimmed_after: AtomicUsize::new(0),
            }),
        };
        store.replay(found.position.lsn)?;
        Ok(store)
    }

    /// Inserts what the log says from a place on.
    fn replay(&self, from: u64) -> Result<()> {
        let log = &self.shared.log;
        let start = Lsn::new(from).max(log.start_lsn());
        let mut scan = log.scan(start);
        while let Some(record) = scan.next_record()? {
            let (kind, stream) = (record.view.kind, record.view.stream);
            let (Some(key), true) = (record.view.key, stream == STREAM) else { continue };
            let lsn = record.lsn.get();
            let value = match kind {
                RecordKind::PUT => Some(record.payload_bytes().unwrap_or_default()),
                RecordKind::DELETE => None,
                _ => continue,
            };
            let value = value.map(|value| Bytes::copy_from_slice(&value));
            let ((), before) = self.shared.tree.prepare(key, |_| ())?;
            self.shared.tree.insert(key, Value { lsn, value }, before);
        }
        let end = log.visible_end().get();
        self.shared.published.store(end, Ordering::Release);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        self.shared.write.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a key and waits until that is as durable as the log's settings ask for.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; the log's: whether the write is in it shows at the next open.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key, value);
        self.write(&batch)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(key);
        self.write(&batch)
    }

    /// Deletes every key from `start` up to `end` (exclusive) that exists now, in one batch; says
    /// how many.
    ///
    /// # Errors
    /// As [`put`](Self::put); the log's when there are more than a batch can hold
    /// ([`limits::MAX_BATCH_RECORDS`]).
    pub fn delete_range(&self, start: &[u8], end: &[u8]) -> Result<u64> {
        let writer = self.writer();
        let mut batch = Batch::new();
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        self.shared.tree.walk(bounds, u64::MAX, false, |key, _| {
            batch.delete(key);
            true
        })?;
        let count = batch.len() as u64;
        let ticket = self.submit(&batch)?;
        drop(writer);
        self.finish(ticket)?;
        Ok(count)
    }

    /// Writes a batch: all of it or nothing.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn write(&self, batch: &Batch) -> Result<()> {
        let writer = self.writer();
        let ticket = self.submit(batch)?;
        drop(writer);
        self.finish(ticket)
    }

    /// Loads many keys in rising order, in batches; says how many. Tables that come out of it
    /// do not overlap, so merges only move them.
    ///
    /// # Errors
    /// [`Error::NotRising`] when a key is not above the one before; as [`put`](Self::put). Whole
    /// batches that came before stay written.
    pub fn ingest<K: AsRef<[u8]>, W: AsRef<[u8]>>(
        &self,
        sorted: impl IntoIterator<Item = (K, W)>,
    ) -> Result<u64> {
        const AT_ONCE: usize = 1000;
        let mut batch = Batch::new();
        let mut last: Option<Vec<u8>> = None;
        let mut count = 0;
        for (key, value) in sorted {
            let key = key.as_ref();
            if last.as_deref().is_some_and(|last| key <= last) {
                return Err(Error::NotRising { index: count });
            }
            last = Some(key.to_vec());
            batch.put(key, value.as_ref());
            count += 1;
            if batch.len() >= AT_ONCE {
                self.write(&std::mem::take(&mut batch))?;
            }
        }
        self.write(&batch)?;
        Ok(count)
    }

    /// Gives a batch its place in the log and takes it into memory.
    fn submit(&self, batch: &Batch) -> Result<Option<cairn_segment::Ticket>> {
        if batch.is_empty() {
            return Ok(None);
        }
        self.maintain_as_writer()?;
        let _writing = self.shared.tree.begin_write();
        let mut draft = Draft::new();
        let mut prepared = Vec::with_capacity(batch.len());
        for (key, value) in batch.changes() {
            let kind = if value.is_some() { RecordKind::PUT } else { RecordKind::DELETE };
            let record = RecordDraft { key: Some(key), ..RecordDraft::new(kind, STREAM) };
            within("a key", key.len(), limits::MAX_KEY_LEN)?;
            draft.push(record, value.as_deref().unwrap_or_default())?;
            prepared.push(self.shared.tree.prepare(key, |_| ())?.1);
        }
        self.shared.log.prepare(&mut draft)?;
        let ticket = self.shared.log.submit(&draft, &[])?;
        let first = ticket.appended.first_lsn.get();
        let versions = (first..).zip(batch.changes()).zip(prepared);
        let versions = versions.map(|((lsn, (key, value)), before)| {
            (key.clone(), Value { lsn, value: value.clone() }, before)
        });
        self.shared.tree.insert_all(versions);
        self.shared.trimmed_after.fetch_add(batch.len(), Ordering::Relaxed);
        Ok(Some(ticket))
    }

    fn finish(&self, ticket: Option<cairn_segment::Ticket>) -> Result<()> {
        if let Some(ticket) = ticket {
            self.shared.log.wait(&ticket)?;
            self.shared.published.fetch_max(ticket.appended.end_lsn.get(), Ordering::AcqRel);
        }
        Ok(())
    }

    /// What is due, done by the writer before it writes: this store has no thread of its own.
    fn maintain_as_writer(&self) -> Result<()> {
        let tree = &self.shared.tree;
        tree.trim(self.shared.trimmed_after.swap(0, Ordering::Relaxed));
        if tree.needs_flush() {
            self.flush_to(self.shared.log.head().next_lsn)?;
        }
        if tree.has_work() {
            tree.work(HELP_VERSIONS)?;
        }
        Ok(())
    }

    /// Flushes everything before a place, which is all there is.
    fn flush_to(&self, end: Lsn) -> Result<()> {
        let (log, tree) = (&self.shared.log, &self.shared.tree);
        log.sync()?;
        let Some(last) = end.get().checked_sub(1) else { return Ok(()) };
        let position = Position { lsn: end.get(), leaf: leaf(log, last)? };
        tree.set_oldest(self.oldest());
        tree.compact_memory();
        let flush = tree.begin_flush(end.get(), Bytes::new());
        tree.write_flush(flush, position)
    }

    /// The oldest sequence that anybody reads.
    fn oldest(&self) -> u64 {
        let snapshots = self.shared.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.shared.published.load(Ordering::Acquire);
        snapshots.keys().next().copied().unwrap_or(published).min(published)
    }

    /// Writes what is in memory into a table.
    ///
    /// # Errors
    /// Of the file system; the log's.
    pub fn flush(&self) -> Result<()> {
        let _writer = self.writer();
        let end = self.shared.log.head().next_lsn;
        self.flush_to(end)
    }

    /// Flushes, and merges all tables into one level.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn merge_all(&self) -> Result<()> {
        self.flush()?;
        self.shared.tree.merge_all()
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Of the file system; [`Error::Corrupt`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.snapshot().get(key)
    }

    /// The keys of a range in order, from both ends; errors of reading come with the keys.
    pub fn scan<'k>(&self, range: impl std::ops::RangeBounds<&'k [u8]>) -> Scan {
        self.snapshot().scan(range)
    }

    /// How many keys a range has now, those of writes under way included, which
    /// [`get`](Self::get) and [`scan`](Self::scan) do not show yet. O(log n) besides what changed
    /// since the last flush; while deleted keys wait for a flush it may look at every key.
    ///
    /// # Errors
    /// Of the file system; [`Error::Corrupt`].
    pub fn count<'k>(&self, range: impl std::ops::RangeBounds<&'k [u8]>) -> Result<u64> {
        let bounds: Bounds<'_> =
            (range.start_bound().map(|key| *key), range.end_bound().map(|key| *key));
        if let Some(count) = self.shared.tree.count(bounds)? {
            return Ok(count);
        }
        let mut count = 0;
        self.shared.tree.walk(bounds, u64::MAX, false, |_, _| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// Everything as it is now, whatever is written later.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self)
    }

    /// The log beneath.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// Sizes.
    #[must_use]
    pub fn stats(&self) -> TreeStats {
        self.shared.tree.stats()
    }

    /// Checks every table.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names the first damage.
    pub fn verify(&self) -> Result<()> {
        self.shared.tree.verify()
    }

    /// Flushes and closes the log cleanly: the next open has nothing to replay.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn close(&self) -> Result<()> {
        self.flush()?;
        Ok(self.shared.log.close()?)
    }
}

/// The leaf hash of a record.
fn leaf(log: &Log, lsn: u64) -> Result<[u8; 32]> {
    Ok(*log.read(Lsn::new(lsn))?.leaf.as_bytes())
}

/// Whether a log has the record that tables end with.
fn fits(log: &Log, position: &Position) -> Result<bool> {
    let Some(last) = position.lsn.checked_sub(1) else { return Ok(true) };
    let is_there = position.lsn <= log.visible_end().get() && last >= log.start_lsn().get();
    // A record that cannot be read is not the one either: the tables are built again.
    Ok(is_there && leaf(log, last).is_ok_and(|leaf| leaf == position.leaf))
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<()> {
    let (found, limit) = (found as u64, limit as u64);
    if found > limit { Err(Error::TooLarge { what, found, limit }) } else { Ok(()) }
}
