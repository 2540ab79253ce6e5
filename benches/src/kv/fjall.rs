//! fjall: a log-structured merge tree.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

struct Fjall {
    db: Database,
    keys: Keyspace,
    durable: bool,
}

pub fn peer() -> Peer {
    Peer {
        name: "fjall",
        buffered: Ok("written to the OS"),
        durable: Ok("its journal persisted (fdatasync) after each put"),
        load: "written to the OS",
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenStore>> {
    let db = Database::builder(dir).open()?;
    let keys = db.keyspace("k", KeyspaceCreateOptions::default)?;
    Ok(Box::new(Fjall { db, keys, durable: mode == Mode::Durable }))
}

impl Fjall {
    fn acknowledge(&self) -> Result<()> {
        if self.durable { self.sync() } else { Ok(()) }
    }
}

impl Reads for Fjall {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = self.keys.get(key)? {
            each(&value);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        for pair in self.keys.range(from..).take(limit) {
            let (key, value) = pair.into_inner()?;
            each(&key, &value);
        }
        Ok(())
    }
}

impl OpenStore for Fjall {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keys.insert(key, value)?;
        self.acknowledge()
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut batch = self.db.batch();
        for (key, value) in pairs {
            batch.insert(&self.keys, key.as_slice(), value.as_slice());
        }
        batch.commit()?;
        self.acknowledge()
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncData)?)
    }

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        let mut batch = self.db.batch();
        for key in keys {
            batch.remove(&self.keys, key.as_slice());
        }
        batch.commit()?;
        self.acknowledge()
    }

    fn len(&self) -> Result<u64> {
        Ok(self.keys.len()? as u64)
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(self)
    }

    fn compact(self: Box<Self>, _: &Path) -> Result<()> {
        self.keys.rotate_memtable_and_wait()?;
        self.keys.major_compact()?;
        self.close()
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}
