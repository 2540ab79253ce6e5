//! hightower-kv: a log with all keys and values in memory.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use crate::measure::Cannot;
use anyhow::{Context, Result};
use hightower_kv::command::Command;
use hightower_kv::config::StoreConfig;
use hightower_kv::engine::{KvEngine, SingleNodeEngine};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

struct Hightower {
    engine: SingleNodeEngine,
    /// Versions of batches, which the caller has to make.
    version: AtomicU64,
    durable: bool,
}

pub fn peer() -> Peer {
    Peer {
        name: "hightower-kv",
        buffered: Ok("written to the OS, no CRC"),
        durable: Ok("its flush after each put, not shared; no CRC"),
        load: "written to the OS, no CRC",
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenStore>> {
    let data_dir = dir.to_str().context("the directory's name is not UTF-8")?.to_owned();
    let engine = SingleNodeEngine::with_config(StoreConfig { data_dir, ..StoreConfig::default() })?;
    Ok(Box::new(Hightower { engine, version: AtomicU64::new(1), durable: mode == Mode::Durable }))
}

impl Reads for Hightower {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = KvEngine::get(&self.engine, key)? {
            each(&value);
        }
        Ok(())
    }

    fn scan(&self, _: &[u8], _: usize, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        Err(Cannot("it has no ordered reads").into())
    }
}

impl OpenStore for Hightower {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.engine.put(key.to_vec(), value.to_vec())?;
        if self.durable { self.sync() } else { Ok(()) }
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let command = |(key, value): &Pair| Command::Set {
            key: key.clone(),
            value: value.clone(),
            version: self.version.fetch_add(1, Ordering::Relaxed),
            timestamp: 0,
        };
        self.engine.submit_batch(pairs.iter().map(command))?;
        if self.durable { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> Result<()> {
        Ok(self.engine.flush()?)
    }

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        let command = |key: &Vec<u8>| Command::Delete {
            key: key.clone(),
            version: self.version.fetch_add(1, Ordering::Relaxed),
            timestamp: 0,
        };
        self.engine.submit_batch(keys.iter().map(command))?;
        if self.durable { self.sync() } else { Ok(()) }
    }

    fn len(&self) -> Result<u64> {
        Ok(self.engine.len() as u64)
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(self)
    }

    fn count_prefix(&self, prefix: &[u8]) -> Result<u64> {
        Ok(self.engine.get_prefix(prefix)?.len() as u64)
    }

    fn compact(self: Box<Self>, _: &Path) -> Result<()> {
        self.engine.run_compaction_now()?;
        self.close()
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
