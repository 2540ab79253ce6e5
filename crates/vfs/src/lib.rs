//! The only crate of Cairn that touches files, clocks and random sources.
//!
//! ```text
//!            Vfs / VfsFile / Clock / Rng          traits, the seam
//!   ┌───────────┬───────────┬────────────────┐
//! StdVfs      MemVfs      SimVfs        CountdownVfs
//! real disk   in memory   faulty disk   fails the Nth operation
//! ```
//!
//! Paths are relative to the root a [`Vfs`] was opened at and are checked, so nothing above can
//! write outside the store's directory. This crate knows nothing of logs or formats.
//!
//! ```
//! use cairn_vfs::{MemVfs, OpenMode, Vfs};
//! let vfs = MemVfs::new();
//! let file = vfs.open("a", OpenMode::Create)?;
//! file.write_all_at(0, b"stone")?;
//! assert_eq!(file.len()?, 5);
//! # Ok::<(), cairn_vfs::Error>(())
//! ```
#![deny(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "this crate is where files and clocks are used")]

pub mod clock;
pub mod countdown;
pub mod error;
pub mod file;
pub mod mapping;
pub mod mem;
pub mod os;
pub mod path;
pub mod rate;
pub mod record;
pub mod rng;
pub mod sim;

pub use clock::{Clock, ManualClock, SystemClock};
pub use countdown::{CountdownVfs, Failure};
pub use error::{Error, FaultKind, Op, Result};
pub use file::{DirEntry, DirWatcher, OpenMode, Vfs, VfsFile, VfsLock};
pub use mapping::Mapping;
pub use mem::MemVfs;
pub use os::{SilentTerminal, StdVfs};
pub use rate::Throttle;
pub use record::RecordVfs;
pub use rng::{OsRng, Rng, SeededRng};
pub use sim::{SimConfig, SimStats, SimVfs};
