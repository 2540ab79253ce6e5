//! kimberlite-storage: a hash chain per stream, whose head the caller keeps. It has one
//! writer and no inner lock, so threads take turns.

use super::{Base, Mode, OpenLog, Peer};
use crate::payload::Checker;
use anyhow::{Context, Result};
use bytes::Bytes;
use kimberlite_crypto::ChainHash;
use kimberlite_storage::{AppendPipeline, Storage};
use kimberlite_types::{Offset, StreamId};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct State {
    storage: Storage,
    pipeline: AppendPipeline,
    next: Offset,
    chain: Option<ChainHash>,
    /// Records between two checkpoints, which take an offset each.
    checkpoint_every: u64,
}

struct Kimberlite {
    state: Mutex<State>,
    durable: bool,
}

pub fn peer() -> Peer {
    Peer {
        name: "kimberlite-storage",
        buffered: Ok("written to the OS, never synced; chain and CRC"),
        durable: Ok("fsync of the data on each append, not shared; chain and CRC"),
        read: "the chain verified from the checkpoint before",
        base: Base::Log,
        bar: Some(3.0),
        open,
    }
}

fn stream() -> StreamId {
    StreamId::new(1)
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenLog>> {
    let mut storage = Storage::new(dir);
    let chain = storage.latest_chain_hash(stream())?;
    let pipeline = AppendPipeline::new(1 << 18);
    let state =
        State { storage, pipeline, next: Offset::new(0), chain, checkpoint_every: u64::MAX };
    Ok(Box::new(Kimberlite { state: Mutex::new(state), durable: mode == Mode::Durable }))
}

impl Kimberlite {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenLog for Kimberlite {
    fn append_one(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let events = vec![Bytes::copy_from_slice(payload)];
        let (next, chain) =
            state.storage.append_batch(stream(), events, state.next, state.chain, self.durable)?;
        (state.next, state.chain) = (next, Some(chain));
        Ok(())
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        let events: Vec<Bytes> = payloads.iter().map(|p| Bytes::copy_from_slice(p)).collect();
        let mut guard = self.lock();
        let state = &mut *guard;
        let State { storage, pipeline, next, chain, .. } = state;
        let (next, chain) = storage.append_batch_pipelined(
            stream(),
            &events,
            *next,
            *chain,
            self.durable,
            pipeline,
        )?;
        (state.next, state.chain) = (next, Some(chain));
        Ok(())
    }

    /// A checkpoint comes after each batch, so that a read verifies a batch and not the log.
    /// It takes an offset, which `read` allows for. The pipelined append indexes a log's first
    /// batch twice, after which no read finds a checkpoint: here the plain one is used.
    fn fill(&self, payloads: &[Vec<u8>]) -> Result<()> {
        let events: Vec<Bytes> = payloads.iter().map(|p| Bytes::copy_from_slice(p)).collect();
        let count = events.len() as u64;
        let mut guard = self.lock();
        let State { storage, next, chain, checkpoint_every, .. } = &mut *guard;
        let (at, head) = storage.append_batch(stream(), events, *next, *chain, false)?;
        let (at, head) = storage.create_checkpoint(stream(), at, Some(head), count, false)?;
        (*next, *chain, *checkpoint_every) = (at, Some(head), count);
        Ok(())
    }

    fn read(&self, index: u64, count: u64, len: usize, checker: &mut Checker) -> Result<()> {
        let mut state = self.lock();
        let from = Offset::new(index + index / state.checkpoint_every);
        // Its limit is in bytes, and it stops once they are reached.
        let len_max = count.checked_mul(len as u64).context("too many bytes")?;
        for event in state.storage.read_from(stream(), from, len_max)? {
            checker.take(&event);
        }
        Ok(())
    }

    fn read_verified(&self, index: u64, len: usize, checker: &mut Checker) -> Result<()> {
        self.read(index, 1, len, checker)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.lock().storage.flush_indexes()?)
    }
}
