//! Keys against etcd's rules, a plain model, and the faulty disk.

mod background;
mod cleaning;
mod crashes;
mod etcd;
mod etcd_leases;
mod etcd_txn;
mod etcd_watch;
mod freshness;
mod model;
mod overlapping;
mod random;
#[path = "../../cairn-tests/src/soaking.rs"]
mod soaking;
mod transactions;

use std::sync::Arc;

use cairn_mvcc::{KeyValue, Options, Put, RangeRequest, Store, TreeOptions};
use cairn_segment::{Log, LogConfig};
use cairn_types::StreamId;
use cairn_vfs::{ManualClock, MemVfs, SeededRng, Vfs};

pub(crate) const S: StreamId = StreamId::new(1);

/// A store in memory whose clock the test moves.
pub(crate) struct Lab {
    pub(crate) vfs: MemVfs,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) options: Options,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.set(cairn_types::Timestamp::from_micros(1_700_000_000_000_000));
        Self { vfs: MemVfs::new(), clock, options: Options::default() }
    }

    /// The same with an index so small that a few keys are flushed, merged and evicted.
    pub(crate) fn cramped() -> Self {
        let mut lab = Self::new();
        lab.options.tree = cramped();
        lab
    }

    pub(crate) fn open(&self) -> Store {
        let config =
            LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
        let log = Log::options()
            .vfs(Arc::new(self.vfs.clone()) as Arc<dyn Vfs>)
            .clock(self.clock.clone())
            .rng(Arc::new(SeededRng::new(5)))
            .config(config)
            .open()
            .expect("opens");
        Store::open_with(log, self.options).expect("opens")
    }
}

/// Settings under which a few keys already fill memory, tables and levels.
pub(crate) fn cramped() -> TreeOptions {
    TreeOptions {
        memory_len: 1 << 10,
        flush_len: 1 << 9,
        block_len: 128,
        table_len: 1 << 10,
        level_len: 2 << 10,
        flushed_max: 2,
        hot_len: 2 << 10,
        ..TreeOptions::default()
    }
}

pub(crate) fn store() -> Store {
    Lab::new().open()
}

pub(crate) fn put(store: &Store, key: &str, value: &str) -> u64 {
    store.put(Put::new(S, key.to_owned(), value.to_owned())).expect("puts").revision
}

pub(crate) fn get(store: &Store, key: &str) -> Option<KeyValue> {
    store.get(S, key.as_bytes()).expect("gets")
}

/// Keys and values as text.
pub(crate) fn pairs(kvs: &[KeyValue]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    kvs.iter().map(|kv| (text(&kv.key), text(&kv.value))).collect()
}

pub(crate) fn keys(store: &Store, request: &RangeRequest) -> Vec<String> {
    let kvs = store.range(request).expect("reads").kvs;
    pairs(&kvs).into_iter().map(|(key, _)| key).collect()
}
