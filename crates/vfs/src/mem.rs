//! A directory tree in memory: for tests and for logs that need not outlive the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crate::path::{check, check_dir, split};
use crate::{
    DirEntry, DirWatcher, Error, FaultKind, Mapping, Op, OpenMode, Result, Vfs, VfsFile, VfsLock,
};

type Content = Arc<RwLock<Vec<u8>>>;

#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<String, Content>,
    dirs: BTreeSet<String>,
    locks: BTreeSet<String>,
    capacity: Option<u64>,
    changes: u64,
}

#[derive(Debug, Default)]
struct Shared {
    tree: Mutex<Tree>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_change(&self, tree: &mut Tree) {
        tree.changes += 1;
        self.changed.notify_all();
    }
}

/// A directory tree in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemVfs {
    shared: Arc<Shared>,
}

impl MemVfs {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An independent copy of all files, without locks and limit: what another process finds.
    #[must_use]
    pub fn fork(&self) -> Self {
        let tree = self.shared.lock();
        let copy = |content: &Content| {
            Arc::new(RwLock::new(content.read().unwrap_or_else(PoisonError::into_inner).clone()))
        };
        let forked = Tree {
            files: tree.files.iter().map(|(path, content)| (path.clone(), copy(content))).collect(),
            dirs: tree.dirs.clone(),
            ..Tree::default()
        };
        Self { shared: Arc::new(Shared { tree: Mutex::new(forked), changed: Condvar::new() }) }
    }

