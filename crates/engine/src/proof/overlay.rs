//! Tiles for a store that is open for reading only: those on the disk are read, new ones stay in
//! memory. Derived. A writer beside us may replace partial tiles; every tile that is read is
//! checked against a root, so that is noticed.

use bytes::Bytes;
use cairn_merkle::Result;
use cairn_merkle::log::{MemTiles, TileId, TileStore, VfsTiles};

/// Tiles in memory over tiles on the disk.
#[derive(Debug)]
pub(super) struct Overlay {
    pub(super) above: MemTiles,
    pub(super) below: VfsTiles,
}

impl TileStore for Overlay {
    fn read_tile(&self, tile: TileId) -> Result<Option<Bytes>> {
        match self.above.read_tile(tile)? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.below.read_tile(tile),
        }
    }

    fn write_tile(&self, tile: TileId, bytes: &[u8]) -> Result<()> {
        self.above.write_tile(tile, bytes)
    }

    fn drop_partials(&self, full: TileId) -> Result<usize> {
        self.above.drop_partials(full)
    }
}
