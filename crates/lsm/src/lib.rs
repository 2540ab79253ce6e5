//! The ordered store on disk: keys with all their versions, in memory and in sorted tables.
//!
//! ```text
//!  Tree<V>  memory (hash + counted order) ──flush──▶ tables, level by level, and a manifest
//!  LsmTree  a Tree with a log of its own: put, get, delete, scan
//! ```
//!
//! Everything here is **derived**: a [`Tree`] is a view of a log and remembers up to which
//! position it reaches; [`LsmTree`] brings the log with it. A table holds versions, not just
//! values: readers choose by sequence, so a snapshot is a number. It also holds weights, by which
//! a range is counted without being read.
//!
//! Invariants: an edit of the manifest is there or not; a table is complete and synced before the
//! manifest names it; nothing is flushed that the log could still lose; a key in memory has there
//! its newest version and every one that no table has. This crate does not know revisions, leases
//! or transactions.
//!
//! ```
//! use cairn_lsm::LsmTree;
//! let dir = tempfile::tempdir()?;
//! let tree = LsmTree::open(dir.path().join("store"))?;
//! tree.put(b"stone", b"granite")?;
//! let before = tree.snapshot();
//! tree.put(b"stone", b"slate")?;
//! assert_eq!(tree.get(b"stone")?.as_deref(), Some(&b"slate"[..]));
//! assert_eq!(before.get(b"stone")?.as_deref(), Some(&b"granite"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod block;
mod bounds;
mod entry;
pub mod error;
mod levels;
mod manifest;
mod memtable;
mod merge;
mod merging;
mod standalone;
mod table;
mod tree;

pub use bounds::Bounds;
pub use entry::{EntryRef, Redact, Stored, Version};
pub use error::{Error, Result};
pub use manifest::Position;
pub use standalone::{Batch, LsmOptions, LsmTree, Scan, Snapshot};
pub use tree::{Before, Flush, Found, Opened, Records, Tree, TreeOptions, TreeStats, Writing};
