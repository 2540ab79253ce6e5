//! Flushing the index into tables and merging them: by a thread of the store's, or by the writer
//! where there is none. Derived state only: nothing here changes what the log says.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use cairn_lsm::Position;
use cairn_segment::Log;
use cairn_types::Lsn;

use crate::store::Shared;
use crate::{Result, Store, notes};

/// Versions merged between two looks at what else is to be done.
const PIECE: usize = 20_000;

/// Versions merged by a writer who has nobody to do it.
const WRITER_PIECE: usize = 2_000;

/// With so many flushes' worth of unflushed changes a writer flushes itself: the thread cannot
/// keep up, or its flushes fail.
const BEHIND_MAX: u64 = 4;

/// Records that the next open may have to replay.
const REPLAY_COUNT_MAX: u64 = 10_000;

/// How long nothing is written before memory is brought into order.
const IDLE: Duration = Duration::from_millis(5);

/// Keys brought into order while writers and readers wait.
const ORDER_PIECE: usize = 4_000;

/// Merges are so far behind that they do not keep to their rate any more.
const PRESSURE_REST_MAX: f64 = 1.5;

/// How long the thread rests before it looks again whether somebody waits.
const REST: Duration = Duration::from_millis(10);

/// Merges are so far behind that a writer helps.
const PRESSURE_MAX: f64 = 4.0;

/// What the thread is told.
#[derive(Debug, Default)]
struct Signal {
    state: Mutex<Told>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    stop: bool,
    due: bool,
}

/// Who maintains the index.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    signal: Arc<Signal>,
    has_thread: AtomicBool,
    /// One flush at a time.
    flush: Mutex<()>,
    /// A merge may be due.
    merge_due: AtomicBool,
    /// Keys written since memory was trimmed.
    written: AtomicUsize,
    /// The thread was told and has not finished.
    is_awake: AtomicBool,
    /// What memory was like when the thread looked last whether anybody writes.
    last_mark: Mutex<Option<(usize, usize)>>,
}

impl Maintenance {
    /// Notes that so many keys were written.
    pub(crate) fn note_written(&self, keys: usize) {
        self.written.fetch_add(keys, Ordering::Relaxed);
    }

    /// Tells the thread that there is something to do.
    pub(crate) fn wake(&self) {
        if self.is_awake.swap(true, Ordering::AcqRel) {
            return;
        }
        self.signal.state.lock().unwrap_or_else(PoisonError::into_inner).due = true;
        self.signal.changed.notify_one();
    }

    pub(crate) fn flush_lock(&self) -> MutexGuard<'_, ()> {
        self.flush.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by everybody who uses the store, but not by the thread: when the last one lets go, the
/// thread has ended before the store is closed, and the directory is free to be opened again.
#[derive(Debug)]
pub(crate) struct Keeper {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.signal.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.signal.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ended = thread.join();
        }
    }
}

/// The thread: sleeps until told, and holds the store only while it works.
fn run(signal: &Signal, shared: &Weak<Shared>) {
    loop {
        let out_of_order = shared.upgrade().is_some_and(|shared| !shared.index.tree.is_ordered());
        let told = signal.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |told: &mut Told| !told.due && !told.stop;
        let mut told = if out_of_order {
            let waited = signal.changed.wait_timeout_while(told, IDLE, nothing);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            signal.changed.wait_while(told, nothing).unwrap_or_else(PoisonError::into_inner)
        };
        if told.stop {
            return;
        }
        let is_due = std::mem::take(&mut told.due);
        drop(told);
        let Some(shared) = shared.upgrade() else { return };
        let store = Store { keeper: None, shared };
        if is_due {
            work(signal, &store);
        } else {
            order_while_idle(&store);
        }
    }
}

/// Brings some of memory into order if nothing was written since the last look: a range that
/// comes need not do it then.
fn order_while_idle(store: &Store) {
    let tree = &store.shared.index.tree;
    if tree.is_ordered() {
        return;
    }
    let mark = Some(tree.change_mark());
    let last = &store.shared.maintenance.last_mark;
    let last = std::mem::replace(&mut *last.lock().unwrap_or_else(PoisonError::into_inner), mark);
    if last == mark {
        tree.bring_into_order(ORDER_PIECE);
    }
}

/// Does what is due.
fn work(signal: &Signal, store: &Store) {
    loop {
        // What fails is tried again with the next change, and by a writer in the end, who
        // reports it.
        let merged = merge_at_pace(signal, store);
        if merged.is_break() {
            return;
        }
        let pace = |len| {
            rest(signal, store, len)?;
            merge_at_pace(signal, store)
        };
        let cleaning = &store.shared.cleaning;
        if cleaning.is_due() {
            // What came meanwhile says so itself.
            cleaning.rest();
            if store.clean_some(&pace).unwrap_or(false) {
                store.note_cleaning_due();
            }
            continue;
        }
        let is_awake = &store.shared.maintenance.is_awake;
        // A swap and not a store: whoever finds the thread awake comes before it, and what he
        // left to be done is seen here.
        is_awake.swap(false, Ordering::AcqRel);
        if !cleaning.is_due() || is_awake.swap(true, Ordering::AcqRel) {
            return;
        }
    }
}

/// Flushes and merges until nothing is due, or the thread is to end.
fn merge_at_pace(signal: &Signal, store: &Store) -> ControlFlow<()> {
    let tree = &store.shared.index.tree;
    loop {
        let before = tree.merged_len();
        let more = store.maintain_some(PIECE).unwrap_or(false);
        rest(signal, store, tree.merged_len().saturating_sub(before))?;
        if !more {
            return ControlFlow::Continue(());
        }
    }
}

