//! Byte layouts of the files around the batches: segment header, seal, superblock, store file.
//!
//! All numbers are little-endian; reserved bytes are zero and checked; every structure ends
//! with a CRC32 over all of its bytes before. The tables in the modules are normative;
//! `docs/format.md` lists them.

pub mod frame;
pub mod seal;
pub mod segment_header;
pub mod snapshot;
pub mod store_file;
pub mod superblock;

/// Format version of everything in this module.
pub const VERSION: u8 = 1;

/// Directory of the log below the store's directory.
pub const LOG_DIR: &str = "log";

/// Directory below the store's in which a repair puts copies of what it removes.
pub const QUARANTINE_DIR: &str = "quarantine";

/// Path of the file that holds a segment.
#[must_use]
pub fn segment_path(id: cairn_types::SegmentId) -> String {
    format!("{LOG_DIR}/segment_{:06}.log", id.get())
}

/// Path of the rebuildable index of a segment.
#[must_use]
pub fn index_path(id: cairn_types::SegmentId) -> String {
    format!("{LOG_DIR}/segment_{:06}.idx", id.get())
}

/// Segment number from a file name in the log directory, if it is one.
#[must_use]
pub fn parse_segment_name(name: &str) -> Option<cairn_types::SegmentId> {
    let digits = name.strip_prefix("segment_")?.strip_suffix(".log")?;
    let canonical = digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit());
    if !canonical || (digits.len() > 6 && digits.starts_with('0')) {
        return None;
    }
    digits.parse().ok().map(cairn_types::SegmentId::new)
}
