//! Room for the next batch: preallocation, and the change from one segment to the next.
//!
//! Everything that can fail for want of space happens here, before a batch is given its place.

use std::sync::{Arc, MutexGuard};

use cairn_types::{Durability, SegmentId};

use super::state::{Active, Append, AppendState, Predecessor};
use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::mutation::Mutation;
use crate::segment::Segment;
use crate::{Error, Result, SpaceLimit};

/// Growth of the reserved space when batches are small and each is synced: zeroes are written,
/// because a sync into written blocks needs no journal commit (measured 56 us against 72-110).
const ZEROED_STEP: u64 = 1 << 20;
/// Growth of the reserved space otherwise.
const RESERVED_STEP: u64 = 16 << 20;
/// What is being done, for messages.
const RESERVING: &str = "reserving room in the log";
/// Batches up to this size count as small.
const SMALL_BATCH_LEN: usize = 64 << 10;

impl Append {
    /// Returns with an active segment that has reserved space for `len` more bytes. A `limited`
    /// write must leave what the settings want kept.
    pub(super) fn make_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, AppendState>,
        len: usize,
        limited: bool,
    ) -> Result<MutexGuard<'a, AppendState>> {
        let need = len as u64;
        if limited {
            self.check_quota(&state, need)?;
        }
        loop {
            state.check_open()?;
            let Some(active) = &state.active else {
                self.begin_segment(&mut state, need, limited)?;
                continue;
            };
            if active.end + need + SEAL_LEN as u64 > active.capacity && active.batch_count > 0 {
                state = self.roll(state)?;
                continue;
            }
            if !state.buffer.bytes.is_empty()
                && state.buffer.bytes.len() + len > self.store.config.buffer_len_max
            {
                // Also for a Sync log only written here: whoever waits for it still syncs.
                state = self.drain(state, false)?;
                continue;
            }
            let active = state.active.as_mut().expect("checked above");
            self.reserve(active, need, limited)?;
            return Ok(state);
        }
    }

    /// Writes and syncs what is buffered, seals the active segment and leaves none active.
    pub(super) fn roll<'a>(
        &'a self,
        state: MutexGuard<'a, AppendState>,
    ) -> Result<MutexGuard<'a, AppendState>> {
        let mut state = self.drain(state, true)?;
        if state.active.is_none() {
            return Ok(state);
        }
        if let Err(error) = self.seal_active(&mut state, false) {
            let cause = format!("sealing a segment: {error}");
            self.poison(&mut state, &cause);
            return Err(Error::Poisoned { cause });
        }
        Ok(state)
    }

    /// Ends the active segment.
    pub(crate) fn roll_now(&self) -> Result<()> {
        let state = self.lock();
        state.check_open()?;
        self.roll(state).map(drop)
    }

    /// Seals everything and marks the store as closed cleanly.
    pub(crate) fn close(&self) -> Result<()> {
        let state = self.lock();
        if state.closed {
            return Ok(());
        }
        state.check_open()?;
        let mut state = self.drain(state, true)?;
        state.closed = true;
        let outcome = self.seal_active(&mut state, true);
        if let Err(error) = &outcome {
            self.poison(&mut state, &format!("closing: {error}"));
        }
        drop(state);
        self.listeners.wake();
        outcome
    }

    /// Seals the active segment, which is written and synced, and records that it ended.
    pub(super) fn seal_active(&self, state: &mut AppendState, clean: bool) -> Result<()> {
        // Without writes since the open the superblock says it all already.
        let Some(active) = state.active.take() else { return Ok(()) };
        assert_eq!(active.end, active.written_end, "a sealed segment is written out");
        let segment = &active.segment;
        let sync_seal = !self.store.mutations.has(Mutation::NoSyncBeforeRoll);
        let seal = Seal {
            id: segment.header.id,
            end_lsn: state.next_lsn,
            batch_count: active.batch_count,
            position: active.end,
            chain: state.chain,
            sealed_at: self.store.clock.now(),
        };
        segment.write(active.end, &seal.encode(&segment.crc))?;
        segment.file.set_len(active.end + SEAL_LEN as u64)?;
        if sync_seal {
            segment.sync()?;
        }
        self.superblock.update(|block| {
            block.clean = clean;
            block.segment = segment.header.id;
            block.position = active.end;
            block.durable_end = state.next_lsn;
            block.chain = state.chain;
            block.written_at = seal.sealed_at;
        })?;
        self.store.counters.sealed_segments.increment(1);
        segment.settle(state.chain);
        state.predecessor = Predecessor {
            next_id: SegmentId::new(segment.header.id.get() + 1),
            prev_end: active.end,
        };
        Ok(())
    }

    /// Creates the next segment under a temporary name, so that a segment that can be seen
    /// always has a whole header.
    fn begin_segment(
        &self,
        state: &mut AppendState,
        first_batch_len: u64,
        limited: bool,
    ) -> Result<()> {
        let header = SegmentHeader {
            store_id: self.store.id,
            id: state.predecessor.next_id,
            base_lsn: state.next_lsn,
            created_at: self.store.clock.now(),
            salt: self.store.fresh_salt(),
            prev_chain: state.chain,
            prev_end: state.predecessor.prev_end,
            rewrites: 0,
            cleaned_to: 0,
            key: self.store.registry.active_key(),
        };
        let overhead = (SEGMENT_HEADER_LEN + SEAL_LEN) as u64;
        let capacity = self.store.config.segment_size.max(first_batch_len + overhead);
        let segment = Segment::create(&self.store, header, capacity)?;
        let mut active = Active {
            segment: Arc::new(segment),
            end: SEGMENT_HEADER_LEN as u64,
            written_end: SEGMENT_HEADER_LEN as u64,
            allocated: SEGMENT_HEADER_LEN as u64,
            capacity,
            batch_count: 0,
        };
        let reserved = self.reserve(&mut active, first_batch_len, limited);
        let published = reserved
            .and_then(|()| Ok(active.segment.file.sync_all()?))
            .and_then(|()| active.segment.appear());
        if let Err(error) = published {
            active.segment.abandon();
            return Err(no_space_or(error));
        }
        self.segments.push(active.segment.clone());
        state.active = Some(active);
        Ok(())
    }

    /// Refuses a write that would pass the quota.
    fn check_quota(&self, state: &AppendState, needed: u64) -> Result<()> {
        let Some(quota) = self.store.config.quota_bytes else { return Ok(()) };
        let last = match &state.active {
            Some(active) => active.end,
            None => self.segments.last_len(),
        };
        let used = self.segments.len_before_last() + last;
        if used.saturating_add(needed) <= quota {
            return Ok(());
        }
        let limit = SpaceLimit::Quota { used, needed, quota };
        Err(Error::NoSpace { doing: RESERVING, limit })
    }

    /// Reserves space for a batch of `need` bytes and the seal after it.
    fn reserve(&self, active: &mut Active, need: u64, limited: bool) -> Result<()> {
        let config = &self.store.config;
        let wanted = active.end + need + SEAL_LEN as u64;
        if wanted <= active.allocated {
            return Ok(());
        }
        let small = need <= SMALL_BATCH_LEN as u64 && config.durability == Durability::Sync;
        let step = if small { ZEROED_STEP } else { RESERVED_STEP };
        let mut ahead = wanted.max((active.allocated + step).min(active.capacity));
        if let Some(quota) = config.quota_bytes {
            let left = quota.saturating_sub(self.segments.len_before_last());
            ahead = ahead.min(left).max(wanted);
        }
        if let Some(min_free) = config.min_free_bytes {
            let free = self.store.vfs.free_space()?;
            let room = free.saturating_sub(min_free);
            let needed = wanted - active.allocated;
            if limited && needed > room {
                let limit = SpaceLimit::MinFree { free, needed, min_free };
                return Err(Error::NoSpace { doing: RESERVING, limit });
            }
            ahead = ahead.min(active.allocated.saturating_add(room)).max(wanted);
        }
        let outcome = match extend(active, ahead, small) {
            // A nearly full disk may still hold this batch.
            Err(error) if error.is_no_space() && wanted < ahead => extend(active, wanted, small),
            outcome => outcome,
        };
        outcome.map_err(|error| no_space_or(error.into()))
    }
}

/// Reserves the file up to `target`, and fills it with zeroes where syncs are to be quick.
fn extend(active: &mut Active, target: u64, zeroed: bool) -> cairn_vfs::Result<()> {
    let (from, len) = (active.allocated, target - active.allocated);
    let file = &active.segment.file;
    file.allocate(from, len)?;
    if zeroed {
        file.write_zeroes(from, len)?;
    }
    active.allocated = target;
    Ok(())
}

fn no_space_or(error: Error) -> Error {
    match &error {
        Error::Vfs(cause) if cause.is_no_space() => {
            Error::NoSpace { doing: RESERVING, limit: SpaceLimit::Disk }
        }
        _ => error,
    }
}
