//! Small files beside the log: read whole, replaced whole. What they hold says whether it is
//! truth.

use cairn_vfs::{FaultKind, OpenMode, Vfs, path};

use super::{Error, Result};

/// A file's bytes, nothing when there is none. At most `len_max` and one more are read, so a
/// caller sees that there is too much.
pub(crate) fn read(vfs: &dyn Vfs, path: &str, len_max: usize) -> Result<Option<Vec<u8>>> {
    let file = match vfs.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(len_max.saturating_add(1));
    let mut bytes = vec![0; len];
    file.read_exact_at(0, &mut bytes)?;
    Ok(Some(bytes))
}

/// As [`read`] for what can be made again: a file that does not open is as good as none.
pub(super) fn read_derived(vfs: &dyn Vfs, path: &str, len_max: usize) -> Result<Option<Vec<u8>>> {
    match read(vfs, path, len_max) {
        Err(Error::Files(error)) if error.is_damaged() => Ok(None),
        outcome => outcome,
    }
}

/// Whether the new content of a file must outlive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It and its name are synced before this returns.
    Durably,
    /// It can be made again.
    Loosely,
}

/// Puts a file in the place of another, whole or not at all. Files are made for the owner alone.
pub(crate) fn replace(vfs: &dyn Vfs, path: &str, bytes: &[u8], keep: Keep) -> Result<()> {
    let temporary = format!("{path}.tmp");
    let dir = path::split(path).0;
    let file = match vfs.open(&temporary, OpenMode::Create) {
        Err(error) if error.is_not_found() => {
            vfs.create_dir_all(dir)?;
            vfs.open(&temporary, OpenMode::Create)?
        }
        // A crash left it.
        Err(error) if error.kind == FaultKind::AlreadyExists => {
            vfs.remove(&temporary)?;
            vfs.open(&temporary, OpenMode::Create)?
        }
        outcome => outcome?,
    };
    file.write_all_at(0, bytes)?;
    if keep == Keep::Durably {
        file.sync_all()?;
    }
    // An encrypted file is whole when it is closed.
    drop(file);
    vfs.rename(&temporary, path)?;
    if keep == Keep::Durably {
        vfs.sync_dir(dir)?;
    }
    Ok(())
}

/// Removes all files below a directory; the directories stay.
pub(crate) fn clear(vfs: &dyn Vfs, dir: &str) -> Result<()> {
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        let entries = match vfs.list(&dir) {
            Err(error) if error.is_not_found() => continue,
            outcome => outcome?,
        };
        for entry in entries {
            let path = format!("{dir}/{}", entry.name);
            if entry.is_dir {
                pending.push(path);
            } else {
                vfs.remove(&path)?;
            }
        }
    }
    Ok(())
}
