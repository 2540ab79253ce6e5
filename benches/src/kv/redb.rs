//! redb: copy-on-write B-trees in one file.

use super::{Mode, OpenStore, Pair, Peer};
use anyhow::Result;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::path::Path;

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("k");

struct Redb {
    db: Database,
    durability: Durability,
}

pub fn peer() -> Peer {
    Peer {
        name: "redb",
        buffered: Err("an unsynced commit lives in its memory only"),
        durable: Ok("each commit synced"),
        load: "in its memory until the last commit",
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenStore>> {
    std::fs::create_dir_all(dir)?;
    let durability = match mode {
        Mode::Buffered => Durability::None,
        Mode::Durable => Durability::Immediate,
    };
    let store = Redb { db: Database::create(dir.join("data.redb"))?, durability };
    store.write(&[], Durability::Immediate)?;
    Ok(Box::new(store))
}

impl Redb {
    fn write(&self, pairs: &[(&[u8], &[u8])], durability: Durability) -> Result<()> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(durability)?;
        let mut table = transaction.open_table(TABLE)?;
        for (key, value) in pairs {
            table.insert(key, value)?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }
}

impl OpenStore for Redb {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(&[(key, value)], self.durability)
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
        self.write(&pairs, self.durability)
    }

    fn sync(&self) -> Result<()> {
        self.write(&[], Durability::Immediate)
    }

    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let table = self.db.begin_read()?.open_table(TABLE)?;
        if let Some(value) = table.get(key)? {
            each(value.value());
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let table = self.db.begin_read()?.open_table(TABLE)?;
        for pair in table.range(from..)?.take(limit) {
            let (key, value) = pair?;
            each(key.value(), value.value());
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
