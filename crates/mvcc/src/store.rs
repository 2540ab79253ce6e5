//! The store: one writer at a time plans, logs and applies; readers see published revisions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cairn_segment::{Appended, Expect, Log, Ticket};
use cairn_types::{Lsn, StreamId};

use crate::clean::Cleaning;
use crate::erased::Erased;
use crate::hashes::{self, Hashes};
use crate::index::Index;
use crate::key_value::{LeaseId, Place, Version, place_of};
use crate::lease::{LeaseInfo, LeaseRestart, Leases};
use crate::maintain::{Keeper, Maintenance};
use crate::overlay::Overlay;
use crate::plan::Planner;
use crate::read::Values;
use crate::recent::{OpenCount, Recents};
use crate::record::LeaseRecord;
use crate::request::{DeleteRange, Put, Range, RangeRequest, Txn};
use crate::turn::Turn;
use crate::txn::{DeleteResponse, PutResponse, TxnResponse};
use crate::{Result, TreeOptions, ValueSealer};

/// How a store behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Shortest time to live of a lease in seconds, at least 1; shorter ones are raised to it.
    pub lease_ttl_min: i64,
    /// What happens to leases when the store is opened again.
    pub lease_restart: LeaseRestart,
    /// Of the index: its budget of memory, its tables.
    pub tree: TreeOptions,
    /// Bytes a second that merges and cleaning in the background read or write at most, 0 for
    /// no limit; 64 MiB unless set. Not heeded while writers would have to wait for merges.
    pub background_rate: u64,
}

/// About half of what a cheap disk takes in order, so that syncs of writers keep their turn.
const BACKGROUND_RATE: u64 = 64 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            lease_ttl_min: 1,
            lease_restart: LeaseRestart::default(),
            tree: TreeOptions::default(),
            background_rate: BACKGROUND_RATE,
        }
    }
}

/// Keys over a log. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    /// First, so that the thread ends before the rest is let go of.
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    pub(crate) options: Options,
    /// Values that nobody reads any more.
    pub(crate) erased: Arc<Erased>,
    pub(crate) sealer: Option<Arc<dyn ValueSealer>>,
    pub(crate) write: Mutex<WriteState>,
    pub(crate) index: Index,
    pub(crate) maintenance: Maintenance,
    pub(crate) cleaning: Cleaning,
    pub(crate) leases: Mutex<Leases>,
    pub(crate) turn: Turn,
    /// Interactive transactions.
    pub(crate) open: OpenCount,
    /// What readers see.
    pub(crate) published: AtomicU64,
    /// Oldest revision that can be read.
    pub(crate) oldest: AtomicU64,
    /// Keyspaces forgotten since the store was opened.
    pub(crate) forgotten: AtomicU64,
}

/// What the one writer knows.
#[derive(Debug, Default)]
pub(crate) struct WriteState {
    /// Newest revision, published or not.
    pub(crate) current: u64,
    /// Records before this LSN are applied.
    pub(crate) applied: Lsn,
    /// Records before this LSN are in tables.
    pub(crate) flushed: Lsn,
    /// The record that last changed or confirmed the current revision.
    pub(crate) last_change: Option<Lsn>,
    /// Values that the log does not show yet.
    pub(crate) unpublished: VecDeque<(Lsn, Bytes)>,
    /// For checking what transactions rest on.
    pub(crate) recent: Recents,
}

/// A write that has its place in the log but may not be durable.
#[derive(Debug)]
#[must_use = "the write is acknowledged only by `Store::wait`"]
pub struct Submitted<T> {
    /// The answer.
    pub answer: T,
    /// The revision after the write.
    pub revision: u64,
    /// Where it stands in the log; `None` when there was nothing to write.
    pub ticket: Option<Ticket>,
    /// The end of what the answer rests on: also without a write of its own it may have seen
    /// others' that are under way.
    end: Lsn,
}

/// Figures of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Current revision.
    pub revision: u64,
    /// Oldest revision that can be read.
    pub compact_revision: u64,
    /// Versions in memory or else in tables, tombstones and what merges will drop included.
    pub version_count: u64,
    /// Leases.
    pub lease_count: u64,
}

