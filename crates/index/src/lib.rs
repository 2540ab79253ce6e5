//! Index structures for keys, each usable alone: which tables can hold a key, where its newest
//! version is, which keys lie in a range, what a key was at a revision.
//!
//! ```text
//!  key ──key_hash──▶ filter (a table's keys, persisted)     certainly absent / maybe there
//!      ──key_hash──▶ hot    (newest version, in memory)     place / certainly absent / unknown
//!      ────────────▶ prefix (in order, in memory)           ranges, prefixes, count, nth
//!      ────────────▶ sparse (every nth key, persisted)      where to look in a sorted file
//!                    key_history (one key)                  what it was at a revision
//! ```
//!
//! Everything here is **derived**: it can be thrown away and rebuilt from the log. So damage is
//! always an error that says "build it again", and never an answer.
//! Invariants: bytes from outside cause errors, never panics, and nothing is allocated for a
//! length that was not checked first; a filter never denies a key it was given.
//! This crate knows no files, no clock and no log: it works on bytes and numbers.
//!
//! ```
//! use cairn_index::{Filter, FilterBuilder};
//! let mut builder = FilterBuilder::new(10);
//! builder.add(b"apple");
//! let filter = Filter::open(builder.build())?;
//! assert!(filter.may_contain(b"apple"));
//! # Ok::<(), cairn_index::Error>(())
//! ```
#![forbid(unsafe_code)]

mod bits;
pub mod error;
pub mod filter;
pub mod hot;
pub mod key_hash;
pub mod key_history;
pub mod prefix;
pub mod sparse;

pub use error::{Error, Result};
pub use filter::{Filter, FilterBuilder, FilterView};
pub use hot::{AtLimit, HotConfig, HotIndex, Lookup, PLACE_END, Ticket, Upsert};
pub use key_hash::{key_hash, key_hash_seeded};
pub use key_history::{Change, KeyHistory, KeyVersion};
pub use prefix::{PrefixIndex, prefix_end};
pub use sparse::{Span, SparseBuilder, SparseIndex, SparseView};
