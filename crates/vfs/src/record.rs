//! A wrapper that records every change, so that a test can build each state that a power cut
//! could leave: every prefix of the changes, and within it every choice of un-synced ones.
//!
//! What a disk may do with un-synced changes is taken as wide as the fault model says: any
//! subset survives, whatever their order. What was synced survives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    DirEntry, DirWatcher, Mapping, MemVfs, OpenMode, Result, SeededRng, Vfs, VfsFile, VfsLock,
};

/// One recorded change. Files are known by number, because names change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// A name for a new file.
    Create {
        file: u64,
        path: String,
    },
    Write {
        file: u64,
        position: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        file: u64,
        len: u64,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    CreateDir {
        path: String,
    },
    SyncFile {
        file: u64,
    },
    SyncDir {
        dir: String,
    },
}

#[derive(Debug, Default)]
struct Trace {
    changes: Vec<Change>,
    /// Number of the file under a name.
    names: BTreeMap<String, u64>,
    next_file: u64,
}

/// Passes everything through and records what changes, but for links into other trees, which it
/// does not offer. Zeroes must only be written where nothing was written before.
///
/// ```
/// use cairn_vfs::{MemVfs, OpenMode, RecordVfs, Vfs};
/// use std::sync::Arc;
/// let disk = RecordVfs::new(Arc::new(MemVfs::new()));
/// let file = disk.open("a", OpenMode::Create)?;
/// file.write_all_at(0, b"x")?;
/// file.sync_all()?;
/// assert_eq!(disk.change_count(), 3);
/// // After all of it the bytes are synced, but the name is not: it may be there or not.
/// let states = disk.states_after(3, 8);
/// assert!(states.iter().any(|state| state.exists("a").unwrap_or(false)));
/// assert!(states.iter().any(|state| !state.exists("a").unwrap_or(true)));
/// # Ok::<(), cairn_vfs::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RecordVfs {
    inner: Arc<dyn Vfs>,
    trace: Arc<Mutex<Trace>>,
}

