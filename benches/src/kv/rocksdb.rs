//! RocksDB: a log-structured merge tree in C++.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use anyhow::Result;
use rocksdb::{DB, Direction, IteratorMode, Options, WriteBatch, WriteOptions};
use std::path::Path;

struct RocksDb {
    db: DB,
    write: WriteOptions,
}

pub fn peer() -> Peer {
    Peer {
        name: "rocksdb",
        buffered: Ok("written to the OS"),
        durable: Ok("its log synced before each acknowledgement, shared by threads"),
        load: "written to the OS",
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenStore>> {
    let mut options = Options::default();
    options.create_if_missing(true);
    let mut write = WriteOptions::default();
    write.set_sync(mode == Mode::Durable);
    Ok(Box::new(RocksDb { db: DB::open(&options, dir)?, write }))
}

impl Reads for RocksDb {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = self.db.get_pinned(key)? {
            each(&value);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let mode = IteratorMode::From(from, Direction::Forward);
        for pair in self.db.iterator(mode).take(limit) {
            let (key, value) = pair?;
            each(&key, &value);
        }
        Ok(())
    }
}

impl OpenStore for RocksDb {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.write)?)
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in pairs {
            batch.put(key, value);
        }
        Ok(self.db.write_opt(batch, &self.write)?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.flush_wal(true)?)
    }

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        let mut batch = WriteBatch::default();
        keys.iter().for_each(|key| batch.delete(key));
        Ok(self.db.write_opt(batch, &self.write)?)
    }

    fn len(&self) -> Result<u64> {
        let mut count = 0;
        self.scan(&[], usize::MAX, &mut |_, _| count += 1)?;
        Ok(count)
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(self)
    }

    fn compact(self: Box<Self>, _: &Path) -> Result<()> {
        self.db.flush()?;
        self.db.compact_range::<&[u8], &[u8]>(None, None);
        self.close()
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
