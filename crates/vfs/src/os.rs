//! The real file system, rooted at one directory.

mod file;
mod lock;
mod terminal;
mod watch;

pub use terminal::SilentTerminal;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::file::StdFile;
use crate::path::{check, check_dir};
use crate::{DirEntry, DirWatcher, Error, FaultKind, Op, OpenMode, Result, Vfs, VfsFile, VfsLock};

/// The real file system below one directory. Directories are made with mode 0700, files with
/// 0600. The directory itself, the files in it and directories that it is asked to create must
/// not be symbolic links; who could put a link into the middle of a path may write the files too.
#[derive(Debug, Clone)]
pub struct StdVfs {
    root: PathBuf,
}

impl StdVfs {
    /// Opens an existing directory.
    ///
    /// # Errors
    /// [`FaultKind::UnsafePath`] for a symbolic link, [`FaultKind::Permissions`] for a directory
    /// of another user or one that group or others can write to.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref().to_path_buf();
        let shown = root.display().to_string();
        let facts = fs::symlink_metadata(&root)
            .map_err(|error| Error::from_io(Op::Open, shown.clone(), error))?;
        if facts.file_type().is_symlink() || !facts.is_dir() {
            return Err(Error::new(Op::Open, shown, FaultKind::UnsafePath));
        }
        let mine = facts.uid() == rustix::process::geteuid().as_raw();
        if !mine || facts.permissions().mode() & 0o022 != 0 {
            return Err(Error::new(Op::Open, shown, FaultKind::Permissions));
        }
        Ok(Self { root })
    }

    /// Opens a directory, creating it and those above it when they are absent.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn create(root: impl AsRef<Path>) -> Result<Self> {
        let path = root.as_ref();
        let absent = absent_above(path);
        if !absent.is_empty() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
                Error::from_io(Op::CreateDir, path.display().to_string(), error)
            })?;
        }
        // Each name lies in the directory above it, and a power cut may take any of them.
        for made in absent {
            sync_directory(directory_of(made), "..")?;
        }
        Self::open(path)
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn place(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    fn map_err<'a>(op: Op, path: &'a str) -> impl FnOnce(std::io::Error) -> Error + 'a {
        move |error| {
            // ELOOP: the last part is a symbolic link and was not followed.
            if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
                return Error::new(op, path, FaultKind::UnsafePath);
            }
            Error::from_io(op, path, error)
        }
    }
}

/// The flag that makes opening a symbolic link fail.
fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("flags fit an int")
}

/// The path and what is above it, as far as nothing is there.
fn absent_above(path: &Path) -> Vec<&Path> {
    let parts = path.ancestors().filter(|part| !part.as_os_str().is_empty());
    parts.take_while(|part| fs::symlink_metadata(part).is_err()).collect()
}

/// The directory that holds a name.
fn directory_of(path: &Path) -> &Path {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    above.unwrap_or_else(|| Path::new("."))
}

fn sync_directory(path: &Path, shown: &str) -> Result<()> {
    let dir = File::open(path).map_err(|error| Error::from_io(Op::SyncDir, shown, error))?;
    dir.sync_all().map_err(|error| Error::from_io(Op::SyncDir, shown, error))
}

impl Vfs for StdVfs {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>> {
        check(Op::Open, path)?;
        let mut options = OpenOptions::new();
        options.read(true).mode(0o600);
        options.custom_flags(no_follow());
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create_new(true);
            }
            OpenMode::CreateOrOpen => {
                options.write(true).create(true).truncate(false);
            }
        }
        let file = options.open(self.place(path)).map_err(Self::map_err(Op::Open, path))?;
        Ok(Arc::new(StdFile::new(file, path)))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        check(Op::Inspect, path)?;
        match fs::symlink_metadata(self.place(path)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::from_io(Op::Inspect, path, error)),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>> {
        check_dir(Op::List, dir)?;
        let failed = |error| Error::from_io(Op::List, dir, error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.place(dir)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let facts = match entry.metadata() {
                Ok(facts) => facts,
                // Removed since it was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                let is_dir = facts.is_dir();
                entries.push(DirEntry { name, len: if is_dir { 0 } else { facts.len() }, is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &str) -> Result<()> {
        check_dir(Op::CreateDir, dir)?;
        let failed = |error| Error::from_io(Op::CreateDir, dir, error);
        let mut place = self.root.clone();
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            let parent = place.clone();
            place.push(part);
            match fs::DirBuilder::new().mode(0o700).create(&place) {
                Ok(()) => sync_directory(&parent, dir)?,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&place).map_err(failed)?.is_dir() {
                        return Err(Error::new(Op::CreateDir, dir, FaultKind::UnsafePath));
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check(Op::Rename, from)?;
        check(Op::Rename, to)?;
        fs::rename(self.place(from), self.place(to)).map_err(Self::map_err(Op::Rename, from))
    }

    fn remove(&self, path: &str) -> Result<()> {
        check(Op::Remove, path)?;
        fs::remove_file(self.place(path)).map_err(Self::map_err(Op::Remove, path))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        check_dir(Op::SyncDir, dir)?;
        sync_directory(&self.place(dir), dir)
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        check(Op::Link, from)?;
        check(Op::Link, to)?;
        fs::hard_link(self.place(from), self.place(to)).map_err(Self::map_err(Op::Link, from))
    }

    fn link_into(&self, from: &str, target: &dyn Vfs, to: &str) -> Result<()> {
        check(Op::Link, from)?;
        check(Op::Link, to)?;
        let unsupported = || Error::new(Op::Link, to, FaultKind::Unsupported);
        let root = target.real_root().ok_or_else(unsupported)?;
        fs::hard_link(self.place(from), root.join(to)).map_err(|error| match error.kind() {
            // Another file system, or one without links.
            std::io::ErrorKind::CrossesDevices
            | std::io::ErrorKind::Unsupported
            | std::io::ErrorKind::TooManyLinks => unsupported(),
            _ => Self::map_err(Op::Link, to)(error),
        })
    }

    fn real_root(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>> {
        check(Op::Lock, path)?;
        lock::lock(&self.place(path), path)
    }

    fn free_space(&self) -> Result<u64> {
        let facts = rustix::fs::statvfs(&self.root)
            .map_err(|error| Error::from_io(Op::Inspect, "", error.into()))?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }

    fn supports_map(&self) -> bool {
        true
    }

    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>> {
        check_dir(Op::Watch, dir)?;
        watch::watch(&self.place(dir), dir)
    }
}
