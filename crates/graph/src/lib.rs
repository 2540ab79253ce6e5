//! A property graph on Cairn: vertices and edges with labels and properties, in a keyspace.
//!
//! ```text
//!  Graph ─transact─▶ GraphTx ─┐                        ┌─▶ vertices, edges        truth
//!  Graph ─import───▶ windows ─┴─▶ one commit of keys ──┼─▶ both directions, labels, indexes
//!                                                      └─▶ watch ─▶ Feed: typed changes
//!  Graph ─now, at──▶ View ─▶ neighbours, expand, paths, index lookups at one revision
//! ```
//!
//! Invariants: an edge is in the keys of both its ends, and every index agrees with vertices and
//! edges, at every revision; [`Graph::check`] names each place where they do not. An edge never
//! outlives its vertices. Nothing is kept in memory between calls.
//!
//! The log is truth; of the keys, vertices and out keys are truth and all others derived (see
//! [`StorageKey`]). This crate knows the facade alone: no files, no clocks, no threads.
//!
//! See [`Graph`] for an example.
#![forbid(unsafe_code)]

mod change;
mod check;
pub mod chunk;
pub mod csv;
mod cursor;
mod error;
mod expand;
mod feed;
mod graph;
mod id;
mod import;
pub mod index;
mod key;
pub mod limits;
mod path;
pub mod proof;
mod read;
pub mod record;
mod source;
mod stats;
pub mod value;
mod view;

pub use change::{GraphTx, OnDelete};
pub use check::{CheckReport, Disagreement};
pub use error::{Error, Result};
pub use expand::{ExpandOptions, Expansion, Reached};
pub use feed::{ChangeBatch, Feed, GraphChange};
pub use graph::{Graph, KEYSPACE_PREFIX, Written};
pub use id::{BatchId, EdgeId, VertexId};
pub use import::{
    EdgeColumns, EdgeLoader, ImportOptions, ImportReport, NewEdge, NodeColumns, Progress,
};
pub use index::Target;
pub use key::{Adjacent, ChunkKey, StorageKey};
pub use path::{Path, PathOptions};
pub use read::{Direction, Neighbour};
pub use record::{Edge, Label, Place, Properties, Vertex};
pub use stats::GraphStats;
pub use value::Value;
pub use view::View;
