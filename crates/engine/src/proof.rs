//! Proof over the log: every record is a leaf of one tree, whose heads are signed and whose
//! records can be shown to somebody who trusts nobody here.
//!
//! ```text
//!  log (durable) ──leaves──▶ tree ──▶ tiles/          derived: rebuilt from the log
//!        │                    │ head, once synced and integrated
//!        │                    ▼
//!        │                checkpoint ──▶ note, signed with keys/checkpoint.key
//!        │                    ▲ only if it begins with what keys/signed remembers
//!        └─puts, deletes──▶ key map ──▶ MAP_ROOT record (a leaf like any other)
//! ```
//!
//! Nothing happens on the way of a commit: the tree trails the log and catches up when asked.
//!
//! # Invariants
//! - A size is signed only when all its records are durable and in the tree.
//! - Before a signature leaves, the head it is for is on the disk in `keys/signed`; a log that
//!   ends below that head, or has another past, gets no signature any more.
//! - Tiles, tree state and key map are **derived**; `keys/` is **truth**: it cannot be rebuilt.
//!
//! What this does not know: who holds a checkpoint. Without somebody who does, its owner can
//! rewrite everything; see `docs/proofs.md`.
//!
//! ```
//! use cairn_engine::{Engine, NewEvent, TopicConfig, proof};
//! let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("data"))?;
//! engine.create_topic("orders", TopicConfig::default())?;
//! let placed = engine.append("orders", NewEvent::json(r#"{"id":1}"#))?;
//!
//! let proofs = engine.proofs()?;
//! let shown = proofs.prove_event("orders", 0, placed.offset.get())?;
//! let (file, key) = (shown.file.to_string(), proofs.verifier()?);
//!
//! // Elsewhere: the file and the public key are enough.
//! let checked = proof::check::record(file.as_bytes(), None, &[key])?;
//! assert_eq!(checked.lsn, placed.lsn);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod against;
pub mod check;
pub mod dag;
mod error;
mod export;
pub(crate) mod files;
mod handle;
mod key_list;
mod key_map;
pub mod key_proof;
mod make;
#[doc(hidden)]
pub mod mutation;
mod overlay;
mod records;
mod retention;
mod signed;
mod signing;
mod state;
mod tree;

pub use against::{Against, Standing};
pub use error::{Error, Result};
pub use export::Exported;
pub use handle::{Policy, Proofs, SignedHead};
pub use key_list::SigningKey;
pub use key_proof::KeyProofFile;
pub use make::{KeyProven, Proven};

pub(crate) use handle::Slot;
