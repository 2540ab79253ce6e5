//! The tree over a log: built as leaves come, kept as tiles, proven by short lists of hashes.
//!
//! | module | what it owns | files, or pure |
//! |---|---|---|
//! | [`inclusion`], [`consistency`] | checking proofs: what others write again from RFC 9162 | pure |
//! | [`prove`] | making proofs from any [`NodeReader`] | pure |
//! | [`tree`], [`state`] | the tree in `O(log n)` memory, and its bytes | pure |
//! | [`tile`], [`entries`] | names and contents of C2SP tiles | pure |
//! | [`store`] | where tiles are kept: memory or a directory | files |
//! | [`tiled`] | the tree that writes tiles | through a store |
//! | [`reader`] | the tiles as nodes, each checked against a trusted root | through a store |
//!
//! All of it is **derived** from the leaves, which are derived from the log.

pub mod consistency;
pub mod entries;
pub mod inclusion;
pub mod node;
pub mod prove;
pub mod reader;
pub mod state;
pub mod store;
pub mod tile;
pub mod tiled;
pub mod tree;

pub use node::{Leaves, NodeId, NodeReader};
pub use reader::TileReader;
pub use store::{MemTiles, TileStore, VfsTiles};
pub use tile::{TileId, TileKind};
pub use tiled::TiledTree;
pub use tree::{SIZE_MAX, Tree, TreeHead};
