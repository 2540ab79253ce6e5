//! Group commit: the first waiter leads and writes for everyone, the others sleep until their
//! batch has come far enough. An uncontended caller writes inline, with no hand-over.

use std::sync::MutexGuard;

use cairn_types::{Durability, Lsn};

use super::state::{Active, Append, AppendState, Buffer};
use super::submit::Ticket;
use super::waiters::Reach;
use crate::mutation::Mutation;
use crate::{Error, Result};

impl Append {
    /// Blocks until the batch has reached what the log's durability asks for.
    pub(crate) fn wait(&self, ticket: &Ticket) -> Result<()> {
        self.wait_through(ticket.appended.end_lsn)
    }

    /// Blocks until everything before `end` has reached that.
    pub(crate) fn wait_through(&self, end: Lsn) -> Result<()> {
        self.wait_until(end, self.default_reach())
    }

    /// Blocks until the batch is on the disk, whatever the log's durability.
    pub(crate) fn wait_durable(&self, ticket: &Ticket) -> Result<()> {
        self.wait_until(ticket.appended.end_lsn, Reach::Durable)
    }

    /// Writes and syncs everything submitted so far.
    pub(crate) fn sync(&self) -> Result<()> {
        let end = {
            let state = self.lock();
            state.check_open()?;
            state.next_lsn
        };
        self.wait_until(end, Reach::Durable)
    }

    pub(crate) fn default_reach(&self) -> Reach {
        match self.store.config.durability {
            Durability::Sync => Reach::Durable,
            Durability::Interval(_) | Durability::Buffered => Reach::Written,
        }
    }

    /// Whether a batch has come so far, and readers see it: visibility is raised last, and who is
    /// told without the lock must find what was written.
    fn reached(&self, end: Lsn, reach: Reach) -> bool {
        let before_readers = reach == Reach::Written && self.default_reach() == Reach::Durable;
        let mark = match reach {
            Reach::Written => self.marks.written(),
            Reach::Durable => self.marks.durable(),
        };
        mark >= end && (before_readers || self.marks.visible() >= end)
    }

    fn wait_until(&self, end: Lsn, reach: Reach) -> Result<()> {
        if self.reached(end, reach) {
            return Ok(());
        }
        let mut state = self.lock();
        loop {
            if self.reached(end, reach) {
                return Ok(());
            }
            if let Some(cause) = &state.failure {
                return Err(Error::Poisoned { cause: cause.clone() });
            }
            if !state.io_running {
                self.lead(state, reach);
                if self.reached(end, reach) {
                    return Ok(());
                }
                state = self.lock();
                continue;
            }
            state.waiters.add(end, reach);
            drop(state);
            std::thread::park();
            if self.reached(end, reach) {
                return Ok(());
            }
            state = self.lock();
            state.waiters.remove_current();
        }
    }

    /// Writes the buffer, and syncs when anyone needs it. The lock is free during the I/O and
    /// while others are woken.
    fn lead(&self, mut state: MutexGuard<'_, AppendState>, reach: Reach) {
        assert!(!state.io_running, "one leader at a time");
        let Some(active) = &state.active else { return };
        let segment = active.segment.clone();
        let position = active.written_end;
        let sync = reach == Reach::Durable
            || self.default_reach() == Reach::Durable
            || state.waiters.wants_durable();
        let spare = std::mem::take(&mut state.spare);
        let buffer = std::mem::replace(&mut state.buffer, spare);
        state.io_running = true;
        drop(state);

        let early = self.store.mutations.has(Mutation::AckBeforeSync);
        let mut outcome = segment.write(position, &buffer.bytes);
        if sync && outcome.is_ok() && !early {
            outcome = segment.sync();
            if outcome.is_err() && self.store.mutations.has(Mutation::RetryAfterFailedSync) {
                outcome = segment.sync();
            }
        }

        let mut state = self.lock();
        state.io_running = false;
        match outcome {
            Ok(()) => self.publish(&mut state, buffer, sync),
            Err(error) => {
                state.spare = buffer;
                self.poison(&mut state, &format!("writing {}: {error}", segment.path));
            }
        }
        Self::unlock_and_wake(state);
    }

    /// Frees the lock and wakes whom it was collected for.
    fn unlock_and_wake(mut state: MutexGuard<'_, AppendState>) {
        let mut to_wake = std::mem::take(&mut state.to_wake);
        drop(state);
        for thread in to_wake.drain(..) {
            thread.unpark();
        }
    }

    /// Wakes whom it was collected for while the lock is kept.
    fn wake_locked(state: &mut AppendState) {
        for thread in state.to_wake.drain(..) {
            thread.unpark();
        }
    }

