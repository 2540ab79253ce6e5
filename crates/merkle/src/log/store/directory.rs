//! Tiles as files below one directory, laid out as C2SP `tlog-tiles` names them. Derived.
//!
//! A tile is written under a temporary name and renamed, so a reader sees it whole or not at all.
//! Names are not synced one by one unless asked for: after a power cut a tile may be missing,
//! short or empty, which is found out when it is read, and tiles can be built again.

use std::sync::Arc;

use bytes::Bytes;
use cairn_vfs::{FaultKind, OpenMode, Vfs};

use super::TileStore;
use crate::error::Result;
use crate::log::tile::TileId;

const TEMPORARY: &str = ".tmp";

/// Tiles as files.
///
/// ```
/// use std::sync::Arc;
/// use cairn_merkle::log::{TileId, TileStore, VfsTiles};
/// use cairn_vfs::{MemVfs, Vfs};
/// let vfs = Arc::new(MemVfs::new());
/// let tiles = VfsTiles::new(vfs.clone(), "tiles");
/// tiles.write_tile(TileId::hashes(0, 1_234, 256)?, &[7; 8192])?;
/// assert!(vfs.exists("tiles/tile/0/x001/234")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct VfsTiles {
    vfs: Arc<dyn Vfs>,
    dir: String,
    synced: bool,
}

impl VfsTiles {
    /// Tiles below `dir`, which need not exist; `""` is the root of the file system given.
    #[must_use]
    pub fn new(vfs: Arc<dyn Vfs>, dir: impl Into<String>) -> Self {
        Self { vfs, dir: dir.into(), synced: false }
    }

    /// Makes each tile durable before the write of it returns: for a log whose tiles others fetch
    /// as soon as a checkpoint names them. Costs two syncs a tile.
    #[must_use]
    pub const fn synced(mut self) -> Self {
        self.synced = true;
        self
    }

    fn path(&self, name: &str) -> String {
        if self.dir.is_empty() { name.to_owned() } else { format!("{}/{name}", self.dir) }
    }

    fn try_write(&self, path: &str, bytes: &[u8]) -> cairn_vfs::Result<()> {
        let temporary = format!("{path}{TEMPORARY}");
        let file = match self.vfs.open(&temporary, OpenMode::Create) {
            // A crash left it.
            Err(error) if error.kind == FaultKind::AlreadyExists => {
                self.vfs.remove(&temporary)?;
                self.vfs.open(&temporary, OpenMode::Create)?
            }
            outcome => outcome?,
        };
        file.write_all_at(0, bytes)?;
        if self.synced {
            file.sync_all()?;
        }
        // An encrypted file is whole when it is closed.
        drop(file);
        self.vfs.rename(&temporary, path)?;
        if self.synced {
            self.vfs.sync_dir(cairn_vfs::path::split(path).0)?;
        }
        Ok(())
    }
}

/// `Ok(None)` when there is no such file or directory.
fn found<T>(result: cairn_vfs::Result<T>) -> cairn_vfs::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl TileStore for VfsTiles {
    fn read_tile(&self, tile: TileId) -> Result<Option<Bytes>> {
        let path = self.path(&tile.to_string());
        let Some(file) = found(self.vfs.open(&path, OpenMode::Read))? else {
            return Ok(None);
        };
        let len = file.len()?;
        tile.check_len(len)?;
        let mut bytes = vec![0; usize::try_from(len).expect("the largest tile is 16 MiB")];
        file.read_exact_at(0, &mut bytes)?;
        Ok(Some(bytes.into()))
    }

    fn write_tile(&self, tile: TileId, bytes: &[u8]) -> Result<()> {
        tile.check_len(bytes.len() as u64)?;
        let path = self.path(&tile.to_string());
        // One tile in a thousand is the first of its directory: try before asking.
        if found(self.try_write(&path, bytes))?.is_none() {
            self.vfs.create_dir_all(cairn_vfs::path::split(&path).0)?;
            self.try_write(&path, bytes)?;
        }
        Ok(())
    }

    fn drop_partials(&self, full: TileId) -> Result<usize> {
        let dir = self.path(&full.partial_dir());
        let entries = found(self.vfs.list(&dir))?.unwrap_or_default();
        for entry in &entries {
            self.vfs.remove(&format!("{dir}/{}", entry.name))?;
        }
        Ok(entries.len())
    }
}
