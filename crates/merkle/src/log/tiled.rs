//! The tree that keeps its nodes as tiles. Derived: empty the store and push the leaves again.
//!
//! ```text
//!  push ──▶ Tree (peaks)
//!            └─ each node of height 0, 8, 16, ... ──▶ right edge, one row a level (at most 256)
//!                                                      └─ a row of 256 ──▶ full tile, never changed
//!  publish ─▶ partial tiles of all rows: now every proof of this size can be read from the store
//! ```
//!
//! Full tiles are written as they fill up, lower levels first. Partial tiles are dropped once the
//! full one is there.

use crate::error::Result;
use crate::hash::{HASH_LEN, Hash};
use crate::log::reader::read_edge;
use crate::log::store::TileStore;
use crate::log::tile::{LEVEL_USED_MAX, TILE_HEIGHT, TILE_WIDTH, TileId, TileKind};
use crate::log::tree::{Tree, TreeHead, check_size};

const LEVELS: usize = LEVEL_USED_MAX as usize + 1;

/// A growing tree and its tiles.
///
/// ```
/// use std::sync::Arc;
/// use cairn_merkle::hash::leaf_hash;
/// use cairn_merkle::log::{MemTiles, TileReader, TiledTree, inclusion, prove};
/// let tiles = Arc::new(MemTiles::new());
/// let mut tree = TiledTree::new(tiles.clone());
/// for n in 0..1000_u32 {
///     tree.push(leaf_hash(&n.to_le_bytes()))?;
/// }
/// let head = tree.publish()?;
///
/// let reader = TileReader::open(tiles, head)?;
/// let proof = prove::inclusion(&reader, 700, head.size)?;
/// inclusion::verify(700, head.size, &leaf_hash(&700_u32.to_le_bytes()), &proof, &head.root)?;
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug)]
pub struct TiledTree<S> {
    store: S,
    tree: Tree,
    edge: [Row; LEVELS],
    /// Full tiles that the next call writes before all else; one a level at most.
    unwritten: Vec<(TileId, Vec<u8>)>,
}

/// The hashes of one level that are not in a full tile yet.
#[derive(Debug, Clone, Default)]
struct Row {
    hashes: Vec<[u8; HASH_LEN]>,
    /// How many of them a partial tile holds; 0 when there is none.
    published: usize,
}

impl<S: TileStore> TiledTree<S> {
    /// A tree without leaves.
    #[must_use]
    pub fn new(store: S) -> Self {
        let edge = std::array::from_fn(|_| Row::default());
        Self { store, tree: Tree::new(), edge, unwritten: Vec::new() }
    }

    /// Goes on with a tree whose tiles were published at this head; reads at most 8 of them.
    ///
    /// # Errors
    /// [`Error::MissingTile`](crate::Error::MissingTile), [`Error::Corrupt`](crate::Error::Corrupt) and [`Error::DamagedTiles`](crate::Error::DamagedTiles) when the tiles are
    /// not those of the head: build them again with [`new`](Self::new).
    pub fn open(store: S, head: &TreeHead) -> Result<Self> {
        let edge = read_edge(&store, head)?;
        let mut tiled = Self::new(store);
        let mut peaks = Vec::new();
        for (row, nodes) in tiled.edge.iter_mut().zip(&edge) {
            row.hashes = nodes.row(0).iter().map(|hash| *hash.as_bytes()).collect();
            row.published = row.hashes.len();
        }
        edge.iter().rev().for_each(|nodes| peaks.extend(nodes.peaks()));
        tiled.tree = Tree::from_peaks(head.size, peaks)?;
        assert_eq!(tiled.tree.root(), head.root, "the edge was checked against the head");
        Ok(tiled)
    }

    /// Adds a leaf and says its index.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) when the tree is full; what the store brings when a tile that became
    /// full earlier cannot be written: then this leaf was not added, and the call can be repeated.
    pub fn push(&mut self, leaf: Hash) -> Result<u64> {
        self.write_full()?;
        self.take_leaf(leaf)
    }

    /// Adds leaves in order.
    ///
    /// # Errors
    /// As [`push`](Self::push); the leaves up to [`size`](Self::size) were added then, the others
    /// were not.
    pub fn extend(&mut self, leaves: &[Hash]) -> Result<()> {
        check_size(self.size().saturating_add(leaves.len() as u64))?;
        leaves.iter().try_for_each(|leaf| self.push(*leaf).map(drop))
    }

    /// Writes what is needed to read every proof of the present size from the store, and says
    /// which size that is. Only heads that were published may be signed.
    ///
    /// # Errors
    /// What the store brings; the call can be repeated.
    pub fn publish(&mut self) -> Result<TreeHead> {
        self.write_full()?;
        let size = self.size();
        for level in 0..=LEVEL_USED_MAX {
            let row = &mut self.edge[usize::from(level)];
            let width = row.hashes.len();
            if width == row.published {
                continue;
            }
            let tile = TileId::hashes(level, tile_at(size, level), width as u16)?;
            self.store.write_tile(tile, row.hashes.as_flattened())?;
            row.published = width;
        }
        Ok(self.head())
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.tree.head()
    }

    /// The tree itself, to be kept by [`state`](crate::log::state).
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    fn take_leaf(&mut self, leaf: Hash) -> Result<u64> {
        let edge = &mut self.edge;
        let index = self.tree.push_observed(leaf, |height, hash| {
            if height.is_multiple_of(u32::from(TILE_HEIGHT)) {
                let row = &mut edge[(height / u32::from(TILE_HEIGHT)) as usize];
                row.hashes.push(*hash.as_bytes());
            }
        })?;
        if self.size().is_multiple_of(u64::from(TILE_WIDTH)) {
            self.take_full(index)?;
        }
        Ok(index)
    }

    /// Moves the rows that this leaf filled up out of the edge.
    fn take_full(&mut self, index: u64) -> Result<()> {
        for (row, level) in self.edge.iter_mut().zip(0..) {
            if row.hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let tile = TileId::hashes(level, tile_at(index, level), TILE_WIDTH)?;
            self.unwritten.push((tile, row.hashes.as_flattened().to_vec()));
            row.hashes.clear();
        }
        assert!(self.unwritten.len() <= LEVELS, "nothing is added before these are written");
        Ok(())
    }

    fn write_full(&mut self) -> Result<()> {
        while let Some((tile, bytes)) = self.unwritten.first() {
            self.store.write_tile(*tile, bytes)?;
            let tile = self.unwritten.remove(0).0;
            if let TileKind::Hashes { level } = tile.kind()
                && std::mem::take(&mut self.edge[usize::from(level)].published) > 0
            {
                self.store.drop_partials(tile)?;
            }
        }
        Ok(())
    }
}

/// The index of the tile that holds what comes at this leaf, at a level.
fn tile_at(leaf: u64, level: u8) -> u64 {
    let height = u32::from(TILE_HEIGHT) * (u32::from(level) + 1);
    leaf.checked_shr(height).unwrap_or(0)
}
