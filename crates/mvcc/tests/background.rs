//! The thread that flushes and merges, on a real directory.

use std::sync::Arc;

use crate::S;
use cairn_mvcc::*;
use cairn_segment::{Log, LogConfig};
use cairn_types::Durability;
use cairn_vfs::StdVfs;

fn open(dir: &std::path::Path) -> Store {
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let vfs = Arc::new(StdVfs::create(dir).expect("a directory"));
    let log = Log::options().vfs(vfs).config(config).open().expect("opens");
    let tree = TreeOptions { memory_len: 64 << 10, flush_len: 16 << 10, ..crate::cramped() };
    Store::open_with(log, Options { tree, ..Options::default() }).expect("opens")
}

#[test]
fn a_store_that_was_let_go_of_can_be_opened_again_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut written = 0_u64;
    for _ in 0..20 {
        let store = open(dir.path());
        for _ in 0..300 {
            store.put(Put::new(S, written.to_be_bytes().to_vec(), vec![7; 90])).expect("puts");
            written += 1;
        }
        // Its thread is flushing or merging now, as likely as not.
        drop(store);
    }
    let store = open(dir.path());
    assert_eq!(store.key_count(S).expect("counts"), written);
    assert!(store.tree_stats().table_count > 0, "the thread did its work");
}

#[test]
fn readers_and_a_writer_beside_the_thread_see_what_they_should() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
    let written = std::sync::atomic::AtomicU64::new(0);
    let end = 6000;
    std::thread::scope(|scope| {
        for reader in 0..2_u64 {
            let (store, written) = (&store, &written);
            scope.spawn(move || {
                let mut looks = reader;
                loop {
                    let known = written.load(std::sync::atomic::Ordering::Acquire);
                    if known == end {
                        break;
                    }
                    looks = looks.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if known == 0 {
                        continue;
                    }
                    let n = (looks >> 33) % known;
                    let found = store.value(S, &key(n)).expect("gets").expect("was acknowledged");
                    assert!(found.len() == 90 || found.len() == 40);
                    if looks.is_multiple_of(64) {
                        let count = store.key_count(S).expect("counts");
                        assert!(count >= known.min(end) / 2, "{count} of {known}");
                    }
                }
            });
        }
        for n in 0..end {
            store.put(Put::new(S, key(n), vec![7; 90])).expect("puts");
            if n % 3 == 0 {
                store.put(Put::new(S, key(n / 2), vec![8; 40])).expect("puts");
            }
            if n % 1000 == 999 {
                store.compact(store.revision()).expect("compacts");
            }
            written.store(n + 1, std::sync::atomic::Ordering::Release);
        }
    });
    assert_eq!(store.key_count(S).expect("counts"), end);
    store.verify_tables().expect("tables are well");
}

#[test]
fn a_rate_of_almost_nothing_stops_no_writer_and_no_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let vfs = Arc::new(StdVfs::create(dir.path()).expect("a directory"));
    let log = Log::options().vfs(vfs).config(config).open().expect("opens");
    let tree = TreeOptions { memory_len: 64 << 10, flush_len: 16 << 10, ..crate::cramped() };
    let options = Options { tree, background_rate: 1, ..Options::default() };
    let store = Store::open_with(log, options).expect("opens");
    store.keep_latest_only(S);
    for number in 0..4000_u64 {
        let key = (number % 1000).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
        store.put(Put::new(S, key, vec![7; 90])).expect("puts");
    }
    // Merges that writers wait for keep to no rate.
    assert!(store.tree_stats().merged_version_count > 0);
    store.compact(store.revision()).expect("compacts");
    assert_eq!(store.key_count(S).expect("counts"), 1000);
    // At its rate the thread would be busy for hours: it ends at once.
    drop(store);
}