impl Store {
    /// The log beneath.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// The current revision: 1 for a store that was never written to.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.published.load(Ordering::Acquire)
    }

    /// The oldest revision that can be read; 0 when nothing was compacted.
    #[must_use]
    pub fn compact_revision(&self) -> u64 {
        self.shared.oldest.load(Ordering::Acquire)
    }

    /// Values that the log shows to readers.
    pub(crate) fn values(&self) -> Values<'_> {
        let sealer = self.shared.sealer.as_deref();
        Values { log: &self.shared.log, erased: &self.shared.erased, sealer, unpublished: None }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.shared.index
    }

    pub(crate) fn leases(&self) -> MutexGuard<'_, Leases> {
        self.shared.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_state(&self) -> MutexGuard<'_, WriteState> {
        self.shared.write.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a key and waits until that is as durable as the log's settings ask for.
    ///
    /// # Errors
    /// [`LeaseNotFound`](crate::Error::LeaseNotFound), [`KeyNotFound`](crate::Error::KeyNotFound)
    /// and others as the put's fields say; the log's.
    pub fn put(&self, put: Put) -> Result<PutResponse> {
        let hash = hashes::of_put(&put);
        self.write(|planner| planner.take_put(put, hash))
    }

    /// Writes many keys in one revision, and returns it; the current one when there are none.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`DuplicateKey`](crate::Error::DuplicateKey) for a key that comes
    /// twice.
    pub fn put_all(&self, puts: Vec<Put>) -> Result<u64> {
        let hashes: Vec<_> = puts.iter().map(hashes::of_put).collect();
        self.write(|planner| {
            for (put, hash) in puts.into_iter().zip(hashes) {
                planner.take_put(put, hash)?;
            }
            Ok(planner.answer_revision())
        })
    }

    /// Deletes keys.
    ///
    /// # Errors
    /// [`Error::EmptyKey`](crate::Error::EmptyKey); the log's.
    pub fn delete(&self, delete: &DeleteRange) -> Result<DeleteResponse> {
        self.write(|planner| planner.delete(delete))
    }

    /// Deletes many keys in one revision; those that do not exist are passed over.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub fn delete_all(&self, space: StreamId, keys: Vec<Bytes>) -> Result<DeleteResponse> {
        self.write(|planner| {
            let mut deleted = 0;
            for key in keys {
                deleted += u64::from(planner.delete_key(space, key)?);
            }
            let revision = planner.answer_revision();
            Ok(DeleteResponse { revision, deleted, prev_kvs: Vec::new() })
        })
    }

    /// Compare, then, else, as one step.
    ///
    /// # Errors
    /// As [`Planner::txn`].
    pub fn txn(&self, txn: &Txn) -> Result<TxnResponse> {
        let hashes = Hashes::of_txn(txn);
        self.write(|planner| {
            planner.hashes = hashes;
            planner.txn(txn)
        })
    }

    /// Plans, logs and applies one write transaction and waits for it.
    ///
    /// # Errors
    /// What `plan` returns, nothing is changed then; the log's.
    pub fn write<T>(&self, plan: impl FnOnce(&mut Planner<'_>) -> Result<T>) -> Result<T> {
        let submitted = self.submit(&[], plan)?;
        self.wait(&submitted)?;
        Ok(submitted.answer)
    }

    /// Plans, logs and applies one write transaction without waiting for the disk. Later
    /// writes see it at once, readers once somebody waited for it or a later one. With
    /// `expect`, streams of attached records must be at these sequences.
    ///
    /// # Errors
    /// What `plan` returns, nothing is changed then; the log's.
    pub fn submit<T>(
        &self,
        expect: &[Expect],
        plan: impl FnOnce(&mut Planner<'_>) -> Result<T>,
    ) -> Result<Submitted<T>> {
        self.maintain_before_write()?;
        let mut state = self.write_state();
        let _writing = self.index().tree.begin_write();
        let mut leases = self.leases();
        let mut planner = Planner {
            index: self.index(),
            leases: &leases,
            values: Values { unpublished: Some(&state.unpublished), ..self.values() },
            base: state.current,
            oldest: self.compact_revision(),
            recent: &state.recent,
            hashes: Hashes::default(),
            overlay: Overlay::default(),
            lease_records: Vec::new(),
            compaction: None,
            extra: Vec::new(),
        };
        let answer = plan(&mut planner)?;
        if planner.is_empty() {
            let revision = state.current;
            return Ok(Submitted { answer, revision, ticket: None, end: state.applied });
        }
        let draft = planner.draft()?;
        let ticket = self.shared.log.submit(&draft, expect)?;
        let Planner { overlay, lease_records, compaction, .. } = planner;
        self.apply(&mut state, &mut leases, &overlay, &lease_records, &ticket.appended);
        if let Some(compaction) = compaction {
            self.shared.oldest.fetch_max(compaction.oldest, Ordering::AcqRel);
            state.last_change = Some(ticket.appended.first_lsn);
        }
        let revision = state.current;
        drop((leases, state));
        let end = ticket.appended.end_lsn;
        Ok(Submitted { answer, revision, ticket: Some(ticket), end })
    }

    /// Takes a batch that has its place in the log into the index.
    fn apply(
        &self,
        state: &mut WriteState,
        leases: &mut Leases,
        overlay: &Overlay,
        lease_records: &[LeaseRecord],
        appended: &Appended,
    ) {
        let mut lsn = appended.first_lsn.get();
        let now = self.shared.log.clock().monotonic();
        for record in lease_records {
            if let LeaseRecord::Granted { id, ttl, .. } = record {
                leases.grant(*id, *ttl, Lsn::new(lsn), appended.commit_time, now);
            }
            lsn += 1;
        }
        // A compaction has its record before the changes, and never comes with any.
        if !overlay.is_empty() {
            let main = state.current + 1;
            let mut unseen = self.index().unseen();
            unseen.forget(self.revision());
            for change in overlay.changes() {
                let (value, at) = (change.stored(), Lsn::new(lsn));
                let place = place_of(value.map_or(&[][..], |(value, _)| value));
                if let (Place::Log, Some((value, _))) = (&place, value) {
                    state.unpublished.push_back((at, value.clone()));
                }
                let version = Version {
                    main,
                    create: change.create,
                    version: change.version,
                    lease: change.lease,
                    lsn: at,
                    place,
                };
                self.index().insert(change.space, &change.key, version, change.before, &mut unseen);
                leases.move_key(change.space, &change.key, change.before.lease, change.lease);
                state.recent.note(main, change.space, &change.key, &self.shared.open);
                lsn += 1;
            }
            state.current = main;
            state.last_change = Some(appended.first_lsn);
            self.shared.maintenance.note_written(overlay.changes().len());
        }
        for record in lease_records {
            if let LeaseRecord::Revoked { id, .. } = record {
                leases.revoke(*id);
            }
        }
        state.applied = appended.end_lsn;
        let visible = self.shared.log.visible_end();
        while state.unpublished.front().is_some_and(|(lsn, _)| *lsn < visible) {
            state.unpublished.pop_front();
        }
    }

    /// Waits until a submitted write is as durable as the log's settings ask for, and shows it
    /// to readers.
    ///
    /// # Errors
    /// The log's; whether the write is in it shows when it is opened again.
    pub fn wait<T>(&self, submitted: &Submitted<T>) -> Result<()> {
        self.shared.log.wait_through(submitted.end)?;
        self.shared.published.fetch_max(submitted.revision, Ordering::AcqRel);
        Ok(())
    }

    /// Waits a bounded time until all that was submitted is visible in the log, and shows it to
    /// readers, also when whoever wrote it has not come to that yet.
    pub(crate) fn show_what_was_submitted(&self, most: Duration) {
        let (current, end) = {
            let state = self.write_state();
            (state.current, state.applied)
        };
        let log = &self.shared.log;
        let last = Lsn::new(end.get().saturating_sub(1));
        if log.visible_end() >= end || log.wait_for(last, most) {
            self.shared.published.fetch_max(current, Ordering::AcqRel);
        }
    }

    /// A lease, if it exists.
    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<LeaseInfo> {
        let now = self.shared.log.clock().monotonic();
        self.leases().info(id, now)
    }

    /// All leases by number.
    #[must_use]
    pub fn lease_ids(&self) -> Vec<LeaseId> {
        self.leases().ids()
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            revision: self.revision(),
            compact_revision: self.compact_revision(),
            version_count: self.tree_stats().version_count(),
            lease_count: self.leases().ids().len() as u64,
        }
    }

    /// Numbers of the keyspaces that hold or held keys, or whose keys a lease has; rising.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn spaces(&self) -> Result<Vec<StreamId>> {
        let mut spaces = self.leases().spaces();
        spaces.extend(self.index().spaces()?);
        Ok(spaces.into_iter().collect())
    }

    /// How many keys a keyspace holds now.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn key_count(&self, space: StreamId) -> Result<u64> {
        let request = RangeRequest { count_only: true, ..RangeRequest::new(space, Range::all()) };
        Ok(self.range(&request)?.count)
    }

    /// The first place in the log that a readable version needs; retention must stop there.
    #[must_use]
    pub fn oldest_needed(&self) -> Option<Lsn> {
        let last = self.write_state().last_change;
        let leases = self.leases().oldest_lsn();
        let versions = self.index().tree.least_reference().map(Lsn::new);
        [last, leases, versions].into_iter().flatten().min()
    }

    /// Forgets all keys of a keyspace whose end the owner has logged; also while replaying. Leases
    /// let go of them: whether they are still in a table must not show when a lease ends.
    pub fn forget_space(&self, space: StreamId) {
        let _one_writer = self.write_state();
        self.leases().forget_space(space);
        self.index().remove_space(space);
        self.shared.cleaning.note_gone(space);
        // After: whoever sees the number sees the keys gone.
        self.shared.forgotten.fetch_add(1, Ordering::Release);
    }
}
