//! Where tiles are kept. Derived: a store can be emptied and filled again from the log.
//!
//! A store is not believed: it only promises that a tile has the length its name says. What the
//! hashes are worth is found out by [`TileReader`](crate::log::TileReader), against a root.

mod directory;
mod memory;

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

pub use directory::VfsTiles;
pub use memory::MemTiles;

use crate::error::Result;
use crate::log::tile::TileId;

/// Keeps tiles by name. One writer at a time; readers at any time.
pub trait TileStore: Send + Sync + Debug {
    /// The bytes of a tile, nothing when there is no such tile.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when its length is not that of its name.
    fn read_tile(&self, tile: TileId) -> Result<Option<Bytes>>;

    /// Keeps a tile; one of the same name is replaced, whole or not at all.
    ///
    /// # Errors
    /// As for reading, of bytes that do not fit the name.
    fn write_tile(&self, tile: TileId, bytes: &[u8]) -> Result<()>;

    /// Drops all partial tiles in the place of a full one, which must be there; says how many.
    ///
    /// # Errors
    /// What the medium brings.
    fn drop_partials(&self, full: TileId) -> Result<usize>;
}

macro_rules! forward {
    ($holder:ty) => {
        impl<S: TileStore + ?Sized> TileStore for $holder {
            fn read_tile(&self, tile: TileId) -> Result<Option<Bytes>> {
                (**self).read_tile(tile)
            }

            fn write_tile(&self, tile: TileId, bytes: &[u8]) -> Result<()> {
                (**self).write_tile(tile, bytes)
            }

            fn drop_partials(&self, full: TileId) -> Result<usize> {
                (**self).drop_partials(full)
            }
        }
    };
}

forward!(&S);
forward!(Arc<S>);

/// The bytes of a tile of this width, cut from the full one where the partial one is gone: a
/// partial tile may be dropped as soon as the full one is there.
pub(crate) fn read_width<S: TileStore + ?Sized>(store: &S, tile: TileId) -> Result<Option<Bytes>> {
    if let Some(bytes) = store.read_tile(tile)? {
        tile.check_len(bytes.len() as u64)?;
        return Ok(Some(bytes));
    }
    let Some(len) = tile.byte_len().filter(|_| !tile.is_full()) else {
        return Ok(None);
    };
    let Some(bytes) = store.read_tile(tile.full())? else {
        return Ok(None);
    };
    tile.full().check_len(bytes.len() as u64)?;
    Ok(Some(bytes.slice(..len)))
}
