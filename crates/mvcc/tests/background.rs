//! The thread that flushes and merges, on a real directory.

use std::sync::Arc;

use crate::S;
use cairn_mvcc::*;
use cairn_segment::{Log, LogConfig};
use cairn_types::Durability;
use cairn_vfs::StdVfs;

fn open(dir: &std::path::Path) -> Store {
    open_with(dir, 2 << 10)
}

fn open_with(dir: &std::path::Path, hot_len: usize) -> Store {
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let vfs = Arc::new(StdVfs::create(dir).expect("a directory"));
    let log = Log::options().vfs(vfs).config(config).open().expect("opens");
    let tree =
        TreeOptions { memory_len: 64 << 10, flush_len: 16 << 10, hot_len, ..crate::cramped() };
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
fn a_key_is_never_missed_nor_read_older_on_its_way_between_memory_index_and_tables() {
    use std::sync::atomic::{AtomicU64, Ordering};
    for hot_len in [0, 4 << 10, 1 << 20] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_with(dir.path(), hot_len);
        let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
        let keys = 900_u64;
        let newest: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for reader in 0..2_u64 {
                let (store, newest, done) = (&store, &newest, &done);
                scope.spawn(move || {
                    let mut looks = reader;
                    while done.load(Ordering::Acquire) == 0 {
                        looks = looks.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let n = (looks >> 33) % keys;
                        // Twice the same key at times: the second read may take it into memory.
                        for _ in 0..1 + looks % 3 {
                            let known = newest[n as usize].load(Ordering::Acquire);
                            let found = store.value(S, &key(n)).expect("gets");
                            let count = found.map_or(0, |found| {
                                u64::from_le_bytes(found[..8].try_into().expect("8 bytes"))
                            });
                            assert!(count >= known, "key {n}: {count} after {known}");
                        }
                        let nobody = store.value(S, &key(n + keys)).expect("gets");
                        assert!(nobody.is_none());
                    }
                });
            }
            let mut random = 7_u64;
            for round in 1..=6_000_u64 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let n = (random >> 33) % keys;
                let mut value = vec![0; if n.is_multiple_of(5) { 300 } else { 60 }];
                value[..8].copy_from_slice(&round.to_le_bytes());
                store.put(Put::new(S, key(n), value)).expect("puts");
                newest[n as usize].store(round, Ordering::Release);
            }
            done.store(1, Ordering::Release);
        });
        let stats = store.tree_stats();
        assert!(stats.table_count > 0 && !stats.is_complete, "{stats:?}");
        assert!(stats.hot_len <= (hot_len as u64).max(64), "{stats:?}");
        assert_eq!(store.key_count(S).expect("counts"), {
            newest.iter().filter(|newest| newest.load(Ordering::Acquire) > 0).count() as u64
        });
    }
}

#[test]
fn an_older_version_of_a_key_that_was_written_again_is_read_from_the_tables() {
    let mut lab = crate::Lab::cramped();
    lab.options.tree.hot_len = 1 << 20;
    let store = lab.open();
    let first = crate::put(&store, "key", "old");
    for n in 0..200_u32 {
        crate::put(&store, &format!("other{n}"), "value");
    }
    assert!(store.tree_stats().table_count > 0 && !store.tree_stats().is_complete);
    let second = crate::put(&store, "key", "new");
    let value = |revision| {
        let found = store.get_at(S, b"key", revision).expect("reads");
        found.map(|found| (found.value, found.version))
    };
    assert_eq!(value(first), Some(("old".into(), 1)));
    assert_eq!(value(second - 1), Some(("old".into(), 1)));
    assert_eq!(value(second), Some(("new".into(), 2)));
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
    // Merges that writers would wait for keep to no rate; when the thread comes to them is not
    // for this test to say.
    let is_merged = || store.tree_stats().merged_version_count > 0;
    for number in 0..400_000_u64 {
        let key = (number % 1000).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
        store.put(Put::new(S, key, vec![7; 90])).expect("puts");
        if number >= 4000 && number.is_multiple_of(1000) && is_merged() {
            break;
        }
    }
    assert!(is_merged());
    store.compact(store.revision()).expect("compacts");
    assert_eq!(store.key_count(S).expect("counts"), 1000);
    // At its rate the thread would be busy for hours: it ends at once.
    drop(store);
}
