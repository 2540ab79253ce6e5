//! redb: copy-on-write B-trees in one file.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use anyhow::Result;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTableMetadata, TableDefinition,
};
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

    fn remove_in_one(
        &self,
        batches: &mut dyn Iterator<Item = Vec<Vec<u8>>>,
        durability: Durability,
    ) -> Result<()> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(durability)?;
        let mut table = transaction.open_table(TABLE)?;
        for key in batches.flatten() {
            table.remove(key.as_slice())?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }
}

/// The table as one transaction sees it.
struct View(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Reads for View {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = self.0.get(key)? {
            each(value.value());
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        for pair in self.0.range(from..)?.take(limit) {
            let (key, value) = pair?;
            each(key.value(), value.value());
        }
        Ok(())
    }
}

impl Reads for Redb {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        View(self.db.begin_read()?.open_table(TABLE)?).get(key, each)
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        View(self.db.begin_read()?.open_table(TABLE)?).scan(from, limit, each)
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

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        self.remove_in_one(&mut std::iter::once(keys.to_vec()), self.durability)
    }

    fn load(&self, batches: &mut dyn Iterator<Item = Vec<Pair>>) -> Result<()> {
        let transaction = self.db.begin_write()?;
        let mut table = transaction.open_table(TABLE)?;
        for (key, value) in batches.flatten() {
            table.insert(key.as_slice(), value.as_slice())?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    fn remove(&self, batches: &mut dyn Iterator<Item = Vec<Vec<u8>>>) -> Result<()> {
        self.remove_in_one(batches, Durability::Immediate)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.db.begin_read()?.open_table(TABLE)?.len()?)
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(&View(self.db.begin_read()?.open_table(TABLE)?))
    }

    fn compact(mut self: Box<Self>, _: &Path) -> Result<()> {
        self.sync()?;
        while self.db.compact()? {}
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
