//! Tiles in memory. Derived, and gone with the process.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use super::TileStore;
use crate::error::Result;
use crate::log::tile::TileId;

/// Tiles in memory: 32 bytes a leaf and 1/255 more. For tests, and for trees that are small.
///
/// ```
/// use cairn_merkle::log::{MemTiles, TileId, TileStore};
/// let tiles = MemTiles::new();
/// tiles.write_tile(TileId::hashes(0, 0, 2)?, &[7; 64])?;
/// assert!(tiles.read_tile(TileId::hashes(0, 0, 3)?)?.is_none());
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemTiles(RwLock<BTreeMap<TileId, Bytes>>);

impl MemTiles {
    /// No tiles yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }

    /// The names of all tiles, in order.
    #[must_use]
    pub fn tiles(&self) -> Vec<TileId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

impl TileStore for MemTiles {
    fn read_tile(&self, tile: TileId) -> Result<Option<Bytes>> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(&tile).cloned())
    }

    fn write_tile(&self, tile: TileId, bytes: &[u8]) -> Result<()> {
        tile.check_len(bytes.len() as u64)?;
        let mut tiles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tiles.insert(tile, Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn drop_partials(&self, full: TileId) -> Result<usize> {
        let mut tiles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = tiles.len();
        let place = |tile: &TileId| (tile.kind(), tile.index());
        tiles.retain(|tile, _| tile.is_full() || place(tile) != place(&full));
        Ok(before - tiles.len())
    }
}
