//! LMDB by heed: a mapped copy-on-write B-tree, one writer.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use anyhow::Result;
use heed::types::Bytes;
use heed::{CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithTls};
use std::ops::Bound;
use std::path::Path;

/// Address space, not memory.
const MAP_LEN: usize = 16 << 30;

struct Lmdb {
    env: Env,
    keys: Database<Bytes, Bytes>,
}

pub fn peer() -> Peer {
    Peer {
        name: "lmdb",
        buffered: Ok("written to the OS (NO_SYNC: a power loss can break the store)"),
        durable: Ok("each commit synced"),
        load: "written to the OS (NO_SYNC: a power loss can break the store)",
        open,
    }
}

#[expect(unsafe_code, reason = "LMDB leaves it to the caller that no file is opened twice")]
fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenStore>> {
    std::fs::create_dir_all(dir)?;
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_LEN).max_readers(512);
    // SAFETY: every directory is fresh or was closed, and no other process knows it.
    let env = unsafe {
        if mode == Mode::Buffered {
            options.flags(EnvFlags::NO_SYNC);
        }
        options.open(dir)?
    };
    let mut transaction = env.write_txn()?;
    let keys = env.create_database(&mut transaction, None)?;
    transaction.commit()?;
    Ok(Box::new(Lmdb { env, keys }))
}

impl Lmdb {
    fn remove_in_one(&self, batches: &mut dyn Iterator<Item = Vec<Vec<u8>>>) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for key in batches.flatten() {
            self.keys.delete(&mut transaction, &key)?;
        }
        Ok(transaction.commit()?)
    }
}

/// The table as one transaction sees it.
struct View<'a> {
    transaction: &'a RoTxn<'a, WithTls>,
    keys: Database<Bytes, Bytes>,
}

impl Reads for View<'_> {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = self.keys.get(self.transaction, key)? {
            each(value);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        // Without its first key it refuses an empty one.
        let begin = if from.is_empty() { Bound::Unbounded } else { Bound::Included(from) };
        let range = (begin, Bound::Unbounded);
        for pair in self.keys.range(self.transaction, &range)?.take(limit) {
            let (key, value) = pair?;
            each(key, value);
        }
        Ok(())
    }
}

impl Reads for Lmdb {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        View { transaction: &self.env.read_txn()?, keys: self.keys }.get(key, each)
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        View { transaction: &self.env.read_txn()?, keys: self.keys }.scan(from, limit, each)
    }
}

impl OpenStore for Lmdb {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        self.keys.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in pairs {
            self.keys.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        self.remove_in_one(&mut std::iter::once(keys.to_vec()))
    }

    fn load(&self, batches: &mut dyn Iterator<Item = Vec<Pair>>) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in batches.flatten() {
            self.keys.put(&mut transaction, &key, &value)?;
        }
        transaction.commit()?;
        self.sync()
    }

    fn remove(&self, batches: &mut dyn Iterator<Item = Vec<Vec<u8>>>) -> Result<()> {
        self.remove_in_one(batches)?;
        self.sync()
    }

    fn len(&self) -> Result<u64> {
        let transaction = self.env.read_txn()?;
        Ok(self.keys.len(&transaction)?)
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(&View { transaction: &self.env.read_txn()?, keys: self.keys })
    }

    /// It compacts only into a copy, which then takes the place of the store.
    fn compact(self: Box<Self>, dir: &Path) -> Result<()> {
        let copy = dir.join("copy.mdb");
        drop(self.env.copy_to_path(&copy, CompactionOption::Enabled)?);
        self.close()?;
        Ok(std::fs::rename(copy, dir.join("data.mdb"))?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.env.force_sync()?;
        let Self { env, .. } = *self;
        env.prepare_for_closing().wait();
        Ok(())
    }
}
