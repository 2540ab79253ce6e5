//! The store lock: an advisory lock on an open file, released by the system when we die.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StdVfs;
use crate::{Error, FaultKind, Op, Result, VfsLock};

#[derive(Debug)]
struct StdLock {
    _file: File,
}

impl VfsLock for StdLock {}

pub(super) fn lock(place: &Path, path: &str) -> Result<Box<dyn VfsLock>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(super::no_follow())
        .open(place)
        .map_err(StdVfs::map_err(Op::Lock, path))?;
    match file.try_lock() {
        Ok(()) => Ok(Box::new(StdLock { _file: file })),
        Err(TryLockError::WouldBlock) => Err(Error::new(Op::Lock, path, FaultKind::Locked)),
        Err(TryLockError::Error(error)) => Err(Error::from_io(Op::Lock, path, error)),
    }
}