/// Waits until so many bytes more may be moved; not while writers would wait for merges.
fn rest(signal: &Signal, store: &Store, len: u64) -> ControlFlow<()> {
    let tree = &store.shared.index.tree;
    let mut left = store.shared.cleaning.limiter.take(len);
    loop {
        order_while_idle(store);
        let told = signal.state.lock().unwrap_or_else(PoisonError::into_inner);
        if told.stop {
            return ControlFlow::Break(());
        }
        if left.is_zero() || tree.needs_flush() || tree.pressure() > PRESSURE_REST_MAX {
            return ControlFlow::Continue(());
        }
        let now = left.min(REST);
        left -= now;
        let waited = signal.changed.wait_timeout_while(told, now, |told| !told.stop);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Store {
    /// Starts the thread.
    pub(crate) fn start_maintenance(&mut self) -> std::io::Result<()> {
        let maintenance = &self.shared.maintenance;
        let (signal, shared) = (maintenance.signal.clone(), Arc::downgrade(&self.shared));
        let thread = std::thread::Builder::new().name("cairn-tables".into());
        let thread = thread.spawn(move || run(&signal, &shared))?;
        maintenance.has_thread.store(true, Ordering::Release);
        let (signal, thread) = (maintenance.signal.clone(), Mutex::new(Some(thread)));
        self.keeper = Some(Arc::new(Keeper { signal, thread }));
        Ok(())
    }

    /// Before a write: sees to it that what is due is done. Whatever fails refuses the write, of
    /// which nothing is in the log yet.
    pub(crate) fn maintain_before_write(&self) -> Result<()> {
        // The tables are another process's: who only reads writes none, whatever is in memory.
        if self.shared.log.is_read_only() {
            return Ok(());
        }
        let (tree, maintenance) = (&self.shared.index.tree, &self.shared.maintenance);
        tree.trim(maintenance.written.swap(0, Ordering::Relaxed));
        let needs_flush = tree.needs_flush();
        let merge_due = maintenance.merge_due.load(Ordering::Relaxed);
        if !needs_flush && !merge_due {
            return Ok(());
        }
        if !maintenance.has_thread.load(Ordering::Acquire) {
            return self.maintain_some(WRITER_PIECE).map(drop);
        }
        maintenance.wake();
        if needs_flush && tree.is_behind(BEHIND_MAX) {
            self.flush()?;
        }
        if merge_due && tree.pressure() > PRESSURE_MAX {
            tree.work(WRITER_PIECE)?;
        }
        Ok(())
    }

    /// Flushes if that is due and merges about so many versions; says whether there is more.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index), the log's. What was done stays done.
    pub fn maintain_some(&self, versions: usize) -> Result<bool> {
        let (tree, maintenance) = (&self.shared.index.tree, &self.shared.maintenance);
        if tree.needs_flush() {
            self.flush()?;
        }
        if tree.work(versions)? {
            return Ok(true);
        }
        maintenance.merge_due.store(false, Ordering::Relaxed);
        Ok(tree.needs_flush())
    }

    /// Writes what changed in memory into a table: the next open need not replay it.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the table cannot be written; changes stay in
    /// memory then. The log's.
    pub fn flush(&self) -> Result<()> {
        let _one = self.shared.maintenance.flush_lock();
        let tree = &self.shared.index.tree;
        let (flush, end) = {
            let state = self.write_state();
            if state.applied <= self.shared.log.start_lsn() || state.applied == state.flushed {
                return Ok(());
            }
            let mut written = Vec::new();
            let oldest = self.compact_revision();
            let leases = self.leases();
            notes::encode(state.current, oldest, state.last_change, &leases, &mut written);
            self.shared.index.encode_anchors(&mut written);
            (tree.begin_flush(state.current, written.into()), state.applied)
        };
        // Tables never know more than the log keeps through a loss of power.
        let position = self.shared.log.sync().and_then(|()| position(&self.shared.log, end));
        match position {
            Ok(position) => tree.write_flush(flush, position)?,
            Err(error) => {
                tree.abandon_flush(flush);
                return Err(error.into());
            }
        }
        self.write_state().flushed = end;
        self.shared.maintenance.merge_due.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Before closing: flushes when replaying what changed since the last flush would take
    /// more than a few milliseconds.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn flush_for_reopen(&self) -> Result<()> {
        let unflushed = {
            let state = self.write_state();
            state.applied.get() - state.flushed.get()
        };
        let worth_it = unflushed > REPLAY_COUNT_MAX && !self.shared.log.is_read_only();
        if worth_it { self.flush() } else { Ok(()) }
    }

    /// Flushes, merges all tables into one level and drops every version that nobody can read.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn merge_tables(&self) -> Result<()> {
        self.flush()?;
        Ok(self.shared.index.tree.merge_all()?)
    }

    /// Sizes of the index.
    #[must_use]
    pub fn tree_stats(&self) -> cairn_lsm::TreeStats {
        self.shared.index.tree.stats()
    }

    /// Reads every table and checks it.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) names the first damage.
    pub fn verify_tables(&self) -> Result<()> {
        Ok(self.shared.index.tree.verify()?)
    }
}

/// The end of a part of the log, with the leaf hash of its last record.
fn position(log: &Log, end: Lsn) -> cairn_segment::Result<Position> {
    let last = Lsn::new(end.get().saturating_sub(1));
    Ok(Position { lsn: end.get(), leaf: *log.read(last)?.leaf.as_bytes() })
}

/// Whether a log has the record that tables end with.
pub(crate) fn fits(log: &Log, found: &Position) -> bool {
    let end = Lsn::new(found.lsn);
    // A record that cannot be read is not the one either: the tables are built again.
    end > log.start_lsn()
        && end <= log.visible_end()
        && position(log, end).is_ok_and(|there| there == *found)
}
