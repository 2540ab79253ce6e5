//! A verified, segmented, append-only log: the database under Cairn, and a product by itself.
//!
//! ```text
//! Draft ─submit─▶ buffer ─wait─▶ segment file ─publish─▶ readers
//!        LSN, chain      group commit          index, watermarks
//! ```
//!
//! Invariants: a batch is there whole or not at all; what was acknowledged on a `Sync` log
//! survives power loss; every stored field is covered by the chain; damage below the durable
//! watermark is reported with its place and never cut away; after a failed write or sync the
//! log takes no more writes until it is opened again.
//!
//! The segment files, the superblock and `CAIRN` are truth; `.idx` files are derived.
//! This crate does not know what records mean: topics, keys and proofs are built on it.
//!
//! ```
//! use cairn_segment::{Draft, Log, RecordDraft, RecordKind};
//! use cairn_types::StreamId;
//! let log = Log::options().vfs(std::sync::Arc::new(cairn_vfs::MemVfs::new())).open()?;
//! let mut draft = Draft::new();
//! draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), b"stone")?;
//! let lsn = log.append(&draft)?.first_lsn;
//! assert_eq!(log.read(lsn)?.payload.as_deref(), Some(b"stone".as_slice()));
//! # Ok::<(), cairn_segment::Error>(())
//! ```
#![forbid(unsafe_code)]

mod append;
mod backup;
pub mod checkpoint;
mod clean;
mod config;
mod error;
pub mod format;
mod keyring;
mod log;
pub mod mutation;
mod observe;
mod read;
mod recover;
mod repair;
mod retain;
mod rotate;
mod sealed_files;
mod segment;
mod segment_index;
mod segments;
mod snapshot;
mod space;
mod store;
mod verified;
mod verify;
mod watch;
mod window;

pub use append::{Appended, Expect, Sequences, Ticket};
pub use backup::BackedUp;
pub use cairn_codec::{
    Compression, Content, Draft, Facts, Fate, RecordDraft, RecordKind, SequenceRule,
};
pub use clean::{CleanOptions, Cleaned, Pace};
pub use config::{CheckpointPolicy, IoMode, LogConfig};
pub use error::{Corruption, Error, Result};
pub use log::{Head, Log, LogOptions, LogStats};
pub use read::{Record, RecordRef, Scan, StreamScan};
pub use recover::RecoveryReport;
pub use repair::{Repair, cut};
pub use retain::{Dropped, Retention};
pub use rotate::{KeyStatus, KeyUse, OnDamage, OwnedFile};
pub use snapshot::{Exported, Imported, Snapshot, SnapshotError, SnapshotImport, SnapshotOptions};
pub use space::{SegmentStats, SpaceLimit};
pub use verified::VerifiedRecord;
pub use verify::{OnErased, VerifyOptions, VerifyReport, verify_store};
pub use watch::ListenerGuard;
