//! A disk that notes when it was waited for: every sync, and every other operation that took
//! its time. An operation of the store that was slow meanwhile has its reason there.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cairn_vfs::{DirEntry, DirWatcher, Mapping, OpenMode, Result, Vfs, VfsFile, VfsLock};

use super::latency::Latencies;

/// Shorter waits explain no stall.
const WORTH_NOTING: Duration = Duration::from_millis(2);

/// From and to, since the run began.
pub(super) type Interval = (Duration, Duration);

#[derive(Debug)]
struct Noted {
    syncs: Vec<Interval>,
    others: Vec<Interval>,
    sync_latencies: Latencies,
}

/// What was waited for.
#[derive(Debug, Clone)]
pub(super) struct Waits {
    begun: Instant,
    noted: Arc<Mutex<Noted>>,
}

impl Waits {
    pub(super) fn new(begun: Instant) -> Self {
        let (syncs, others) = (Vec::new(), Vec::new());
        let noted = Noted { syncs, others, sync_latencies: Latencies::new() };
        Self { begun, noted: Arc::new(Mutex::new(noted)) }
    }

    fn sync<T>(&self, work: impl FnOnce() -> T) -> T {
        let from = self.begun.elapsed();
        let done = work();
        let to = self.begun.elapsed();
        let mut noted = self.noted.lock().expect("not poisoned");
        noted.sync_latencies.add(to - from);
        if to - from > WORTH_NOTING {
            noted.syncs.push((from, to));
        }
        done
    }

    fn other<T>(&self, work: impl FnOnce() -> T) -> T {
        let from = self.begun.elapsed();
        let done = work();
        let to = self.begun.elapsed();
        if to - from > WORTH_NOTING {
            self.noted.lock().expect("not poisoned").others.push((from, to));
        }
        done
    }

    pub(super) fn syncs(&self) -> Vec<Interval> {
        self.noted.lock().expect("not poisoned").syncs.clone()
    }

    pub(super) fn others(&self) -> Vec<Interval> {
        self.noted.lock().expect("not poisoned").others.clone()
    }

    pub(super) fn sync_latencies(&self) -> Latencies {
        self.noted.lock().expect("not poisoned").sync_latencies.clone()
    }
}

/// Passes everything through.
#[derive(Debug)]
pub(super) struct TimedVfs {
    pub(super) disk: Arc<dyn Vfs>,
    pub(super) waits: Waits,
}

impl Vfs for TimedVfs {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>> {
        let file = self.waits.other(|| self.disk.open(path, mode))?;
        Ok(Arc::new(TimedFile { file, waits: self.waits.clone() }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.disk.exists(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn create_dir_all(&self, dir: &str) -> Result<()> {
        self.waits.sync(|| self.disk.create_dir_all(dir))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.waits.other(|| self.disk.rename(from, to))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.waits.other(|| self.disk.remove(path))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.waits.sync(|| self.disk.sync_dir(dir))
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.waits.other(|| self.disk.hard_link(from, to))
    }

    fn link_into(&self, from: &str, target: &dyn Vfs, to: &str) -> Result<()> {
        self.disk.link_into(from, target, to)
    }

    fn real_root(&self) -> Option<&std::path::Path> {
        self.disk.real_root()
    }

    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>> {
        self.disk.lock(path)
    }

    fn free_space(&self) -> Result<u64> {
        self.disk.free_space()
    }

    fn supports_map(&self) -> bool {
        self.disk.supports_map()
    }

    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>> {
        self.disk.watch(dir)
    }
}

#[derive(Debug)]
struct TimedFile {
    file: Arc<dyn VfsFile>,
    waits: Waits,
}

impl VfsFile for TimedFile {
    fn path(&self) -> &str {
        self.file.path()
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        self.waits.other(|| self.file.read_at(position, buffer))
    }

    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        self.waits.other(|| self.file.write_all_at(position, bytes))
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.waits.other(|| self.file.set_len(len))
    }

    fn allocate(&self, position: u64, len: u64) -> Result<()> {
        self.waits.other(|| self.file.allocate(position, len))
    }

    fn sync_data(&self) -> Result<()> {
        self.waits.sync(|| self.file.sync_data())
    }

    fn sync_all(&self) -> Result<()> {
        self.waits.sync(|| self.file.sync_all())
    }

    fn map(&self, len: u64) -> Result<Mapping> {
        self.waits.other(|| self.file.map(len))
    }
}
