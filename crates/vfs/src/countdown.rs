//! A wrapper that lets the Nth operation fail, once or for ever: sweeping N from 1 upwards
//! until nothing fails any more tries every error path there is (SQLite's method).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    DirEntry, DirWatcher, Error, FaultKind, Mapping, Op, OpenMode, Result, Vfs, VfsFile, VfsLock,
};

/// How the chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// That operation only.
    Once(FaultKind),
    /// That operation and all after it.
    Forever(FaultKind),
}

#[derive(Debug)]
struct Countdown {
    done: AtomicU64,
    fail_at: AtomicU64,
    failure: Failure,
}

impl Countdown {
    fn step(&self, op: Op, path: &str) -> Result<()> {
        let number = self.done.fetch_add(1, Ordering::AcqRel) + 1;
        let fail_at = self.fail_at.load(Ordering::Acquire);
        match self.failure {
            Failure::Once(kind) if number == fail_at => Err(Error::new(op, path, kind)),
            Failure::Forever(kind) if number >= fail_at => Err(Error::new(op, path, kind)),
            _ => Ok(()),
        }
    }
}

/// Passes everything through until the countdown is over, but for links into other trees, which
/// it does not offer. [`Vfs::supports_map`] is no operation.
#[derive(Debug)]
pub struct CountdownVfs {
    inner: Arc<dyn Vfs>,
    countdown: Arc<Countdown>,
}

impl CountdownVfs {
    /// Lets operation number `fail_at` (from 1) fail; a write that fails has written its first
    /// half.
    #[must_use]
    pub fn new(inner: Arc<dyn Vfs>, fail_at: u64, failure: Failure) -> Self {
        let countdown = Countdown { done: AtomicU64::new(0), fail_at: fail_at.into(), failure };
        Self { inner, countdown: Arc::new(countdown) }
    }

    /// How many operations were asked for so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.countdown.done.load(Ordering::Acquire)
    }

    /// Whether the failure was reached.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.operations() >= self.countdown.fail_at.load(Ordering::Acquire)
    }
}

impl Vfs for CountdownVfs {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>> {
        self.countdown.step(Op::Open, path)?;
        let inner = self.inner.open(path, mode)?;
        Ok(Arc::new(CountdownFile { inner, countdown: self.countdown.clone() }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.countdown.step(Op::Inspect, path)?;
        self.inner.exists(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>> {
        self.countdown.step(Op::List, dir)?;
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &str) -> Result<()> {
        self.countdown.step(Op::CreateDir, dir)?;
        self.inner.create_dir_all(dir)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.countdown.step(Op::Rename, from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.countdown.step(Op::Remove, path)?;
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.countdown.step(Op::SyncDir, dir)?;
        self.inner.sync_dir(dir)
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.countdown.step(Op::Link, from)?;
        self.inner.hard_link(from, to)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>> {
        self.countdown.step(Op::Lock, path)?;
        self.inner.lock(path)
    }

    fn free_space(&self) -> Result<u64> {
        self.countdown.step(Op::Inspect, "")?;
        self.inner.free_space()
    }

    fn supports_map(&self) -> bool {
        self.inner.supports_map()
    }

    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>> {
        self.countdown.step(Op::Watch, dir)?;
        self.inner.watch(dir)
    }
}

#[derive(Debug)]
struct CountdownFile {
    inner: Arc<dyn VfsFile>,
    countdown: Arc<Countdown>,
}

impl VfsFile for CountdownFile {
    fn path(&self) -> &str {
        self.inner.path()
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        self.countdown.step(Op::Read, self.path())?;
        self.inner.read_at(position, buffer)
    }

    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.countdown.step(Op::Write, self.path()) {
            // A failed write may have written a part.
            self.inner.write_all_at(position, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.inner.write_all_at(position, bytes)
    }

    fn len(&self) -> Result<u64> {
        self.countdown.step(Op::Inspect, self.path())?;
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.countdown.step(Op::SetLen, self.path())?;
        self.inner.set_len(len)
    }

    fn allocate(&self, position: u64, len: u64) -> Result<()> {
        self.countdown.step(Op::Allocate, self.path())?;
        self.inner.allocate(position, len)
    }

    fn sync_data(&self) -> Result<()> {
        self.countdown.step(Op::Sync, self.path())?;
        self.inner.sync_data()
    }

    fn sync_all(&self) -> Result<()> {
        self.countdown.step(Op::Sync, self.path())?;
        self.inner.sync_all()
    }

    fn map(&self, len: u64) -> Result<Mapping> {
        self.countdown.step(Op::Map, self.path())?;
        self.inner.map(len)
    }
}
