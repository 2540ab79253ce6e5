//! Watches: every change of some keys from a revision on, in order, each revision whole. The
//! log is the history: a watcher reads it at its own pace, so it misses nothing, holds no
//! queue, and never slows a writer.

use std::time::Duration;

use bytes::Bytes;
use cairn_codec::RecordKind;
use cairn_segment::Scan;
use cairn_types::{Lsn, StreamId};

use crate::erased::Held;
use crate::key_value::LeaseId;
use crate::read::Values;
use crate::request::Range;
use crate::{Error, KeyValue, Result, Store};

/// Which changes a watcher does not want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchFilter {
    /// Leave puts out.
    pub no_put: bool,
    /// Leave deletes out.
    pub no_delete: bool,
}

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRequest {
    /// Keyspace.
    pub space: StreamId,
    /// Which keys.
    pub range: Range,
    /// First revision; 0 for what comes after now. One in the future is waited for.
    pub start_revision: u64,
    /// Give the version before each change.
    pub prev_kv: bool,
    /// What to leave out.
    pub filter: WatchFilter,
}

impl WatchRequest {
    /// Watches a range from now on.
    #[must_use]
    pub fn new(space: StreamId, range: Range) -> Self {
        let filter = WatchFilter::default();
        Self { space, range, start_revision: 0, prev_kv: false, filter }
    }

    /// From a revision on.
    #[must_use]
    pub fn from(self, start_revision: u64) -> Self {
        Self { start_revision, ..self }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whether the key was deleted.
    pub deleted: bool,
    /// The key as it is after; of a delete only key and mod revision are filled.
    pub kv: KeyValue,
    /// The version before, when asked for, there was one, and it is not compacted.
    pub prev_kv: Option<KeyValue>,
}

impl Change {
    /// Whether the change created the key.
    #[must_use]
    pub const fn is_create(&self) -> bool {
        !self.deleted && self.kv.create_revision == self.kv.mod_revision
    }
}

/// All wanted changes of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchBatch {
    /// The revision.
    pub revision: u64,
    /// Changes in their order.
    pub changes: Vec<Change>,
}

/// A position in the history of keys.
#[derive(Debug)]
pub struct Watcher {
    store: Store,
    request: WatchRequest,
    scan: Scan,
    /// First revision not delivered yet.
    next: u64,
    /// A revision that is being read.
    open: Option<WatchBatch>,
}

impl Store {
    /// Watches keys.
    ///
    /// # Errors
    /// [`Error::Compacted`] when the start was compacted away.
    pub fn watch(&self, request: WatchRequest) -> Result<Watcher> {
        let next = match request.start_revision {
            0 => self.revision() + 1,
            start => start,
        };
        let oldest = self.compact_revision();
        if next < oldest {
            return Err(Error::Compacted { requested: next, oldest });
        }
        let from = self.index().anchor(next).unwrap_or_else(|| self.log().start_lsn());
        let scan = self.log().scan(from.max(self.log().start_lsn()));
        Ok(Watcher { store: self.clone(), request, scan, next, open: None })
    }
}

impl Watcher {
    /// The first revision that was not delivered yet: watching from it again goes on without
    /// a gap or a repetition.
    #[must_use]
    pub const fn next_revision(&self) -> u64 {
        self.next
    }

    /// The next revision with wanted changes, if it is there already.
    ///
    /// # Errors
    /// [`Error::Compacted`] when the watcher fell behind a compaction; it has ended then. The
    /// log's.
    pub fn try_next(&mut self) -> Result<Option<WatchBatch>> {
        let next = self.next;
        self.check_kept(next)?;
        let found = self.read_on()?;
        // A compaction that came meanwhile may have let the cleaner drop records that were to be
        // read: what was gathered could have gaps.
        self.check_kept(next).inspect_err(|_| self.next = next)?;
        Ok(found)
    }

    fn check_kept(&self, next: u64) -> Result<()> {
        let oldest = self.store.compact_revision();
        if next < oldest {
            return Err(Error::Compacted { requested: next, oldest });
        }
        Ok(())
    }

