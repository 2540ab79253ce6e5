//! Cairn's keyspaces: revisions, chain and checksums always on.

use super::{Mode, OpenStore, Pair, Peer};
use anyhow::Result;
use bytes::Bytes;
use cairn_engine::{Engine, Keyspace};
use cairn_mvcc::Range;
use std::path::Path;

const KEYSPACE: &str = "k";

struct Cairn {
    engine: Engine,
    keys: Keyspace,
}

pub fn peer() -> Peer {
    Peer {
        name: "cairn-engine",
        buffered: Ok("written to the OS; revisions, chain and CRC"),
        durable: Ok(
            "fdatasync before each acknowledgement, shared by threads; revisions, chain and CRC",
        ),
        load: "written to the OS; revisions, chain and CRC",
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenStore>> {
    let mode = match mode {
        Mode::Buffered => crate::log::Mode::Buffered,
        Mode::Durable => crate::log::Mode::Durable,
    };
    let engine = Engine::open_with(dir, crate::log::cairn_config(mode))?;
    engine.create_keyspace(KEYSPACE)?;
    let keys = engine.keyspace(KEYSPACE)?;
    Ok(Box::new(Cairn { engine, keys }))
}

impl OpenStore for Cairn {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keys.put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))?;
        Ok(())
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let copy =
            |(key, value): &Pair| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.keys.put_all(pairs.iter().map(copy))?;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(self.engine.log().sync()?)
    }

    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = self.keys.get(key)? {
            each(&value);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let range = Range::from_key(Bytes::copy_from_slice(from));
        for kv in self.keys.scan(range, 0)?.take(limit) {
            let kv = kv?;
            each(&kv.key, &kv.value);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.engine.close()?)
    }
}
