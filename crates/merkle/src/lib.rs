//! Proofs for append-only logs: what was written, where, and that nothing before it was altered.
//! Trees, tiles, checkpoints and proof files have public formats (RFC 6962, C2SP), so programs
//! that were not written here check them too.
//!
//! ```text
//!  entry ──leaf_hash──▶ leaf ──push──▶ Tree / TiledTree ──publish──▶ tiles (static files)
//!                                          │ head: size, root           │
//!                                          ▼                            ▼
//!                             Checkpoint ──sign──▶ Note            TileReader ──▶ prove
//!                                                    │                              │
//!                                                    └────────▶ ProofFile ◀─────────┘
//!                                                                   │  the auditor's side:
//!                                                                   ▼  no files, no database
//!                                             verify: leaf + pinned key and origin
//! ```
//!
//! Everything here is **derived** from the log and can be built again, but for private keys and for
//! checkpoints that others already hold.
//!
//! # Invariants
//! - Input from outside causes errors, never panics; nothing is allocated for a length that was
//!   not checked. Sizes up to 2^63 - 1 work without overflow.
//! - Every proof has one valid length and every text one form: a file that was changed in any bit
//!   that is signed or proven is refused.
//! - A tile is not believed: it is checked against a trusted root before any proof uses it.
//! - What checks ([`log::inclusion`], [`log::consistency`], [`note`], [`proof_file`]) touches no
//!   file, clock or random source, and reads as a specification.
//!
//! # Beside the log
//! [`map`] commits to the whole history of every key ("K had V at R", "K was absent", "this is all
//! that K ever was"); [`dag`] names nodes by their content and links them.
//!
//! This crate knows no log and no record: leaves are hashes of bytes, and a keyspace is a number.
//! It does not decide when to sign; the caller signs only what is synced, and never two heads of
//! which one is not the beginning of the other. A root says nothing until someone else holds it.
//!
//! # From an entry to a proof file, and back
//! ```
//! use std::sync::Arc;
//! use cairn_merkle::hash::leaf_hash;
//! use cairn_merkle::log::{MemTiles, TileReader, TiledTree, prove};
//! use cairn_merkle::note::{Checkpoint, KeyName, SignatureKind, Signer};
//! use cairn_merkle::proof_file::{self, ProofFile};
//! use cairn_vfs::OsRng;
//!
//! // The log: entries become leaves, the tree becomes tiles, its head a signed checkpoint.
//! let tiles = Arc::new(MemTiles::new());
//! let mut tree = TiledTree::new(tiles.clone());
//! for entry in ["wood", "stone", "iron"] {
//!     tree.push(leaf_hash(entry.as_bytes()))?;
//! }
//! let head = tree.publish()?;
//! let name = KeyName::new("example.com/log")?;
//! let signer = Signer::generate(name, SignatureKind::Ed25519, &OsRng);
//! let note = Checkpoint::new("example.com/log", head)?.sign(&signer)?;
//!
//! // A proof for one entry is a small text file.
//! let proof = prove::inclusion(&TileReader::open(tiles, head)?, 1, head.size)?;
//! let file = ProofFile::new(1, proof, note)?.to_string();
//! assert!(file.starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"));
//!
//! // The auditor has the file, the entry, the log's name and its public key, and nothing else.
//! let keys = [signer.verifier()];
//! let checked =
//!     proof_file::verify(file.as_bytes(), &leaf_hash(b"stone"), &keys, "example.com/log")?;
//! assert_eq!((checked.index, checked.head), (1, head));
//! assert!(proof_file::verify(file.as_bytes(), &leaf_hash(b"sand"), &keys, "example.com/log").is_err());
//! # Ok::<(), cairn_merkle::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod chain;
pub mod dag;
pub mod error;
pub mod hash;
mod hashing;
pub mod log;
pub mod map;
pub mod note;
pub mod proof_file;

pub use error::{Error, Result};
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
