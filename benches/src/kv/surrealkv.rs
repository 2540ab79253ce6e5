//! surrealkv: a log-structured merge tree with asynchronous commits.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use anyhow::Result;
use std::path::Path;
use surrealkv::{
    CompactRangeOptions, Durability, LSMIterator, Mode as TransactionMode, Transaction, Tree,
    TreeBuilder,
};
use tokio::runtime::Runtime;

struct SurrealKv {
    runtime: Runtime,
    tree: Tree,
    durability: Durability,
}

pub fn peer() -> Peer {
    Peer {
        name: "surrealkv",
        buffered: Ok("eventual: written to the OS"),
        durable: Ok("immediate: its log synced before each acknowledgement, shared by threads"),
        load: "eventual: written to the OS",
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenStore>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let guard = runtime.enter();
    let tree = TreeBuilder::new().with_path(dir.to_path_buf()).build()?;
    drop(guard);
    let durability = match mode {
        Mode::Buffered => Durability::Eventual,
        Mode::Durable => Durability::Immediate,
    };
    Ok(Box::new(SurrealKv { runtime, tree, durability }))
}

impl SurrealKv {
    fn write<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        let mut transaction = self.tree.begin_with_mode(TransactionMode::WriteOnly)?;
        transaction.set_durability(self.durability);
        for (key, value) in pairs {
            transaction.set(key, value)?;
        }
        Ok(self.runtime.block_on(transaction.commit())?)
    }
}

/// The tree as one transaction sees it.
struct View<'a>(&'a Transaction);

impl Reads for View<'_> {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = self.0.get(key)? {
            each(&value);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        // Keys have at most 16 bytes: this end lies behind all of them.
        let mut iterator = self.0.range(from, &[0xff; 17])?;
        iterator.seek_first()?;
        let mut count = 0;
        while count < limit && iterator.valid() {
            each(iterator.key().user_key(), &iterator.value()?);
            iterator.next()?;
            count += 1;
        }
        Ok(())
    }
}

impl Reads for SurrealKv {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        View(&self.tree.begin_with_mode(TransactionMode::ReadOnly)?).get(key, each)
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        View(&self.tree.begin_with_mode(TransactionMode::ReadOnly)?).scan(from, limit, each)
    }
}

impl OpenStore for SurrealKv {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(std::iter::once((key, value)))
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        self.write(pairs.iter().map(|(key, value)| (key.as_slice(), value.as_slice())))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.tree.flush_wal(true)?)
    }

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        let mut transaction = self.tree.begin_with_mode(TransactionMode::WriteOnly)?;
        transaction.set_durability(self.durability);
        for key in keys {
            transaction.delete(key.as_slice())?;
        }
        Ok(self.runtime.block_on(transaction.commit())?)
    }

    fn len(&self) -> Result<u64> {
        let mut count = 0;
        self.scan(&[], usize::MAX, &mut |_, _| count += 1)?;
        Ok(count)
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(&View(&self.tree.begin_with_mode(TransactionMode::ReadOnly)?))
    }

    fn compact(self: Box<Self>, _: &Path) -> Result<()> {
        self.tree.compact_range(None, None, &CompactRangeOptions::default())?;
        self.close()
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.runtime.block_on(self.tree.close())?)
    }
}
