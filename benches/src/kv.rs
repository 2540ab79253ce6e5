//! Key-value engines: what each must be able to do, and which there are.

mod cairn;
mod fjall;
mod hightower;
mod lmdb;
mod redb;
#[cfg(feature = "kv-rocksdb")]
mod rocksdb;
mod surrealkv;
mod work;

use crate::measure::Row;
use crate::options::Options;
use anyhow::Result;
use std::path::Path;

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An acknowledgement promises no more than that a read finds the value.
    Buffered,
    /// An acknowledgement means that the write was synced to the disk.
    Durable,
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// One open store.
pub trait OpenStore: Send + Sync {
    /// Writes one key as durably as the store was opened for.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Writes keys that differ in one step.
    fn put_batch(&self, pairs: &[Pair]) -> Result<()>;

    /// Hands everything to the disk.
    fn sync(&self) -> Result<()>;

    /// Calls back with the value, if the key is there.
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// Calls back with keys and values in order, from a key on, up to `limit` of them.
    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()>;

    /// Stops it the clean way.
    fn close(self: Box<Self>) -> Result<()>;
}

/// A store that can be opened, and what its acknowledgements mean.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub name: &'static str,
    /// What a single put promises in `Mode::Buffered`, or why there is none.
    pub buffered: Result<&'static str, &'static str>,
    /// What a put promises in `Mode::Durable`, or why there is none.
    pub durable: Result<&'static str, &'static str>,
    /// What a batch of the load promises before the sync at its end.
    pub load: &'static str,
    pub open: fn(&Path, Mode) -> Result<Box<dyn OpenStore>>,
}

fn others() -> Vec<Peer> {
    vec![
        fjall::peer(),
        redb::peer(),
        lmdb::peer(),
        #[cfg(feature = "kv-rocksdb")]
        rocksdb::peer(),
        surrealkv::peer(),
        hightower::peer(),
    ]
}

/// Runs all rows that the options choose.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let mut others = others();
    if let Some(only) = &options.only {
        for name in only {
            let known = others.iter().any(|peer| peer.name == name);
            anyhow::ensure!(known, "there is no store `{name}`");
        }
        others.retain(|peer| only.iter().any(|name| name == peer.name));
    }
    work::run(options, &cairn::peer(), &others)
}
