//! Portable snapshots: everything needed to open the log elsewhere as it was at a batch, as a
//! stream of bytes. Derived: a copy. Nothing here opens a file by a path of the user; streams
//! come and go through `Read` and `Write`.
//!
//! ```text
//! Log ─snapshot(until)─▶ Snapshot ─write_to─▶ chunks ─read_from─▶ SnapshotImport ─finish─▶ store
//!       files pinned                CRC, running SHA-256   journal      verified first
//! ```
//!
//! The files are pinned when the snapshot is taken: appending, cleaning and retention go on
//! meanwhile and change nothing of it. An import goes on where it stopped, and what it wrote
//! cannot be opened before all of it was verified. The layout is in `format::snapshot`.

mod error;
mod export;
mod import;
mod journal;
mod place;
mod plan;

pub use error::SnapshotError;
pub use export::Exported;
pub use import::{Imported, SnapshotImport};
pub use plan::{Snapshot, SnapshotOptions};
