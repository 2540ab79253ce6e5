//! The simulated disk behind the traits.

use std::sync::Arc;
use std::time::Duration;

use super::SimVfs;
use super::disk::{Disk, NameChange, SECTOR};
use crate::mem::copy_from;
use crate::path::{check, check_dir, split};
use crate::{
    DirEntry, DirWatcher, Error, FaultKind, Mapping, Op, OpenMode, Result, Vfs, VfsFile, VfsLock,
};

impl SimVfs {
    fn begin(&self, op: Op, path: &str) -> Result<std::sync::MutexGuard<'_, Disk>> {
        let generation = self.lock().generation;
        self.step(op, path, generation)
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>> {
        check(Op::Open, path)?;
        let mut disk = self.begin(Op::Open, path)?;
        let inode = match (disk.names.get(path).copied(), mode) {
            (Some(_), OpenMode::Create) => {
                return Err(Error::new(Op::Open, path, FaultKind::AlreadyExists));
            }
            (Some(inode), _) => inode,
            (None, OpenMode::Read | OpenMode::ReadWrite) => {
                return Err(Error::new(Op::Open, path, FaultKind::NotFound));
            }
            (None, OpenMode::Create | OpenMode::CreateOrOpen) => {
                let dir = split(path).0;
                if !dir.is_empty() && !disk.dirs.contains(dir) {
                    return Err(Error::new(Op::Open, path, FaultKind::NotFound));
                }
                let inode = disk.new_inode();
                disk.change_name(vec![NameChange::Set(path.to_owned(), inode)]);
                inode
            }
        };
        disk.check_up(Op::Open, path)?;
        let generation = disk.generation;
        let (vfs, path, writable) = (self.clone(), path.to_owned(), mode != OpenMode::Read);
        Ok(Arc::new(SimFile { vfs, path, inode, generation, writable }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        check(Op::Inspect, path)?;
        let disk = self.begin(Op::Inspect, path)?;
        disk.check_up(Op::Inspect, path)?;
        Ok(disk.names.contains_key(path) || disk.dirs.contains(path))
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>> {
        check_dir(Op::List, dir)?;
        let disk = self.begin(Op::List, dir)?;
        disk.check_up(Op::List, dir)?;
        if !dir.is_empty() && !disk.dirs.contains(dir) {
            return Err(Error::new(Op::List, dir, FaultKind::NotFound));
        }
        let inside = |path: &str| split(path).0 == dir;
        let files = disk.names.iter().filter(|(path, _)| inside(path)).map(|(path, id)| DirEntry {
            name: split(path).1.to_owned(),
            len: disk.inodes.get(id).map_or(0, |inode| inode.cached.len() as u64),
            is_dir: false,
        });
        let dirs = disk.dirs.iter().filter(|path| inside(path)).map(|path| DirEntry {
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
        let mut disk = self.begin(Op::CreateDir, dir)?;
        for (end, _) in dir.match_indices('/').chain([(dir.len(), "")]) {
            if end > 0 {
                disk.dirs.insert(dir[..end].to_owned());
            }
        }
        disk.check_up(Op::CreateDir, dir)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check(Op::Rename, from)?;
        check(Op::Rename, to)?;
        let mut disk = self.begin(Op::Rename, from)?;
        let inode = disk.names.get(from).copied();
        let inode = inode.ok_or_else(|| Error::new(Op::Rename, from, FaultKind::NotFound))?;
        disk.change_name(vec![
            NameChange::Unset(from.to_owned()),
            NameChange::Set(to.to_owned(), inode),
        ]);
        disk.check_up(Op::Rename, from)
    }

    fn remove(&self, path: &str) -> Result<()> {
        check(Op::Remove, path)?;
        let mut disk = self.begin(Op::Remove, path)?;
        if !disk.names.contains_key(path) {
            return Err(Error::new(Op::Remove, path, FaultKind::NotFound));
        }
        disk.change_name(vec![NameChange::Unset(path.to_owned())]);
        disk.check_up(Op::Remove, path)
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        check_dir(Op::SyncDir, dir)?;
        let mut disk = self.begin(Op::SyncDir, dir)?;
        disk.check_up(Op::SyncDir, dir)?;
        disk.sync_names(dir);
        Ok(())
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        check(Op::Link, from)?;
        check(Op::Link, to)?;
        let mut disk = self.begin(Op::Link, from)?;
        let inode = disk.names.get(from).copied();
        let inode = inode.ok_or_else(|| Error::new(Op::Link, from, FaultKind::NotFound))?;
        if disk.names.contains_key(to) {
            return Err(Error::new(Op::Link, to, FaultKind::AlreadyExists));
        }
        disk.change_name(vec![NameChange::Set(to.to_owned(), inode)]);
        disk.check_up(Op::Link, from)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>> {
        check(Op::Lock, path)?;
        let mut disk = self.begin(Op::Lock, path)?;
        disk.check_up(Op::Lock, path)?;
        if !disk.locks.insert(path.to_owned()) {
            return Err(Error::new(Op::Lock, path, FaultKind::Locked));
        }
        let generation = disk.generation;
        Ok(Box::new(SimLock { vfs: self.clone(), path: path.to_owned(), generation }))
    }

    fn free_space(&self) -> Result<u64> {
        let disk = self.begin(Op::Inspect, "")?;
        let capacity = disk.config.capacity;
        Ok(if capacity == 0 { u64::MAX } else { capacity.saturating_sub(disk.used()) })
    }

    fn supports_map(&self) -> bool {
        false
    }

    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>> {
        check_dir(Op::Watch, dir)?;
        let seen = self.lock().stats.operations;
        Ok(Box::new(SimWatcher { vfs: self.clone(), seen }))
    }
}

#[derive(Debug)]
struct SimLock {
    vfs: SimVfs,
    path: String,
    generation: u64,
}

impl VfsLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.vfs.lock();
        if disk.generation == self.generation {
            disk.locks.remove(&self.path);
        }
    }
}

/// Time does not pass in the simulation: a wait returns at once.
#[derive(Debug)]
struct SimWatcher {
    vfs: SimVfs,
    seen: u64,
}

impl DirWatcher for SimWatcher {
    fn wait(&mut self, _timeout: Duration) -> Result<bool> {
        let now = self.vfs.lock().stats.operations;
        Ok(std::mem::replace(&mut self.seen, now) != now)
    }
}

#[derive(Debug)]
struct SimFile {
    vfs: SimVfs,
    path: String,
    inode: u64,
    generation: u64,
    writable: bool,
}

impl SimFile {
    fn step(&self, op: Op) -> Result<std::sync::MutexGuard<'_, Disk>> {
        self.vfs.step(op, &self.path, self.generation)
    }

    /// As [`step`](Self::step), for an operation that changes the file.
    fn step_to_write(&self, op: Op) -> Result<std::sync::MutexGuard<'_, Disk>> {
        let disk = self.step(op)?;
        if self.writable { Ok(disk) } else { Err(self.error(op, FaultKind::Permissions)) }
    }

    fn error(&self, op: Op, kind: FaultKind) -> Error {
        Error::new(op, &self.path, kind)
    }

    /// Whether the file may grow to `len`.
    fn has_room(&self, disk: &Disk, len: u64) -> bool {
        let now = disk.inodes.get(&self.inode).map_or(0, |inode| inode.cached.len() as u64);
        let capacity = disk.config.capacity;
        capacity == 0 || len <= now || disk.used().saturating_add(len - now) <= capacity
    }
}

impl VfsFile for SimFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut disk = self.step(Op::Read)?;
        disk.check_up(Op::Read, &self.path)?;
        if disk.happens(disk.config.read_error) {
            disk.stats.read_errors += 1;
            return Err(self.error(Op::Read, FaultKind::Io));
        }
        let stale = disk.happens(disk.config.stale_read);
        let flip = disk.happens(disk.config.read_flip);
        let bit = disk.below(buffer.len() * 8);
        let Some(inode) = disk.inodes.get(&self.inode) else { return Ok(0) };
        let count = copy_from(&inode.cached, position, buffer);
        if stale && count > 0 {
            let len = count.min(SECTOR);
            copy_from(&inode.durable, position, &mut buffer[..len]);
            disk.stats.stale_reads += 1;
        }
        if flip && bit / 8 < count {
            buffer[bit / 8] ^= 1 << (bit % 8);
            disk.stats.read_flips += 1;
        }
        Ok(count)
    }

    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        let mut disk = self.step_to_write(Op::Write)?;
        let place =
            usize::try_from(position).map_err(|_| self.error(Op::Write, FaultKind::NoSpace))?;
        let end = position.saturating_add(bytes.len() as u64);
        if disk.happens(disk.config.no_space) || !self.has_room(&disk, end) {
            disk.stats.no_space += 1;
            return Err(self.error(Op::Write, FaultKind::NoSpace));
        }
        let failed = disk.happens(disk.config.write_error);
        let short = disk.happens(disk.config.short_write);
        let part = disk.below(bytes.len() + 1);
        let cut = failed || short || disk.down;
        let written = if cut { &bytes[..part] } else { bytes };
        if let Some(inode) = disk.inodes.get_mut(&self.inode) {
            inode.write(place, written);
        }
        disk.check_up(Op::Write, &self.path)?;
        if failed {
            disk.stats.write_errors += 1;
            return Err(self.error(Op::Write, FaultKind::Io));
        }
        if short {
            disk.stats.short_writes += 1;
            return Err(self.error(Op::Write, FaultKind::NoSpace));
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        let disk = self.step(Op::Inspect)?;
        disk.check_up(Op::Inspect, &self.path)?;
        Ok(disk.inodes.get(&self.inode).map_or(0, |inode| inode.cached.len() as u64))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut disk = self.step_to_write(Op::SetLen)?;
        if !self.has_room(&disk, len) {
            return Err(self.error(Op::SetLen, FaultKind::NoSpace));
        }
        let len = usize::try_from(len).map_err(|_| self.error(Op::SetLen, FaultKind::NoSpace))?;
        if let Some(inode) = disk.inodes.get_mut(&self.inode) {
            inode.set_len(len);
        }
        disk.check_up(Op::SetLen, &self.path)
    }

    fn allocate(&self, position: u64, len: u64) -> Result<()> {
        let mut disk = self.step_to_write(Op::Allocate)?;
        let end = position.saturating_add(len);
        if disk.happens(disk.config.no_space) || !self.has_room(&disk, end) {
            disk.stats.no_space += 1;
            return Err(self.error(Op::Allocate, FaultKind::NoSpace));
        }
        let end = usize::try_from(end).map_err(|_| self.error(Op::Allocate, FaultKind::NoSpace))?;
        if let Some(inode) = disk.inodes.get_mut(&self.inode)
            && inode.cached.len() < end
        {
            inode.set_len(end);
        }
        disk.check_up(Op::Allocate, &self.path)
    }

    fn sync_data(&self) -> Result<()> {
        let mut disk = self.step(Op::Sync)?;
        disk.check_up(Op::Sync, &self.path)?;
        if disk.sync_inode(self.inode) { Ok(()) } else { Err(self.error(Op::Sync, FaultKind::Io)) }
    }

    fn sync_all(&self) -> Result<()> {
        self.sync_data()
    }

    fn map(&self, _len: u64) -> Result<Mapping> {
        Err(self.error(Op::Map, FaultKind::Unsupported))
    }
}
