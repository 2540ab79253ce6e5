//! Cairn: an embedded database whose append-only, hash-chained log is the database.
//!
//! This crate re-exports the stack under one roof; every layer is also a crate of its own.
//!
//! | module | crate | for |
//! |---|---|---|
//! | [`engine`] | `cairn-engine` | topics, keyspaces, transactions over both, proofs, guarded handles |
//! | [`keys`] | `cairn-mvcc` | requests and answers about keys: ranges, compare-then-else, watches, leases |
//! | [`log`] | `cairn-segment` | the verified log: settings, verification, backup, snapshots, repair |
//! | [`auth`] | `cairn-auth` | users, roles, API keys, sessions, keys of ciphers |
//! | [`merkle`] | `cairn-merkle` | trees, proofs, notes and checkpoints, checked without an engine |
//! | [`lsm`], [`index`] | `cairn-lsm`, `cairn-index` | the ordered store alone; filters and indexes |
//! | [`codec`], [`types`], [`vfs`] | `cairn-codec`, `cairn-types`, `cairn-vfs` | compression; names and numbers; disks, clocks and randomness |
//!
//! ```
//! use cairndb::prelude::*;
//!
//! let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("data"))?;
//!
//! // A topic with two partitions; events of one key stay in one partition, in order.
//! engine.create_topic("orders", TopicConfig { partitions: 2, ..TopicConfig::default() })?;
//! let placed = engine.append("orders", NewEvent::json(r#"{"id":1}"#).with_key("alice"))?;
//! engine.append("orders", NewEvent::json(r#"{"id":2}"#).with_key("alice"))?;
//!
//! // Read from anywhere; nothing is copied.
//! let partition = placed.partition.get();
//! for event in engine.events("orders", partition, 0)? {
//!     let event = event?;
//!     println!("{} {}", event.offset, event.data.as_str().unwrap_or_default());
//! }
//!
//! // A group remembers how far it has read, across restarts.
//! let mut consumer = engine.consumer("billing", "orders")?;
//! assert_eq!(consumer.poll(10)?.len(), 2);
//! consumer.commit()?;
//!
//! // Every byte that was committed is covered by the chain.
//! assert!(engine.verify(&VerifyOptions::default())?.is_intact());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub use cairn_auth as auth;
pub use cairn_codec as codec;
pub use cairn_engine as engine;
pub use cairn_index as index;
pub use cairn_lsm as lsm;
pub use cairn_merkle as merkle;
pub use cairn_mvcc as keys;
pub use cairn_segment as log;
pub use cairn_types as types;
pub use cairn_vfs as vfs;

pub use cairn_engine::{Engine, EngineOptions, Error, Result};

/// What most programs need. None of its names is one of the standard prelude's.
pub mod prelude {
    pub use cairn_engine::{
        Appended, Committed, Consumer, Engine, EngineOptions, Events, Keyspace, KeyspaceRetention,
        NewEvent, Producer, ReadFrom, SnapshotAt, SnapshotImport, TopicConfig, Transaction,
    };
    pub use cairn_mvcc::{
        Compare, CompareOp, CompareTarget, DeleteRange, Isolation, KeyValue, KeyValueRef, LeaseId,
        Order, Put, Range, RangeRequest, SortBy, Txn, TxnOp, WatchRequest, Watcher,
    };
    pub use cairn_segment::{Compression, Log, LogConfig, Retention, VerifyOptions};
    pub use cairn_types::{
        Durability, Event, EventData, EventId, Lsn, Offset, Partition, Timestamp, Topic,
    };
}
