//! Topics and events, keyspaces and keys, over one verified log: one commit for all of them.
//!
//! ```text
//! append ─ validate, envelope ─▶ Draft ─▶ log (one stream for each partition)
//! read   ◀─ Event ◀─ envelope ◀─ log.scan_stream(partition, offset)
//! ```
//!
//! The log is the truth: an event's offset is its sequence in the partition's stream. The
//! table of topics and the groups' offsets are views, rebuilt at open from the records of the
//! system stream. This crate does not know files, segments or bytes on disk.
//!
//! ```
//! use cairn_engine::{Engine, NewEvent, TopicConfig};
//! let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("data"))?;
//! engine.create_topic("orders", TopicConfig::default())?;
//! let appended = engine.append("orders", NewEvent::json(r#"{"id":1}"#))?;
//! assert_eq!(appended.offset.get(), 0);
//! let events: Vec<_> = engine.events("orders", 0, 0)?.collect::<Result<_, _>>()?;
//! assert_eq!(events[0].data.as_str(), Some(r#"{"id":1}"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod append;
#[cfg(feature = "tokio")]
mod asynchronous;
pub mod auth;
pub mod command;
mod dedup;
mod encryption;
mod engine;
pub mod envelope;
pub mod erasure;
mod error;
mod event;
mod group;
mod keys;
mod membership;
pub mod metadata;
mod observe;
mod producer;
pub mod proof;
mod random;
mod read;
mod replicate;
mod retention;
mod snapshot;
mod space;
mod stats;
pub mod subjects;
mod subscribe;
mod view;

pub use append::Appended;
#[cfg(feature = "tokio")]
pub use asynchronous::EventStream;
pub use cairn_mvcc::CleanKeys;
pub use cairn_segment::{Imported, KeyStatus, KeyUse, Snapshot, SnapshotError, SnapshotImport};
pub use command::answer::{Answer, EventPlace};
pub use command::{COMMAND_LEN_MAX, Command, EventCommand};
pub use encryption::Resealed;
pub use engine::{Engine, EngineOptions};
pub use erasure::{
    Authorised, EraseTarget, ErasedRecords, Erasure, ErasureKind, ErasureReport, Versions,
};
pub use error::{Error, Result};
pub use event::{NewEvent, TopicConfig};
pub use group::{Consumer, GroupLag};
pub use keys::{Committed, Keyspace, Transaction};
pub use membership::Membership;
pub use metadata::KeyspaceRetention;
pub use producer::Producer;
pub use read::{Events, ReadFrom};
pub use replicate::{
    CommandSubmitter, Commands, LocalReplication, Position, PositionedSnapshot, SnapshotProvider,
    Submission,
};
pub use retention::Retained;
pub use snapshot::SnapshotAt;
pub use space::{OwnedSpace, SpaceOwner, SpaceReport};
pub use stats::{PartitionStats, TopicStats};
pub use subjects::Shredded;
pub use subscribe::Subscription;
