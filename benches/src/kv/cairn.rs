//! Cairn's keyspaces: revisions, chain and checksums always on.

use super::{Mode, OpenStore, Pair, Peer, Reads};
use anyhow::Result;
use bytes::Bytes;
use cairn_engine::{CleanKeys, Engine, Keyspace, KeyspaceRetention};
use cairn_mvcc::Range;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const KEYSPACE: &str = "k";
/// How long the tree waits between two looks at the log.
const PAUSE: Duration = Duration::from_millis(10);

struct Cairn {
    engine: Engine,
    keys: Keyspace,
    /// Makes the tree follow the log, where it does.
    tree: Option<Trailing>,
}

/// Every version kept, as a ledger: what a user gets.
pub fn peer() -> Peer {
    Peer {
        name: "cairn-engine",
        buffered: Ok("written to the OS; revisions, chain and CRC"),
        durable: Ok(
            "fdatasync before each acknowledgement, shared by threads; revisions, chain and CRC",
        ),
        load: "written to the OS; revisions, chain and CRC",
        open: |dir, mode| open(dir, mode, KeyspaceRetention::Forever, false),
    }
}

/// Only the newest versions kept, as the others do.
pub fn latest_only() -> Peer {
    Peer {
        name: "cairn-engine, latest only",
        open: |dir, mode| open(dir, mode, KeyspaceRetention::LatestOnly, false),
        ..peer()
    }
}

/// With a tree of proofs that follows the log all the time.
pub fn with_tree() -> Peer {
    Peer {
        name: "cairn-engine with tree",
        buffered: Ok("written to the OS; revisions, chain, CRC, tree following"),
        durable: Ok("fdatasync before each acknowledgement, shared by threads; revisions, chain, \
             CRC, tree following"),
        load: "written to the OS; revisions, chain, CRC, tree following",
        open: |dir, mode| open(dir, mode, KeyspaceRetention::Forever, true),
    }
}

fn open(
    dir: &Path,
    mode: Mode,
    retention: KeyspaceRetention,
    tree: bool,
) -> Result<Box<dyn OpenStore>> {
    let mode = match mode {
        Mode::Buffered => crate::log::Mode::Buffered,
        Mode::Durable => crate::log::Mode::Durable,
    };
    let engine = Engine::open_with(dir, crate::log::cairn_config(mode))?;
    engine.create_keyspace_with(KEYSPACE, retention)?;
    let keys = engine.keyspace(KEYSPACE)?;
    let tree = tree.then(|| Trailing::begin(&engine));
    Ok(Box::new(Cairn { engine, keys, tree }))
}

/// A thread that lets the tree catch up all the time.
pub struct Trailing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Trailing {
    pub fn begin(engine: &Engine) -> Self {
        let (engine, stop) = (engine.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let proofs = engine.proofs()?;
            while !stopped.load(Ordering::Relaxed) {
                proofs.catch_up()?;
                std::thread::sleep(PAUSE);
            }
            Ok(())
        });
        Self { stop, thread }
    }

    pub fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

impl Reads for Cairn {
    fn get(&self, key: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(value) = self.keys.get(key)? {
            each(&value);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let range = Range::from_key(Bytes::copy_from_slice(from));
        let mut left = limit;
        let _ = self.keys.visit(&range, 0, |kv| {
            each(kv.key, kv.value);
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(())
    }
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

    fn remove_batch(&self, keys: &[Vec<u8>]) -> Result<()> {
        self.keys.delete_all(keys.iter().map(|key| Bytes::copy_from_slice(key)))?;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(self.engine.log().sync()?)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.keys.key_count()?)
    }

    fn reading(&self, work: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        work(self)
    }

    fn count_prefix(&self, prefix: &[u8]) -> Result<u64> {
        let mut count = 0;
        let range = Range::prefix(Bytes::copy_from_slice(prefix));
        let _ = self.keys.visit(&range, 0, |kv| {
            std::hint::black_box(kv.value.first());
            count += 1;
            ControlFlow::<()>::Continue(())
        })?;
        Ok(count)
    }

    fn settle(&self) -> Result<()> {
        if self.tree.is_some() {
            self.sync()?;
            self.engine.proofs()?.catch_up()?;
        }
        Ok(())
    }

    fn compact(self: Box<Self>, _: &Path) -> Result<()> {
        self.engine.keys().compact(self.engine.revision())?;
        self.engine.keys().flush()?;
        self.engine.keys().merge_tables()?;
        let all = CleanKeys { dead_share: 0.0, roll: true, ..CleanKeys::default() };
        self.engine.clean_keyspaces(&all)?;
        self.close()
    }

    fn close(self: Box<Self>) -> Result<()> {
        let Self { engine, tree, keys } = *self;
        drop(keys);
        tree.map_or(Ok(()), Trailing::end)?;
        Ok(engine.close()?)
    }
}
