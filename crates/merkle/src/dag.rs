//! A content-addressed Merkle DAG: nodes of data and links, each named by the hash of its bytes.
//! **Truth** are the blocks and the named roots in a [`NodeStore`]; the engine keeps them as
//! records of its log, so proofs of the log cover them. Ids follow from the blocks.
//!
//! ```text
//! Node { data, links } ──encode──▶ block (DAG-CBOR) ──SHA-256──▶ Cid
//!   name ─▶ root Cid ─▶ links ─▶ ...        export, import: CAR v1
//! ```
//!
//! Invariants: a block is handed out only after it was hashed again; a node can be added only
//! when what it links to is there; there is one encoding of a node; nothing is allocated for a
//! length that was not checked; walks are loops with a limit, never recursion.
//!
//! Not here: the file formats of IPFS (`dag-pb`), ids of version 0, other hashes than SHA-256.
//!
//! ```
//! use cairn_merkle::dag::{Dag, Link, MemoryStore, Node};
//! let dag = Dag::new(MemoryStore::new());
//! let leaf = dag.add_node(&Node::new("stone"))?;
//! let pile = dag.add_node(&Node::new("pile").with_link("top", leaf, 5))?;
//! dag.set_root("cairn", Some(&pile))?;
//!
//! let mut archive = Vec::new();
//! dag.export(&[pile], &mut archive)?;
//! let copy = Dag::new(MemoryStore::new());
//! assert_eq!(copy.import(&mut archive.as_slice())?.roots, [pile]);
//! assert_eq!(copy.get_node(&leaf)?.data, "stone");
//! assert!(copy.verify_integrity(&[pile], 100)?.is_whole());
//! # Ok::<(), cairn_merkle::dag::Error>(())
//! ```

mod car;
mod cbor;
mod cid;
mod error;
mod graph;
mod node;
mod store;
mod walk;

pub use car::{ImportReport, MAX_CAR_HEADER_LEN, MAX_CAR_ROOTS};
pub use cid::{CID_LEN, Cid, Codec};
pub use error::{Error, Result};
pub use graph::Dag;
pub use node::{Link, MAX_BLOCK_LEN, MAX_LINK_NAME_LEN, MAX_LINKS, Node};
pub use store::{MemoryStore, NodeStore, StoreError};
pub use walk::{Fault, Integrity};
