//! What opening a store found and did.

use cairn_types::{Lsn, SegmentId};

use crate::Corruption;

/// What opening a store found and did. After a clean stop only [`clean`](Self::clean),
/// [`segment_count`](Self::segment_count) and [`end_lsn`](Self::end_lsn) are set. Of a log opened for
/// reading only, nothing but the damaged slots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// The store was created by this open.
    pub created: bool,
    /// The log had been closed cleanly, after records were written to it.
    pub clean: bool,
    /// Segments present after recovery.
    pub segment_count: usize,
    /// Bytes of a torn tail that were cut, with reserved space behind it; they were never
    /// acknowledged.
    pub cut_len: u64,
    /// Where the cut was made: segment and position.
    pub cut_at: Option<(SegmentId, u64)>,
    /// Why the tail ended there.
    pub cut_cause: Option<String>,
    /// Whole batches after the cut that were given up with it; none was acknowledged.
    pub cut_later_batches: u64,
    /// Records of the tail that were copied into a new segment because nothing proved them
    /// durable.
    pub copied_records: u64,
    /// End of the log after recovery.
    pub end_lsn: Option<Lsn>,
    /// Superblock slots that were unreadable while the other one served.
    pub damaged_slots: Vec<Corruption>,
    /// Copies of the key ring that could not be read and were written anew.
    pub damaged_copies: Vec<Corruption>,
    /// Temporary or obsolete files that were removed.
    pub removed_files: Vec<String>,
}
