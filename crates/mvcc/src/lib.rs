//! Keys with etcd's semantics over a verified log: every change has a revision, every key can
//! be read as it was, watched from any revision, and changed together with others or not at
//! all.
//!
//! ```text
//! request ─plan─▶ changes ─log─▶ LSNs ─apply─▶ index ─durable─▶ published revision
//!        at the newest state     one batch     all versions      what readers see
//! ```
//!
//! Invariants: one write transaction is one batch of the log and one revision; readers see
//! whole revisions up to the published one, which is as durable as the log's settings ask for;
//! `apply` reads no clock and no random source, so replaying the log gives the same state; a
//! revision that was compacted is refused, never answered wrongly.
//!
//! The log is truth; the index and the table of leases are derived and rebuilt from it at open.
//! This crate does not know names, topics, users or proofs: a keyspace is a stream's number.
//!
//! ```
//! use cairn_mvcc::{Put, RangeRequest, Store};
//! use cairn_segment::Log;
//! use cairn_types::StreamId;
//! use std::sync::Arc;
//! let log = Log::options().vfs(Arc::new(cairn_vfs::MemVfs::new())).open()?;
//! let store = Store::open(log)?;
//! let space = StreamId::new(1);
//! let first = store.put(Put::new(space, "k", "one"))?.revision;
//! store.put(Put::new(space, "k", "two"))?;
//! assert_eq!(store.get(space, b"k")?.expect("there").value, "two");
//! let then = store.range(&RangeRequest::key(space, "k").at(first))?;
//! assert_eq!(then.kvs[0].value, "one");
//! # Ok::<(), cairn_mvcc::Error>(())
//! ```
#![forbid(unsafe_code)]

mod anchors;
mod clean;
mod compact;
mod erased;
mod error;
mod fingerprint;
mod freshness;
mod hashes;
mod index;
mod key_value;
mod lease;
mod maintain;
mod notes;
mod open;
mod overlay;
mod plan;
mod range;
mod read;
mod recent;
mod record;
mod records;
mod request;
mod sealer;
mod store;
mod transaction;
mod turn;
mod txn;
mod unseen;
mod visit;
mod watch;

pub use cairn_lsm::{TreeOptions, TreeStats};
pub use clean::CleanKeys;
pub use compact::Compacted;
pub use erased::{Erased, Erasure};
pub use error::{Error, Result};
pub use freshness::ChangeMark;
pub use key_value::{KeyValue, LeaseId};
pub use lease::{LeaseInfo, LeaseRestart};
pub use plan::Planner;
pub use range::{RangeResponse, Scan};
pub use request::{
    Compare, CompareOp, CompareTarget, DeleteRange, Order, Put, Range, RangeRequest, SortBy, Txn,
    TxnOp,
};
pub use sealer::ValueSealer;
pub use store::{Options, Stats, Store, Submitted};
pub use transaction::{Isolation, Transaction};
pub use txn::{DeleteResponse, PutResponse, TxnResponse, TxnResult};
pub use visit::KeyValueRef;
pub use watch::{Change, WatchBatch, WatchFilter, WatchRequest, Watcher};
