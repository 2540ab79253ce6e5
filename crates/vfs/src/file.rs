//! The traits that everything above uses in place of files.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, FaultKind, Mapping, Op, Result};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading.
    Read,
    /// For reading and writing; it must exist.
    ReadWrite,
    /// New; it must not exist.
    Create,
    /// For reading and writing; created when absent.
    CreateOrOpen,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Its name.
    pub name: String,
    /// Its length in bytes, 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Held while a store is open; dropping it frees the lock.
pub trait VfsLock: Send + Sync + Debug {}

/// Tells when something changed in a directory.
pub trait DirWatcher: Send + Debug {
    /// Waits until something changed since the last call (`true`) or the time is over (`false`).
    /// `true` means "look again": it may come without a change, and stands for any number of them.
    ///
    /// # Errors
    /// When the system's notification fails.
    fn wait(&mut self, timeout: Duration) -> Result<bool>;
}

/// A directory tree. Paths are relative to its root: names joined by `/`, without `.` and `..`.
pub trait Vfs: Send + Sync + Debug + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// By [`FaultKind`]; [`FaultKind::UnsafePath`] when the path leaves the root or the file is a
    /// symbolic link.
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>>;

    /// Whether there is such a file or directory.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn exists(&self, path: &str) -> Result<bool>;

    /// Entries of a directory by name; `""` is the root.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] and others.
    fn list(&self, dir: &str) -> Result<Vec<DirEntry>>;

    /// Creates a directory and those above it, for the owner alone, and syncs their parents.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn create_dir_all(&self, dir: &str) -> Result<()>;

    /// Renames a file, replacing another; durable only after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file; durable only after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn remove(&self, path: &str) -> Result<()>;

    /// Makes the names in a directory durable; `""` is the root.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn sync_dir(&self, dir: &str) -> Result<()>;

    /// Gives a file a second name; durable only after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// By [`FaultKind`]; [`FaultKind::AlreadyExists`] when the second name is taken.
    fn hard_link(&self, from: &str, to: &str) -> Result<()>;

    /// Gives a file a second name in another tree, which must lie on the same file system.
    ///
    /// # Errors
    /// [`FaultKind::Unsupported`] where that cannot be done; copy the file then.
    fn link_into(&self, from: &str, target: &dyn Vfs, to: &str) -> Result<()> {
        let _cannot = (target, to);
        Err(Error::new(Op::Link, from, FaultKind::Unsupported))
    }

    /// Where the tree lies on the real file system, if it does.
    fn real_root(&self) -> Option<&std::path::Path> {
        None
    }

    /// Takes the exclusive lock that this file stands for; it is held until the value is dropped.
    ///
    /// # Errors
    /// [`FaultKind::Locked`] when it is held, by this process or another.
    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>>;

    /// Bytes free for this user; `u64::MAX` where nothing limits them.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn free_space(&self) -> Result<u64>;

    /// Whether [`VfsFile::map`] works.
    fn supports_map(&self) -> bool;

    /// Begins to watch a directory for changes.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>>;
}

/// An open file.
pub trait VfsFile: Send + Sync + Debug {
    /// Its path, for messages.
    fn path(&self) -> &str;

    /// Reads at a position; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Writes everything at a position.
    ///
    /// # Errors
    /// By [`FaultKind`]; how much was written is then unknown.
    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()>;

    /// Its length in bytes.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn len(&self) -> Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends it with zeroes.
    ///
    /// # Errors
    /// By [`FaultKind`].
    fn set_len(&self, len: u64) -> Result<()>;

    /// Reserves `len` bytes, at least one, from a position on and extends the file over them; what
    /// was not written reads as zeroes. A file is never cut by it.
    ///
    /// # Errors
    /// [`FaultKind::NoSpace`] when there is not enough.
    fn allocate(&self, position: u64, len: u64) -> Result<()>;

    /// Makes its bytes, and the length needed to read them, durable.
    ///
    /// # Errors
    /// After a failure nothing may be assumed of what was written since the last sync.
    fn sync_data(&self) -> Result<()>;

    /// Makes its bytes and all metadata durable.
    ///
    /// # Errors
    /// As [`sync_data`](Self::sync_data).
    fn sync_all(&self) -> Result<()>;

    /// Maps `len` bytes for reading; `len` may exceed the file, see [`Mapping`].
    ///
    /// # Errors
    /// [`FaultKind::Unsupported`] where the file system cannot.
    fn map(&self, len: u64) -> Result<Mapping>;

    /// Reads exactly as many bytes as the buffer takes.
    ///
    /// # Errors
    /// [`FaultKind::UnexpectedEof`] when the file ends before.
    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        let mut got = 0;
        while got < buffer.len() {
            let count = self.read_at(position + got as u64, &mut buffer[got..])?;
            if count == 0 {
                return Err(Error::new(Op::Read, self.path(), FaultKind::UnexpectedEof));
            }
            got += count;
        }
        Ok(())
    }

    /// Writes zero bytes: a later sync of small writes there needs no journal commit.
    ///
    /// # Errors
    /// As [`write_all_at`](Self::write_all_at).
    fn write_zeroes(&self, position: u64, len: u64) -> Result<()> {
        static ZEROES: [u8; 64 << 10] = [0; 64 << 10];
        let mut done = 0;
        while done < len {
            let step = usize::try_from(len - done).unwrap_or(usize::MAX).min(ZEROES.len());
            self.write_all_at(position + done, &ZEROES[..step])?;
            done += step as u64;
        }
        Ok(())
    }
}