    fn read_on(&mut self) -> Result<Option<WatchBatch>> {
        let published = self.store.revision();
        loop {
            // A revision is one batch of the log, which becomes visible as a whole.
            let place = self.scan.position();
            let change = match self.scan.next_record()? {
                None => return Ok(self.close(published)),
                Some(record) => {
                    let kind = record.view.kind;
                    if kind != RecordKind::PUT && kind != RecordKind::DELETE {
                        None
                    } else {
                        let wanted = record.view.stream == self.request.space
                            && record.view.key.is_some_and(|key| self.request.range.contains(key))
                            && wants(self.request.filter, kind);
                        let values = self.store.values();
                        let change = wanted.then(|| change_of(&record, &values)).transpose()?;
                        Some((record.view.sequence, change))
                    }
                }
            };
            let Some((revision, change)) = change else { continue };
            if revision > published {
                // Durable, but its writer has not come to publish it: look again later.
                self.scan.seek(place);
                return Ok(self.close(published));
            }
            if revision < self.next {
                continue;
            }
            let done = self.open.as_ref().is_some_and(|open| open.revision < revision);
            if done {
                self.scan.seek(place);
                if let Some(batch) = self.close(revision - 1) {
                    return Ok(Some(batch));
                }
                continue;
            }
            if let Some(change) = change {
                let change = self.with_previous(change)?;
                let empty = WatchBatch { revision, changes: Vec::new() };
                self.open.get_or_insert(empty).changes.push(change);
            }
        }
    }

    /// The next revision with wanted changes, waiting for it; `None` when the time is over.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next(&mut self, timeout: Duration) -> Result<Option<WatchBatch>> {
        let clock = self.store.log().clock().clone();
        let start = clock.monotonic();
        loop {
            // Taken before looking, so that nothing that comes meanwhile is slept through.
            let seen = self.store.log().visible_end();
            if let Some(batch) = self.try_next()? {
                return Ok(Some(batch));
            }
            let left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
            if left.is_zero() {
                return Ok(None);
            }
            // What is visible but not published yet is so in a moment, without another wake-up.
            let behind = self.scan.position() < seen;
            let wait = if behind { left.min(Duration::from_micros(200)) } else { left };
            let _look_either_way = self.store.log().wait_for(seen, wait);
        }
    }

    /// Everything up to this revision was delivered: a bookmark, also when nothing was wanted.
    /// `None` while something may be left to deliver, which [`try_next`](Self::try_next) finds
    /// out, and for a watch that begins in the future.
    #[must_use]
    pub fn progress(&self) -> Option<u64> {
        let idle = self.open.is_none() && self.next == self.store.revision() + 1;
        idle.then(|| self.next - 1)
    }

    /// Hands out what is open, once everything up to `through` was read.
    fn close(&mut self, through: u64) -> Option<WatchBatch> {
        let batch = self.open.take();
        let end = batch.as_ref().map_or(through, |batch| batch.revision);
        self.next = self.next.max(end + 1);
        batch
    }

    fn with_previous(&self, mut change: Change) -> Result<Change> {
        let before = change.kv.mod_revision - 1;
        let first = !change.deleted && change.kv.version == 1;
        if self.request.prev_kv && !first && before >= self.store.compact_revision() {
            let found = self.store.get_at(self.request.space, &change.kv.key, before);
            change.prev_kv = match found {
                Ok(found) => found,
                // Compacted in this moment: as if it had been before.
                Err(Error::Compacted { .. }) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(change)
    }

    /// Where in the log the watcher stands.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.scan.position()
    }
}

fn wants(filter: WatchFilter, kind: RecordKind) -> bool {
    if kind == RecordKind::PUT { !filter.no_put } else { !filter.no_delete }
}

fn change_of(record: &cairn_segment::RecordRef<'_>, values: &Values<'_>) -> Result<Change> {
    let deleted = record.view.kind == RecordKind::DELETE;
    let facts = record.view.facts.unwrap_or_default();
    let erasure = values.erased.erasure(record.lsn);
    let key = record.key_bytes().unwrap_or_default();
    let held = match record.payload_bytes().filter(|_| erasure.by.is_none()) {
        _ if deleted => Held::Value(Bytes::new()),
        None => Held::Erased(erasure),
        Some(stored) => values.opened(record.view.stream, &key, record.lsn, Held::Value(stored))?,
    };
    let (value, erased) = held.parts();
    let kv = KeyValue {
        key,
        value,
        erased,
        create_revision: facts.create_revision,
        mod_revision: record.view.sequence,
        version: facts.version,
        lease: LeaseId::new(facts.lease.cast_signed()),
    };
    Ok(Change { deleted, kv, prev_kv: None })
}
