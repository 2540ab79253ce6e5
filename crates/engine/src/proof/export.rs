//! The tiles as others get them: a directory that any static file server can publish (C2SP
//! `tlog-tiles`), and making our own durable. Derived.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cairn_merkle::log::entries::BundleBuilder;
use cairn_merkle::log::{NodeId, NodeReader, TileId, TileReader, TileStore, TreeHead, VfsTiles};
use cairn_types::Lsn;
use cairn_vfs::{OpenMode, Vfs, path};

use super::files::{self, Keep};
use super::tree::TILES;
use super::{Proofs, Result};

const TILE_WIDTH: u64 = 256;
const TILE_HEIGHT: u32 = 8;

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The signed head that the tiles are of.
    pub head: TreeHead,
    /// Tiles of hashes.
    pub tile_count: u64,
    /// Bundles of entries.
    pub bundle_count: u64,
    /// Bundles left out because a record of them was dropped.
    pub missing_bundle_count: u64,
}

/// The tiles of a tree of `size` leaves that one of `from` leaves does not have in full.
fn tiles(from: u64, size: u64) -> impl Iterator<Item = TileId> {
    (0_u8..8).flat_map(move |level| {
        let hashes = |leaves: u64| leaves >> (TILE_HEIGHT * u32::from(level));
        let (begin, end) = (hashes(from) / TILE_WIDTH, hashes(size));
        (begin..end.div_ceil(TILE_WIDTH)).filter_map(move |index| {
            let width = (end - index * TILE_WIDTH).min(TILE_WIDTH);
            TileId::hashes(level, index, u16::try_from(width).ok()?).ok()
        })
    })
}

/// Makes all tiles durable that a tree has since it had `from` leaves.
pub(super) fn sync_tiles(vfs: &dyn Vfs, from: u64, size: u64) -> Result<()> {
    let mut dirs = BTreeSet::new();
    for tile in tiles(from, size) {
        let name = format!("{TILES}/{tile}");
        vfs.open(&name, OpenMode::ReadWrite)?.sync_all()?;
        dirs.insert(path::split(&name).0.to_owned());
    }
    dirs.iter().try_for_each(|dir| Ok(vfs.sync_dir(dir)?))
}

/// A tile's bytes; a partial one may lie in the full one alone.
fn read(store: &dyn TileStore, tile: TileId) -> Result<Bytes> {
    if let Some(bytes) = store.read_tile(tile)? {
        return Ok(bytes);
    }
    let full = if tile.is_full() { None } else { store.read_tile(tile.full())? };
    let missing = || cairn_merkle::Error::MissingTile { path: tile.to_string() };
    let full = full.ok_or_else(missing)?;
    Ok(full.slice(..tile.byte_len().ok_or_else(missing)?))
}

impl Proofs {
    /// Writes a static tile tree of everything that is durable: tiles, bundles of entries (the
    /// raw leaves), the signed checkpoint, and the minimum index. Every tile is checked against
    /// the head after it was written; the checkpoint comes last.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint); those of the target.
    pub fn export_tiles(&self, target: Arc<dyn Vfs>) -> Result<Exported> {
        let mut held = self.held()?;
        let signed = held.sign(None)?;
        let head = signed.head;
        let store = VfsTiles::new(target.clone(), "");
        let tile_count = held.tree.repaired(|tree| {
            let mut count = 0;
            for tile in tiles(0, head.size) {
                store.write_tile(tile, &read(&**tree.store(), tile)?)?;
                count += 1;
            }
            let reader = TileReader::open(&store, head)?;
            for index in (0..head.size).step_by(TILE_WIDTH as usize) {
                reader.node(NodeId { height: 0, index })?;
            }
            Ok(count)
        })?;
        let start = held.log.start_lsn();
        let (bundle_count, missing_bundle_count) = bundles(&held.log, head.size, &store)?;
        let minimum = format!("{start}\n");
        files::replace(&*target, "minimum-index", minimum.as_bytes(), Keep::Loosely)?;
        let note = signed.note.to_string();
        files::replace(&*target, "checkpoint", note.as_bytes(), Keep::Durably)?;
        Ok(Exported { head, tile_count, bundle_count, missing_bundle_count })
    }
}

/// Writes the bundles of all records that are there; how many, and how many have gaps.
fn bundles(log: &cairn_segment::Log, size: u64, store: &VfsTiles) -> Result<(u64, u64)> {
    let (mut written, mut missing) = (0, 0);
    let begin = log.start_lsn().get().div_ceil(TILE_WIDTH);
    for index in begin..size.div_ceil(TILE_WIDTH) {
        let end = size.min((index + 1) * TILE_WIDTH);
        let mut bundle = BundleBuilder::new();
        let mut scan = log.scan(Lsn::new(index * TILE_WIDTH));
        while scan.position().get() < end {
            let Some(entry) = scan.next_record()?.and_then(|record| record.statement()) else {
                break;
            };
            bundle.push(&entry)?;
        }
        if u64::from(bundle.count()) < end - index * TILE_WIDTH {
            missing += 1;
            continue;
        }
        store.write_tile(TileId::entries(index, bundle.count())?, bundle.as_bytes())?;
        written += 1;
    }
    Ok((written, missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiles_of_a_size_are_those_that_others_would_ask_for() {
        let names = |from, size| tiles(from, size).map(|tile| tile.to_string()).collect::<Vec<_>>();
        assert_eq!(names(0, 0), [""; 0]);
        assert_eq!(names(0, 1), ["tile/0/000.p/1"]);
        assert_eq!(names(0, 256), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(names(256, 257), ["tile/0/001.p/1", "tile/1/000.p/1"]);
        assert_eq!(names(0, 257), ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    }
}
