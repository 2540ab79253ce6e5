//! What happens between the steps of a flush, one step at a time.

use std::sync::Arc;

use bytes::Bytes;
use cairn_lsm::{EntryRef, Position, Tree, TreeOptions, Version};
use cairn_vfs::{MemVfs, SeededRng};

/// A version that is all sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bare {
    sequence: u64,
    tombstone: bool,
}

impl Version for Bare {
    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn is_tombstone(&self) -> bool {
        self.tombstone
    }

    fn reference(&self) -> u64 {
        self.sequence
    }

    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(entry: &EntryRef<'_>) -> Option<Self> {
        Some(Self { sequence: entry.sequence, tombstone: entry.tombstone })
    }

    fn heap_len(&self) -> usize {
        0
    }
}

fn tree(disk: &MemVfs) -> Tree<Bare> {
    let options = TreeOptions { memory_len: 0, ..TreeOptions::default() };
    let (vfs, rng) = (Arc::new(disk.clone()), SeededRng::new(1));
    Tree::open(vfs, "tables", options, &rng, [1; 16], |_| Ok(true)).expect("opens").0
}

fn write(tree: &Tree<Bare>, key: &str, sequence: u64, tombstone: bool) {
    let _writing = tree.begin_write();
    tree.load(key.as_bytes()).expect("loads");
    tree.insert(key.as_bytes(), Bare { sequence, tombstone });
}

fn at(lsn: u64) -> Position {
    Position { lsn, leaf: [0; 32] }
}

fn lives(tree: &Tree<Bare>, key: &str) -> bool {
    let found = tree.get(key.as_bytes(), u64::MAX).expect("gets");
    found.is_some_and(|version| !version.tombstone)
}

#[test]
fn a_key_deleted_and_compacted_while_it_is_flushed_stays_deleted() {
    let disk = MemVfs::new();
    let tree = tree(&disk);
    write(&tree, "k", 1, false);
    let flush = tree.begin_flush(1, Bytes::new());
    write(&tree, "k", 2, true);
    tree.set_oldest(2);
    tree.compact_memory();
    tree.write_flush(flush, at(1)).expect("writes");
    assert!(!lives(&tree, "k"), "the tombstone is in memory");
    let flush = tree.begin_flush(2, Bytes::new());
    tree.write_flush(flush, at(2)).expect("writes");
    tree.trim(100);
    assert!(!lives(&tree, "k"), "the tombstone is in a table");
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    assert_eq!(tree.count(all).expect("counts").unwrap_or(0), 0);
}

#[test]
fn a_flush_that_was_given_up_is_in_the_next_one() {
    let disk = MemVfs::new();
    let first = tree(&disk);
    write(&first, "a", 1, false);
    let flush = first.begin_flush(1, Bytes::new());
    write(&first, "b", 2, false);
    first.abandon_flush(flush);
    let flush = first.begin_flush(2, Bytes::new());
    first.write_flush(flush, at(2)).expect("writes");
    drop(first);
    let second = tree(&disk);
    assert!(lives(&second, "a") && lives(&second, "b"));
    assert_eq!(second.stats().table_version_count, 2);
}

#[test]
fn a_full_disk_fails_the_flush_and_loses_nothing() {
    let disk = MemVfs::new();
    let tree = tree(&disk);
    for n in 0..500 {
        write(&tree, &format!("key{n:03}"), n + 1, false);
    }
    disk.set_capacity(Some(100));
    let flush = tree.begin_flush(500, Bytes::new());
    let error = tree.write_flush(flush, at(500)).expect_err("no space");
    assert_eq!(error.kind(), cairn_types::ErrorKind::Full, "{error}");
    assert!(lives(&tree, "key123"));
    disk.set_capacity(None);
    let flush = tree.begin_flush(500, Bytes::new());
    tree.write_flush(flush, at(500)).expect("writes now");
    for _ in 0..100 {
        tree.trim(100);
    }
    assert!(lives(&tree, "key123") && lives(&tree, "key499"));
    assert_eq!(tree.stats().memory_version_count, 0, "all of it was evicted");
}

#[test]
fn readers_beside_a_writer_see_every_key_through_flushes_merges_and_evictions() {
    let disk = MemVfs::new();
    let tree = Arc::new(tree(&disk));
    write(&tree, "fixed", 1, false);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut looks = 0_u64;
                while !done.load(std::sync::atomic::Ordering::Acquire) || looks < 100 {
                    assert!(lives(&tree, "fixed"), "after {looks} looks");
                    looks += 1;
                }
            });
        }
        for round in 0..150_u64 {
            for n in 0..20 {
                write(&tree, &format!("k{n}"), 2 + round * 20 + n, false);
            }
            let last = 1 + (round + 1) * 20;
            let flush = tree.begin_flush(last, Bytes::new());
            tree.write_flush(flush, at(last)).expect("writes");
            tree.trim(50);
            while tree.work(1000).expect("merges") {}
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    });
}
