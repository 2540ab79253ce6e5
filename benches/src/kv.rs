//! Key-value engines: what each must be able to do, and which there are.

pub mod cairn;
pub mod child;
mod fjall;
pub mod hightower;
pub mod kotoba;
mod lmdb;
mod redb;
#[cfg(feature = "kv-rocksdb")]
mod rocksdb;
pub mod space;
mod surrealkv;
pub mod table;
pub mod work;

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

/// Reads of a store or of one view of it.
pub trait Reads {
    /// Calls back with the value, if the key is there.
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// Calls back with keys and values in order, from a key on, up to `limit` of them.
    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()>;
}

/// One open store, whose own reads each see the newest state.
pub trait OpenStore: Reads + Send + Sync {
    /// Writes one key as durably as the store was opened for.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Writes keys that differ in one step.
    fn put_batch(&self, pairs: &[Pair]) -> Result<()>;

    /// Takes keys away in one step.
    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()>;

    /// Hands everything to the disk.
    fn sync(&self) -> Result<()>;

    /// Writes all batches and then syncs; in one transaction where that is the faster way.
    fn load(&self, batches: &mut dyn Iterator<Item = Vec<Pair>>) -> Result<()> {
        for batch in batches {
            self.put_batch(&batch)?;
        }
        self.sync()
    }

    /// Takes all keys away and then syncs; in one transaction where that is the faster way.
    fn remove(&self, batches: &mut dyn Iterator<Item = Vec<Vec<u8>>>) -> Result<()> {
        for batch in batches {
            self.remove_batch(&batch)?;
        }
        self.sync()
    }

    /// How many keys there are, exactly.
    fn len(&self) -> Result<u64>;

    /// Reads many times; in one view where there are views and they are cheaper.
    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()>;

    /// How many keys begin so, with their values read.
    fn count_prefix(&self, prefix: &[u8]) -> Result<u64> {
        let mut count = 0;
        self.scan(prefix, usize::MAX, &mut |key, _| count += u64::from(key.starts_with(prefix)))?;
        Ok(count)
    }

    /// Waits until whatever goes on behind is done; only Cairn's tree does.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Gives back the space of what was overwritten and removed, syncs and stops.
    fn compact(self: Box<Self>, dir: &Path) -> Result<()>;

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

pub fn others() -> Vec<Peer> {
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

/// Those of the others that the options choose.
pub fn chosen(options: &Options) -> Result<Vec<Peer>> {
    let others = others();
    options.check_names(&others.iter().map(|peer| peer.name).collect::<Vec<_>>())?;
    Ok(others.into_iter().filter(|peer| options.wants(peer.name)).collect())
}

/// Runs all rows that the options choose.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    work::run(options, &cairn::peer(), &chosen(options)?)
}
