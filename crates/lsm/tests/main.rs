//! What the ordered store promises.

mod crashes;
mod damage;
mod interleaved;
mod model;
mod moves;
#[path = "../../cairn-tests/src/soaking.rs"]
mod soaking;
mod standalone;

use std::sync::Arc;

use cairn_lsm::{LsmOptions, LsmTree, TreeOptions};
use cairn_segment::LogConfig;
use cairn_vfs::{SeededRng, Vfs};

/// Everything small, so that few keys already flush, merge and evict.
fn small() -> LsmOptions {
    LsmOptions {
        log: LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() },
        tree: TreeOptions {
            memory_len: 4 << 10,
            flush_len: 2 << 10,
            block_len: 256,
            table_len: 4 << 10,
            level_len: 8 << 10,
            flushed_max: 2,
            ..TreeOptions::default()
        },
    }
}

fn open(vfs: Arc<dyn Vfs>, seed: u64) -> cairn_lsm::Result<LsmTree> {
    LsmTree::open_on(vfs, Arc::new(SeededRng::new(seed)), small())
}

/// All keys and values.
fn all(tree: &LsmTree) -> Vec<(Vec<u8>, Vec<u8>)> {
    let scan = tree.scan(..).map(|found| found.expect("reads"));
    scan.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}
