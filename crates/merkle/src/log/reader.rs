//! Tiles as nodes of a tree, none believed unchecked. Derived: a cache over derived files.
//!
//! ```text
//!            trusted root
//!                 ▲ computed from all of the right edge when opened
//!   level 2   [ partial ]
//!                 ▲ the root of a full tile must be its hash one level above
//!   level 1   [ full ][ partial ]
//!                 ▲
//!   level 0   [ full ][ full ] ... [ partial ]
//! ```
//!
//! So a damaged or forged tile is an error that names it, and never becomes part of a proof. Tiles
//! that were checked are kept, with all nodes inside, up to a limit.

mod cache;
mod nodes;

use std::sync::{Arc, Mutex, PoisonError};

use cache::Cache;
pub(crate) use nodes::Nodes;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::log::consistency;
use crate::log::node::{NodeId, NodeReader};
use crate::log::prove::{self, fold};
use crate::log::store::{TileStore, read_width};
use crate::log::tile::{LEVEL_USED_MAX, TILE_HEIGHT, TILE_WIDTH, TileId};
use crate::log::tree::{TreeHead, check_size};

const LEVELS: usize = LEVEL_USED_MAX as usize + 1;
/// Tiles kept by default: 16 MiB.
const CACHED_TILES: usize = 1024;

/// The partial tiles of one size, by level; empty ones where the size ends with a full tile.
pub(crate) type Edge = [Arc<Nodes>; LEVELS];

/// Reads the right edge of a tree and checks that it leads to the root.
pub(crate) fn read_edge<S: TileStore + ?Sized>(store: &S, head: &TreeHead) -> Result<Edge> {
    check_size(head.size)?;
    let mut edge: Edge = std::array::from_fn(|_| Arc::default());
    for (nodes, level) in edge.iter_mut().zip(0..) {
        let hashes = head.size >> (TILE_HEIGHT * level);
        let width = (hashes % u64::from(TILE_WIDTH)) as u16;
        if width > 0 {
            let tile = TileId::hashes(level, hashes / u64::from(TILE_WIDTH), width)?;
            *nodes = Arc::new(read_nodes(store, tile)?);
        }
    }
    let peaks: Vec<Hash> = edge.iter().rev().flat_map(|nodes| nodes.peaks()).collect();
    let computed = fold(&peaks).unwrap_or_else(crate::hash::empty_root);
    if computed == head.root {
        return Ok(edge);
    }
    Err(Error::DamagedTiles { what: "the right edge".into(), computed, trusted: head.root })
}

fn read_nodes<S: TileStore + ?Sized>(store: &S, tile: TileId) -> Result<Nodes> {
    let bytes = read_width(store, tile)?;
    let bytes = bytes.ok_or_else(|| Error::MissingTile { path: tile.to_string() })?;
    Ok(Nodes::expand(&bytes))
}

/// The nodes of a tree whose tiles are in a store.
///
/// A proof for a random entry reads at most one tile a level (three for 10 million leaves) and
/// hashes 255 nodes for each that is not cached.
#[derive(Debug)]
pub struct TileReader<S> {
    store: S,
    head: TreeHead,
    edge: Edge,
    cache: Mutex<Cache>,
}

impl<S: TileStore> TileReader<S> {
    /// Opens the tree with this head, which is trusted; everything in the store is checked
    /// against it. Reads at most 8 tiles.
    ///
    /// # Errors
    /// [`Error::MissingTile`], [`Error::Corrupt`], and [`Error::DamagedTiles`] when the tiles are
    /// of another tree; what the store brings.
    pub fn open(store: S, head: TreeHead) -> Result<Self> {
        let edge = read_edge(&store, &head)?;
        Ok(Self { store, head, edge, cache: Mutex::new(Cache::new(CACHED_TILES)) })
    }

    /// Keeps at most so many tiles, of 16 KiB each; one at least.
    #[must_use]
    pub fn with_cached_tiles(self, limit: usize) -> Self {
        Self { cache: Mutex::new(Cache::new(limit.max(1))), ..self }
    }

    /// The head that everything is checked against.
    #[must_use]
    pub const fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Goes on to a later head of the same log. Nothing is trusted anew: it is proven from the
    /// tiles that the new tree begins with the old one.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::OutOfRange`] for a smaller tree; [`Error::RootMismatch`]
    /// when the new head does not begin with the old one. The reader is then as before.
    pub fn advance(&mut self, head: TreeHead) -> Result<()> {
        let before = (self.head, std::mem::replace(&mut self.edge, read_edge(&self.store, &head)?));
        self.head = head;
        let checked = self.check_grown(&before.0);
        if checked.is_err() {
            (self.head, self.edge) = before;
            // Tiles that were checked against the refused head are worth nothing.
            self.cache.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        }
        checked
    }

    fn check_grown(&self, old: &TreeHead) -> Result<()> {
        if old.size == 0 {
            return Ok(());
        }
        let proof = prove::consistency(self, old.size, self.head.size)?;
        consistency::verify(old, &self.head, &proof)
    }

    fn tile(&self, level: u8, index: u64) -> Result<Arc<Nodes>> {
        let begun = self.head.size >> (TILE_HEIGHT * level);
        if index == begun / u64::from(TILE_WIDTH) {
            return Ok(Arc::clone(&self.edge[usize::from(level)]));
        }
        if let Some(nodes) = self.cache().get((level, index)) {
            return Ok(nodes);
        }
        let tile = TileId::hashes(level, index, TILE_WIDTH)?;
        let nodes = Arc::new(read_nodes(&self.store, tile)?);
        let trusted = self.node(NodeId { height: TILE_HEIGHT * (level + 1), index })?;
        let computed = *nodes.row(TILE_HEIGHT).first().expect("a full tile has a root");
        if computed != trusted {
            return Err(Error::DamagedTiles { what: tile.to_string(), computed, trusted });
        }
        self.cache().insert((level, index), Arc::clone(&nodes));
        Ok(nodes)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: TileStore> NodeReader for TileReader<S> {
    fn node(&self, node: NodeId) -> Result<Hash> {
        node.check_within(self.head.size)?;
        let (level, row) = (node.height / TILE_HEIGHT, node.height % TILE_HEIGHT);
        let nodes = self.tile(level, node.index >> (TILE_HEIGHT - row))?;
        let place = node.index as usize & ((1 << (TILE_HEIGHT - row)) - 1);
        let hash = nodes.row(row).get(place);
        Ok(*hash.expect("a complete node within the size lies in the tile of its place"))
    }
}