    /// Makes written batches readable and collects whoever waited for them in `to_wake`.
    pub(super) fn publish(&self, state: &mut AppendState, mut buffer: Buffer, synced: bool) {
        let active = state.active.as_mut().expect("what was written has a segment");
        let written_len = buffer.bytes.len() as u64;
        if written_len > 0 {
            active.written_end += written_len;
            active.segment.publish(&buffer, active.written_end);
            let last = buffer.batches.last().expect("bytes belong to a batch");
            let end = Lsn::new(last.first_lsn.get() + u64::from(last.records));
            self.marks.raise_written(end);
            state.unsynced_len += written_len;
            if state.dirty_since.is_none() {
                state.dirty_since = Some(self.store.clock.monotonic());
            }
        }
        buffer.clear();
        state.spare = buffer;
        if synced {
            self.marks.raise_durable(self.marks.written());
            state.dirty_since = None;
            state.unsynced_len = 0;
        }
        self.show(state);
    }

    /// Moves the visible end, collects waiters in `to_wake` and wakes listeners.
    pub(super) fn show(&self, state: &mut AppendState) {
        let (written, durable) = (self.marks.written(), self.marks.durable());
        let visible = match self.default_reach() {
            Reach::Durable => durable,
            Reach::Written => written,
        };
        let moved = visible > self.marks.visible();
        self.marks.raise_visible(visible);
        let AppendState { waiters, to_wake, .. } = state;
        waiters.take_ready(written, durable, to_wake);
        if moved {
            self.listeners.advanced(visible);
        }
    }

    /// Stops all writing: what the disk holds is uncertain until the log is opened again.
    pub(super) fn poison(&self, state: &mut AppendState, cause: &str) {
        if state.failure.is_none() {
            state.failure = Some(cause.to_owned());
            self.store.counters.poisoned.increment(1);
        }
        let AppendState { waiters, to_wake, .. } = state;
        waiters.take_all(to_wake);
        Self::wake_locked(state);
        self.listeners.wake();
    }

    /// Waits until no I/O runs, then writes the buffer while holding the lock.
    pub(super) fn drain<'a>(
        &'a self,
        mut state: MutexGuard<'a, AppendState>,
        sync: bool,
    ) -> Result<MutexGuard<'a, AppendState>> {
        while state.io_running {
            let (end, reach) = (state.next_lsn, self.default_reach());
            state.waiters.add(end, reach);
            drop(state);
            std::thread::park();
            state = self.lock();
            state.waiters.remove_current();
            state.check_open()?;
        }
        let Some(active) = &state.active else { return Ok(state) };
        let segment = active.segment.clone();
        let position = active.written_end;
        let buffer = std::mem::take(&mut state.buffer);
        let mut outcome = segment.write(position, &buffer.bytes);
        if sync && outcome.is_ok() && !self.store.mutations.has(Mutation::NoSyncBeforeRoll) {
            outcome = segment.sync();
        }
        if let Err(error) = outcome {
            let cause = format!("writing {}: {error}", segment.path);
            self.poison(&mut state, &cause);
            return Err(Error::Poisoned { cause });
        }
        if self.default_reach() == Reach::Durable && !sync && !buffer.bytes.is_empty() {
            // A Sync log shows nothing unsynced: only the written mark moves.
            self.publish(&mut state, buffer, false);
        } else {
            self.publish(&mut state, buffer, sync);
        }
        Self::wake_locked(&mut state);
        Ok(state)
    }

    /// Syncs what is written without stopping writers; the background thread calls this.
    pub(crate) fn sync_behind(&self) -> Result<()> {
        let (segment, written) = {
            let state = self.lock();
            state.check_open()?;
            if state.dirty_since.is_none() {
                return Ok(());
            }
            let Some(Active { segment, .. }) = &state.active else { return Ok(()) };
            (segment.clone(), self.marks.written())
        };
        let outcome = segment.sync();
        let mut state = self.lock();
        match outcome {
            Ok(()) => {
                self.marks.raise_durable(written);
                let behind = self.marks.written() > self.marks.durable();
                state.dirty_since = behind.then(|| self.store.clock.monotonic());
                state.unsynced_len = if behind { state.unsynced_len } else { 0 };
                self.show(&mut state);
                Self::unlock_and_wake(state);
                Ok(())
            }
            Err(error) => {
                let cause = format!("syncing {}: {error}", segment.path);
                self.poison(&mut state, &cause);
                Err(Error::Poisoned { cause })
            }
        }
    }

    /// Whether the background should sync now.
    pub(crate) fn sync_is_due(&self) -> bool {
        let Some(limit) = self.store.config.unsynced_time_max() else { return false };
        let state = self.lock();
        let old = state
            .dirty_since
            .is_some_and(|since| self.store.clock.monotonic().saturating_sub(since) >= limit);
        old || state.unsynced_len >= self.store.config.unsynced_len_max
    }
}
