//! The store as one piece, on a real directory.

use std::sync::Arc;

use cairn_lsm::{Batch, Error, LsmOptions, LsmTree, TreeOptions};
use cairn_vfs::{MemVfs, SeededRng};

#[test]
fn what_was_written_is_there_after_a_reopen_without_replaying_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store");
    let tree = LsmTree::open(&path).expect("opens");
    let pairs = (0..5000_u32).map(|n| (n.to_be_bytes(), n.to_le_bytes()));
    assert_eq!(tree.ingest(pairs).expect("loads"), 5000);
    tree.close().expect("closes");
    drop(tree);
    let tree = LsmTree::open(&path).expect("opens");
    assert_eq!(tree.stats().memory_version_count, 0, "all of it is in tables");
    assert_eq!(tree.get(&77_u32.to_be_bytes()).expect("gets").as_deref(), Some(&[77, 0, 0, 0][..]));
    assert_eq!(tree.get(&9999_u32.to_be_bytes()).expect("gets"), None);
    assert_eq!(tree.count(..).expect("counts"), 5000);
    assert_eq!(tree.scan(..).count(), 5000);
    assert_eq!(tree.scan(..).rev().take(3).count(), 3);
}

#[test]
fn unsorted_keys_are_refused_by_ingest() {
    let dir = tempfile::tempdir().expect("a directory");
    let tree = LsmTree::open(dir.path().join("store")).expect("opens");
    let error = tree.ingest([("b", "1"), ("a", "2")]).expect_err("refuses");
    assert!(matches!(error, Error::NotRising { index: 1 }), "{error}");
    assert_eq!(tree.count(..).expect("counts"), 0);
}

#[test]
fn sorted_tables_are_moved_and_not_written_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let tree_options = TreeOptions { flush_len: 64 << 10, ..TreeOptions::default() };
    let options = LsmOptions { tree: tree_options, ..LsmOptions::default() };
    let tree = LsmTree::open_with(dir.path().join("store"), options).expect("opens");
    tree.ingest((0..20_000_u32).map(|n| (n.to_be_bytes(), [b'v'; 50]))).expect("loads");
    let stats = tree.stats();
    assert!(stats.table_count >= 19, "{stats:?}");
    assert_eq!(stats.merged_version_count, 0, "{stats:?}");
}

#[test]
fn compressed_tables_are_smaller_and_read_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut lens = Vec::new();
    for compression in [cairn_codec::Compression::None, cairn_codec::Compression::Lz4] {
        let tree_options = TreeOptions { compression, memory_len: 1 << 10, ..Default::default() };
        let options = LsmOptions { tree: tree_options, ..LsmOptions::default() };
        let path = dir.path().join(format!("{compression:?}"));
        let tree = LsmTree::open_with(path, options).expect("opens");
        let mut batch = Batch::new();
        (0..3000_u32).for_each(|n| batch.put(&n.to_be_bytes(), &[b'z'; 80]));
        tree.write(&batch).expect("writes");
        tree.merge_all().expect("merges");
        assert_eq!(tree.scan(..).count(), 3000);
        assert_eq!(tree.get(&5_u32.to_be_bytes()).expect("gets").as_deref(), Some(&[b'z'; 80][..]));
        lens.push(tree.stats().table_len);
    }
    assert!(lens[1] * 2 < lens[0], "{lens:?}");
}

#[test]
fn a_data_set_larger_than_the_memory_budget_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let tree_options = TreeOptions {
        memory_len: 256 << 10,
        flush_len: 128 << 10,
        level_len: 1 << 20,
        table_len: 512 << 10,
        ..Default::default()
    };
    let log = cairn_segment::LogConfig {
        durability: cairn_types::Durability::Buffered,
        ..Default::default()
    };
    let options = LsmOptions { tree: tree_options, log };
    let tree = LsmTree::open_with(dir.path().join("store"), options).expect("opens");
    let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    for piece in 0..60 {
        let mut batch = Batch::new();
        (piece * 500..(piece + 1) * 500).for_each(|n| batch.put(&key(n), &[b'v'; 100]));
        tree.write(&batch).expect("writes");
    }
    let stats = tree.stats();
    assert!(stats.memory_len < 1 << 20, "{stats:?}");
    assert!(stats.table_count > 1, "{stats:?}");
    for n in (0..30_000).step_by(37) {
        assert!(tree.get(&key(n)).expect("gets").is_some(), "{n}");
    }
    assert_eq!(tree.count(..).expect("counts"), 30_000);
    tree.verify().expect("well");
}

#[test]
fn levels_that_may_hold_nothing_still_end_at_the_last_one() {
    let vfs = MemVfs::new();
    let open = || {
        let tree = TreeOptions { level_len: 0, ..crate::small().tree };
        let options = LsmOptions { tree, ..crate::small() };
        LsmTree::open_on(Arc::new(vfs.clone()), Arc::new(SeededRng::new(1)), options)
    };
    let tree = open().expect("opens");
    for number in 0..2000_u32 {
        tree.put(&number.to_be_bytes(), &[b'v'; 100]).expect("puts");
    }
    tree.close().expect("closes");
    drop(tree);
    let tree = open().expect("opens");
    let stats = tree.stats();
    assert!(stats.table_count > 0, "the tables were not thrown away: {stats:?}");
    assert_eq!(stats.memory_version_count, 0, "nothing was replayed");
    assert_eq!(tree.count(..).expect("counts"), 2000);
}
