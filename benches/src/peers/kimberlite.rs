//! kimberlite-storage: a hash chain per stream, the caller keeps its head.

use super::{Level, LogUnderTest, Peer};
use anyhow::Result;
use bytes::Bytes;
use kimberlite_storage::Storage;
use kimberlite_types::{Offset, StreamId};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct State {
    storage: Storage,
    next: Offset,
    chain: Option<kimberlite_crypto::ChainHash>,
}

struct Kimberlite {
    state: Mutex<State>,
    durable: bool,
}

pub fn peer() -> Peer {
    Peer {
        name: "kimberlite-storage",
        buffered: Some("not synced, chain on"),
        durable: Some("its fsync flag on each append, no sharing"),
        open,
    }
}

fn open(dir: &Path, level: Level) -> Result<Box<dyn LogUnderTest>> {
    let mut storage = Storage::new(dir);
    let chain = storage.latest_chain_hash(StreamId::new(1))?;
    let state = Mutex::new(State { storage, next: Offset::new(0), chain });
    Ok(Box::new(Kimberlite { state, durable: level == Level::Durable }))
}

impl Kimberlite {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, events: Vec<Bytes>) -> Result<()> {
        let mut state = self.lock();
        let (next, chain) = (state.next, state.chain);
        let stream = StreamId::new(1);
        let (next, chain) =
            state.storage.append_batch(stream, events, next, chain, self.durable)?;
        state.next = next;
        state.chain = Some(chain);
        Ok(())
    }
}

impl LogUnderTest for Kimberlite {
    fn append_one(&self, payload: &[u8]) -> Result<()> {
        self.append(vec![Bytes::copy_from_slice(payload)])
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        self.append(payloads.iter().map(|p| Bytes::copy_from_slice(p)).collect())
    }

    fn sync(&self) -> Result<()> {
        Ok(self.lock().storage.flush_indexes()?)
    }

    fn read_from(&self, index: u64, count_max: u64) -> Result<(u64, u64)> {
        // Its limit is in bytes and it stops once they are reached.
        let len_max = if count_max == 1 { 1 } else { u64::MAX };
        let from = Offset::new(index);
        let events = self.lock().storage.read_from(StreamId::new(1), from, len_max)?;
        Ok((events.len() as u64, events.iter().map(|e| e.len() as u64).sum()))
    }
}
