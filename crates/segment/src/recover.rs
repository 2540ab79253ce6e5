//! Opening a store: what is there, what of it is whole, and what a crash left behind.
//!
//! Only the last segment is scanned. What its headers (or the superblock) prove durable stays
//! in place; valid batches after that are copied into a new segment before anything is served,
//! because their bytes may exist in the page cache alone; what is not valid is cut and
//! reported. Damage below the durable watermark is an error, never a cut.

mod layout;
mod open;
mod report;
mod scan;
mod tail;

pub use report::RecoveryReport;

pub(crate) use layout::{Layout, SegmentFile, read_layout, read_segment, refuse_unfinished_import};
pub(crate) use open::open_store;
pub(crate) use scan::{Stop, scan, scan_from};
pub(crate) use tail::chain_after;
