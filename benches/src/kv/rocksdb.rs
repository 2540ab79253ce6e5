//! RocksDB: a log-structured merge tree in C++.

use super::{Mode, OpenStore, Pair, Peer};
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

impl OpenStore for RocksDb {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.write)?)
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in pairs {
            batch.put(key, value);
        }
        Ok(self.db.write_opt(&batch, &self.write)?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.flush_wal(true)?)
    }

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

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