    /// Limits the bytes of all files together; `None` for no limit. What is there stays.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.shared.lock().capacity = capacity;
    }

    /// All paths, for tests that change bytes behind the store's back.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.shared.lock().files.keys().cloned().collect()
    }

    /// Changes a file's bytes directly; does nothing when it is absent.
    pub fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(content) = self.shared.lock().files.get(path) {
            change(&mut content.write().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn used(tree: &Tree) -> u64 {
    let len = |content: &Content| content.read().unwrap_or_else(PoisonError::into_inner).len();
    tree.files.values().map(|content| len(content) as u64).sum()
}

impl Vfs for MemVfs {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>> {
        check(Op::Open, path)?;
        let mut tree = self.shared.lock();
        let existing = tree.files.get(path).cloned();
        let content = match (existing, mode) {
            (Some(_), OpenMode::Create) => {
                return Err(Error::new(Op::Open, path, FaultKind::AlreadyExists));
            }
            (Some(content), _) => content,
            (None, OpenMode::Read | OpenMode::ReadWrite) => {
                return Err(Error::new(Op::Open, path, FaultKind::NotFound));
            }
            (None, OpenMode::Create | OpenMode::CreateOrOpen) => {
                let (dir, _) = split(path);
                if !dir.is_empty() && !tree.dirs.contains(dir) {
                    return Err(Error::new(Op::Open, path, FaultKind::NotFound));
                }
                let content = Content::default();
                tree.files.insert(path.to_owned(), content.clone());
                self.shared.note_change(&mut tree);
                content
            }
        };
        let writable = mode != OpenMode::Read;
        let shared = self.shared.clone();
        Ok(Arc::new(MemFile { path: path.to_owned(), content, shared, writable }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        check(Op::Inspect, path)?;
        let tree = self.shared.lock();
        Ok(tree.files.contains_key(path) || tree.dirs.contains(path))
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>> {
        check_dir(Op::List, dir)?;
        let tree = self.shared.lock();
        if !dir.is_empty() && !tree.dirs.contains(dir) {
            return Err(Error::new(Op::List, dir, FaultKind::NotFound));
        }
        let file = |(path, content): (&String, &Content)| DirEntry {
            name: split(path).1.to_owned(),
            len: content.read().unwrap_or_else(PoisonError::into_inner).len() as u64,
            is_dir: false,
        };
        let inside = |path: &str| split(path).0 == dir && !path.is_empty();
        let files = tree.files.iter().filter(|(path, _)| inside(path)).map(file);
        let dirs = tree.dirs.iter().filter(|path| inside(path)).map(|path| DirEntry {
            name: split(path).1.to_owned(),
            len: 0,
            is_dir: true,
        });
        let mut entries: Vec<_> = files.chain(dirs).collect();
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &str) -> Result<()> {
        check_dir(Op::CreateDir, dir)?;
        let mut tree = self.shared.lock();
        for (end, _) in dir.match_indices('/').chain([(dir.len(), "")]) {
            if end > 0 {
                tree.dirs.insert(dir[..end].to_owned());
            }
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check(Op::Rename, from)?;
        check(Op::Rename, to)?;
        let mut tree = self.shared.lock();
        let content = tree.files.remove(from);
        let content = content.ok_or_else(|| Error::new(Op::Rename, from, FaultKind::NotFound))?;
        tree.files.insert(to.to_owned(), content);
        self.shared.note_change(&mut tree);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        check(Op::Remove, path)?;
        let mut tree = self.shared.lock();
        let removed = tree.files.remove(path);
        removed.ok_or_else(|| Error::new(Op::Remove, path, FaultKind::NotFound))?;
        self.shared.note_change(&mut tree);
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        check_dir(Op::SyncDir, dir)
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        check(Op::Link, from)?;
        check(Op::Link, to)?;
        let mut tree = self.shared.lock();
        let content = tree.files.get(from).cloned();
        let content = content.ok_or_else(|| Error::new(Op::Link, from, FaultKind::NotFound))?;
        if tree.files.contains_key(to) {
            return Err(Error::new(Op::Link, to, FaultKind::AlreadyExists));
        }
        tree.files.insert(to.to_owned(), content);
        self.shared.note_change(&mut tree);
        Ok(())
    }

    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>> {
        check(Op::Lock, path)?;
        let mut tree = self.shared.lock();
        if !tree.locks.insert(path.to_owned()) {
            return Err(Error::new(Op::Lock, path, FaultKind::Locked));
        }
        Ok(Box::new(MemLock { path: path.to_owned(), shared: self.shared.clone() }))
    }

    fn free_space(&self) -> Result<u64> {
        let tree = self.shared.lock();
        Ok(tree.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used(&tree))))
    }

    fn supports_map(&self) -> bool {
        false
    }

    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>> {
        check_dir(Op::Watch, dir)?;
        let seen = self.shared.lock().changes;
        Ok(Box::new(MemWatcher { shared: self.shared.clone(), seen }))
    }
}

#[derive(Debug)]
struct MemLock {
    path: String,
    shared: Arc<Shared>,
}

impl VfsLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.shared.lock().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct MemWatcher {
    shared: Arc<Shared>,
    seen: u64,
}

impl DirWatcher for MemWatcher {
    fn wait(&mut self, timeout: Duration) -> Result<bool> {
        let tree = self.shared.lock();
        let seen = self.seen;
        let waited = self.shared.changed.wait_timeout_while(tree, timeout, |t| t.changes == seen);
        let (tree, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.seen = tree.changes;
        Ok(tree.changes != seen)
    }
}

#[derive(Debug)]
struct MemFile {
    path: String,
    content: Content,
    shared: Arc<Shared>,
    writable: bool,
}

impl MemFile {
    /// Grows to `len` if there is room and the handle may write.
    fn grow(&self, op: Op, len: u64) -> Result<()> {
        if !self.writable {
            return Err(Error::new(op, &self.path, FaultKind::Permissions));
        }
        let tree = self.shared.lock();
        let now = self.content.read().unwrap_or_else(PoisonError::into_inner).len() as u64;
        if let Some(capacity) = tree.capacity
            && len > now
            && used(&tree).saturating_add(len - now) > capacity
        {
            return Err(Error::new(op, &self.path, FaultKind::NoSpace));
        }
        let len =
            usize::try_from(len).map_err(|_| Error::new(op, &self.path, FaultKind::NoSpace))?;
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        if content.len() < len {
            content.resize(len, 0);
        }
        Ok(())
    }
}

impl VfsFile for MemFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        Ok(copy_from(&content, position, buffer))
    }

    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        let end = position.checked_add(bytes.len() as u64);
        let end = end.ok_or_else(|| Error::new(Op::Write, &self.path, FaultKind::NoSpace))?;
        self.grow(Op::Write, end)?;
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(position).expect("inside a vector");
        content[start..start + bytes.len()].copy_from_slice(bytes);
        drop(content);
        let mut tree = self.shared.lock();
        self.shared.note_change(&mut tree);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.content.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.grow(Op::SetLen, len)?;
        let len = usize::try_from(len).expect("grow accepted it");
        self.content.write().unwrap_or_else(PoisonError::into_inner).truncate(len);
        Ok(())
    }

    fn allocate(&self, position: u64, len: u64) -> Result<()> {
        self.grow(Op::Allocate, position.saturating_add(len))
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> Result<()> {
        Ok(())
    }

    fn map(&self, _len: u64) -> Result<Mapping> {
        Err(Error::new(Op::Map, &self.path, FaultKind::Unsupported))
    }
}

/// Copies what `content` has at `position`.
pub(crate) fn copy_from(content: &[u8], position: u64, buffer: &mut [u8]) -> usize {
    let start = usize::try_from(position).unwrap_or(usize::MAX).min(content.len());
    let count = buffer.len().min(content.len() - start);
    buffer[..count].copy_from_slice(&content[start..start + count]);
    count
}
