//! What happens between the steps of a flush, one step at a time.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cairn_lsm::{EntryRef, Position, Tree, TreeOptions, Version};
use cairn_vfs::{DirEntry, DirWatcher, MemVfs, OpenMode, SeededRng, Vfs, VfsFile, VfsLock};

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

    fn decode(entry: &EntryRef<'_>, _: bool) -> Option<Self> {
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
    let ((), before) = tree.prepare(key.as_bytes(), |_| ()).expect("reads");
    tree.insert(key.as_bytes(), Bare { sequence, tombstone }, before);
}

fn at(lsn: u64) -> Position {
    Position { lsn, leaf: [0; 32] }
}

fn lives(tree: &Tree<Bare>, key: &str) -> bool {
    let found = tree.get(key.as_bytes(), u64::MAX).expect("gets");
    found.is_some_and(|version| !version.tombstone)
}

/// Runs something once, when the next table is created: a flush has copied what it writes then,
/// and has not ended.
#[derive(Clone, Default)]
struct Hooked {
    disk: MemVfs,
    hook: Arc<Mutex<Option<Hook>>>,
}

type Hook = Box<dyn FnOnce() + Send>;

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.disk.fmt(f)
    }
}

impl Vfs for Hooked {
    fn open(&self, path: &str, mode: OpenMode) -> cairn_vfs::Result<Arc<dyn VfsFile>> {
        if path.ends_with(".table") && mode == OpenMode::Create {
            let hook = self.hook.lock().expect("not poisoned").take();
            if let Some(hook) = hook {
                hook();
            }
        }
        self.disk.open(path, mode)
    }

    fn exists(&self, path: &str) -> cairn_vfs::Result<bool> {
        self.disk.exists(path)
    }

    fn list(&self, dir: &str) -> cairn_vfs::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn create_dir_all(&self, dir: &str) -> cairn_vfs::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn rename(&self, from: &str, to: &str) -> cairn_vfs::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> cairn_vfs::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &str) -> cairn_vfs::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn hard_link(&self, from: &str, to: &str) -> cairn_vfs::Result<()> {
        self.disk.hard_link(from, to)
    }

    fn lock(&self, path: &str) -> cairn_vfs::Result<Box<dyn VfsLock>> {
        self.disk.lock(path)
    }

    fn free_space(&self) -> cairn_vfs::Result<u64> {
        self.disk.free_space()
    }

    fn supports_map(&self) -> bool {
        self.disk.supports_map()
    }

    fn watch(&self, dir: &str) -> cairn_vfs::Result<Box<dyn DirWatcher>> {
        self.disk.watch(dir)
    }
}

#[test]
fn a_key_deleted_and_compacted_while_it_is_flushed_stays_deleted() {
    let disk = Hooked::default();
    let options = TreeOptions { memory_len: 0, ..TreeOptions::default() };
    let rng = SeededRng::new(1);
    let vfs = Arc::new(disk.clone());
    let opened = Tree::<Bare>::open(vfs, "tables", options, &rng, [1; 16], |_| Ok(true));
    let tree = Arc::new(opened.expect("opens").0);
    // Evicted at once, so that tables are looked at from here on.
    write(&tree, "other", 1, false);
    let flush = tree.begin_flush(1, Bytes::new());
    tree.write_flush(flush, at(1)).expect("writes");
    tree.trim(100);
    write(&tree, "k", 2, false);
    let flush = tree.begin_flush(2, Bytes::new());
    let beside = tree.clone();
    let hook: Hook = Box::new(move || {
        write(&beside, "k", 3, true);
        beside.set_oldest(3);
        beside.compact_memory();
    });
    *disk.hook.lock().expect("not poisoned") = Some(hook);
    tree.write_flush(flush, at(2)).expect("writes");
    assert!(disk.hook.lock().expect("not poisoned").is_none(), "it came in between");
    assert!(!lives(&tree, "k"), "the tombstone is in memory");
    let flush = tree.begin_flush(3, Bytes::new());
    tree.write_flush(flush, at(3)).expect("writes");
    tree.trim(100);
    assert!(!lives(&tree, "k"), "the tombstone is in a table");
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    assert_eq!(tree.count(all).expect("counts"), Some(1));
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
    assert_eq!(tree.stats().memory_version_count, 0, "all of it was evicted");
    assert!(lives(&tree, "key123") && lives(&tree, "key499"));
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