impl RecordVfs {
    /// Records what happens to `inner` from now on; it must be empty.
    #[must_use]
    pub fn new(inner: Arc<dyn Vfs>) -> Self {
        Self { inner, trace: Arc::default() }
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many changes were recorded: the crash points are 0 to this number.
    #[must_use]
    pub fn change_count(&self) -> usize {
        self.trace().changes.len()
    }

    /// Whether these bytes were ever part of one write, or of a name, also in files that are
    /// gone since.
    #[must_use]
    pub fn was_written(&self, needle: &[u8]) -> bool {
        let holds =
            |bytes: &[u8]| bytes.windows(needle.len().max(1)).any(|window| window == needle);
        self.trace().changes.iter().any(|change| match change {
            Change::Write { bytes, .. } => holds(bytes),
            Change::Create { path, .. } | Change::CreateDir { path } => holds(path.as_bytes()),
            Change::Rename { to, .. } => holds(to.as_bytes()),
            _ => false,
        })
    }

    /// States that a power cut after the first `point` changes may leave: all of the un-synced
    /// changes, none, all but each one, each one alone, and `random` other choices.
    #[must_use]
    pub fn states_after(&self, point: usize, random: usize) -> Vec<MemVfs> {
        let trace = self.trace();
        let changes = trace.changes.get(..point).unwrap_or(&trace.changes);
        let loose = unsynced(changes);
        let mut choices: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
        choices.insert(BTreeSet::new());
        choices.insert(loose.clone());
        for one in &loose {
            choices.insert(BTreeSet::from([*one]));
            let mut others = loose.clone();
            others.remove(one);
            choices.insert(others);
        }
        let rng = SeededRng::new(point as u64);
        for _ in 0..random {
            choices.insert(loose.iter().copied().filter(|_| rng.below(2) == 0).collect());
        }
        choices.iter().map(|lost| build(changes, lost)).collect()
    }
}

/// Changes that no later sync made durable.
fn unsynced(changes: &[Change]) -> BTreeSet<usize> {
    let mut loose = BTreeSet::new();
    for (index, change) in changes.iter().enumerate() {
        let later = changes.get(index + 1..).unwrap_or_default();
        let durable = match change {
            Change::Write { file, .. } | Change::SetLen { file, .. } => {
                later.iter().any(|next| matches!(next, Change::SyncFile { file: f } if f == file))
            }
            Change::Create { path, .. }
            | Change::Remove { path }
            | Change::Rename { to: path, .. } => {
                let dir = crate::path::split(path).0;
                later.iter().any(|next| matches!(next, Change::SyncDir { dir: d } if d == dir))
            }
            Change::CreateDir { .. } | Change::SyncFile { .. } | Change::SyncDir { .. } => true,
        };
        if !durable {
            loose.insert(index);
        }
    }
    loose
}

/// The state in which the changes in `lost` did not happen.
fn build(changes: &[Change], lost: &BTreeSet<usize>) -> MemVfs {
    let mut contents: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    let mut dirs = BTreeSet::new();
    for (index, change) in changes.iter().enumerate() {
        if lost.contains(&index) {
            continue;
        }
        match change {
            Change::Create { file, path } => {
                contents.entry(*file).or_default();
                names.insert(path.clone(), *file);
            }
            Change::Write { file, position, bytes } => {
                let content = contents.entry(*file).or_default();
                let start = usize::try_from(*position).expect("test files are small");
                if content.len() < start + bytes.len() {
                    content.resize(start + bytes.len(), 0);
                }
                content[start..start + bytes.len()].copy_from_slice(bytes);
            }
            Change::SetLen { file, len } => {
                let len = usize::try_from(*len).expect("test files are small");
                contents.entry(*file).or_default().resize(len, 0);
            }
            Change::Rename { from, to } => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Change::Remove { path } => {
                names.remove(path);
            }
            Change::CreateDir { path } => {
                dirs.insert(path.clone());
            }
            Change::SyncFile { .. } | Change::SyncDir { .. } => {}
        }
    }
    let state = MemVfs::new();
    for dir in dirs {
        state.create_dir_all(&dir).expect("memory takes directories");
    }
    for (path, file) in names {
        let content = contents.get(&file).map(Vec::as_slice).unwrap_or_default();
        let file = state.open(&path, OpenMode::CreateOrOpen).expect("memory takes files");
        file.write_all_at(0, content).expect("memory takes bytes");
    }
    state
}

impl Vfs for RecordVfs {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>> {
        let inner = self.inner.open(path, mode)?;
        let mut trace = self.trace();
        let file = match trace.names.get(path).copied() {
            Some(file) => file,
            None => {
                trace.next_file += 1;
                let file = trace.next_file;
                trace.names.insert(path.to_owned(), file);
                trace.changes.push(Change::Create { file, path: path.to_owned() });
                file
            }
        };
        drop(trace);
        Ok(Arc::new(RecordFile { inner, file, trace: self.trace.clone() }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.inner.exists(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &str) -> Result<()> {
        self.inner.create_dir_all(dir)?;
        self.trace().changes.push(Change::CreateDir { path: dir.to_owned() });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)?;
        let mut trace = self.trace();
        if let Some(file) = trace.names.remove(from) {
            trace.names.insert(to.to_owned(), file);
        }
        trace.changes.push(Change::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.inner.remove(path)?;
        let mut trace = self.trace();
        trace.names.remove(path);
        trace.changes.push(Change::Remove { path: path.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.inner.sync_dir(dir)?;
        self.trace().changes.push(Change::SyncDir { dir: dir.to_owned() });
        Ok(())
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.inner.hard_link(from, to)?;
        let mut trace = self.trace();
        if let Some(file) = trace.names.get(from).copied() {
            trace.names.insert(to.to_owned(), file);
            trace.changes.push(Change::Create { file, path: to.to_owned() });
        }
        Ok(())
    }

    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>> {
        self.inner.lock(path)
    }

    fn free_space(&self) -> Result<u64> {
        self.inner.free_space()
    }

    fn supports_map(&self) -> bool {
        self.inner.supports_map()
    }

    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>> {
        self.inner.watch(dir)
    }
}

#[derive(Debug)]
struct RecordFile {
    inner: Arc<dyn VfsFile>,
    file: u64,
    trace: Arc<Mutex<Trace>>,
}

impl RecordFile {
    fn note(&self, change: Change) {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).changes.push(change);
    }
}

impl VfsFile for RecordFile {
    fn path(&self) -> &str {
        self.inner.path()
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        self.inner.read_at(position, buffer)
    }

    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        self.inner.write_all_at(position, bytes)?;
        self.note(Change::Write { file: self.file, position, bytes: bytes.to_vec() });
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)?;
        self.note(Change::SetLen { file: self.file, len });
        Ok(())
    }

    fn allocate(&self, position: u64, len: u64) -> Result<()> {
        self.inner.allocate(position, len)?;
        let len = self.inner.len()?;
        self.note(Change::SetLen { file: self.file, len });
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.inner.sync_data()?;
        self.note(Change::SyncFile { file: self.file });
        Ok(())
    }

    fn sync_all(&self) -> Result<()> {
        self.inner.sync_all()?;
        self.note(Change::SyncFile { file: self.file });
        Ok(())
    }

    fn map(&self, len: u64) -> Result<Mapping> {
        self.inner.map(len)
    }

    fn write_zeroes(&self, position: u64, len: u64) -> Result<()> {
        self.inner.write_zeroes(position, len)?;
        // A hole that reads as zeroes is the same content without the bytes.
        let len = self.inner.len()?.max(position + len);
        self.note(Change::SetLen { file: self.file, len });
        Ok(())
    }
}
