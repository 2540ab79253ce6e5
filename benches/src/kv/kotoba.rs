//! kotoba's home-made log-structured merge tree (kotoba-db-engine-lsm): asynchronous, one writer.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use crate::measure::Cannot;
use anyhow::Result;
use kotoba_db_core::engine::StorageEngine;
use kotoba_db_engine_lsm::LSMStorageEngine;
use std::path::Path;
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

struct Kotoba {
    runtime: Runtime,
    engine: RwLock<LSMStorageEngine>,
}

pub fn peer() -> Peer {
    Peer {
        name: "kotoba-db-engine-lsm",
        buffered: Ok("written to the OS, no CRC"),
        durable: Err("it never syncs"),
        load: "written to the OS, no CRC",
        open,
    }
}

fn open(dir: &Path, _: Mode) -> Result<Box<dyn OpenStore>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let engine = RwLock::new(runtime.block_on(LSMStorageEngine::new(dir))?);
    Ok(Box::new(Kotoba { runtime, engine }))
}

impl Reads for Kotoba {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let found = self.runtime.block_on(async { self.engine.read().await.get(key).await })?;
        if let Some(value) = found {
            each(&value);
        }
        Ok(())
    }

    fn scan(&self, _: &[u8], _: usize, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        Err(Cannot("it has no ordered reads from a key on").into())
    }
}

impl OpenStore for Kotoba {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.runtime.block_on(async { self.engine.write().await.put(key, value).await })
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        pairs.iter().try_for_each(|(key, value)| self.put(key, value))
    }

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        let remove = |key: &Vec<u8>| {
            self.runtime.block_on(async { self.engine.write().await.delete(key).await })
        };
        keys.iter().try_for_each(remove)
    }

    fn sync(&self) -> Result<()> {
        Err(Cannot("it never syncs").into())
    }

    fn len(&self) -> Result<u64> {
        Err(Cannot("it does not count").into())
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(self)
    }

    fn compact(self: Box<Self>, _: &Path) -> Result<()> {
        Err(Cannot("its compaction is private").into())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
