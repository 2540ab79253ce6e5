//! A read-only memory mapping that hands out only bytes below a published limit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// A mapped file. The mapping may reach beyond the end of the file; the owner publishes with
/// [`set_limit`](Self::set_limit) how far bytes have been written, and nothing past that is
/// ever touched.
#[derive(Clone)]
pub struct Mapping {
    whole: Bytes,
    limit: Arc<AtomicU64>,
}

impl fmt::Debug for Mapping {
    /// Shows no content: to look at bytes past the end of the file ends the process.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("len", &self.whole.len())
            .field("limit", &self.limit.load(Ordering::Relaxed))
            .finish()
    }
}

impl Mapping {
    pub(crate) fn new(whole: Bytes) -> Self {
        Self { whole, limit: Arc::new(AtomicU64::new(0)) }
    }

    /// Publishes that bytes below `limit` are written and will not change. The file must not
    /// be cut below it while the mapping lives. A limit below the present one changes nothing.
    pub fn set_limit(&self, limit: u64) {
        self.limit.fetch_max(limit, Ordering::AcqRel);
    }

    /// The bytes of a range, without a copy; `None` when it is not below the limit.
    #[must_use]
    pub fn slice(&self, start: u64, len: usize) -> Option<&[u8]> {
        let range = self.range(start, len)?;
        self.whole.get(range)
    }

    /// As [`slice`](Self::slice), sharing ownership of the mapping.
    #[must_use]
    pub fn bytes(&self, start: u64, len: usize) -> Option<Bytes> {
        let range = self.range(start, len)?;
        (range.end <= self.whole.len()).then(|| self.whole.slice(range))
    }

    fn range(&self, start: u64, len: usize) -> Option<std::ops::Range<usize>> {
        let end = start.checked_add(len as u64)?;
        if end > self.limit.load(Ordering::Acquire) {
            return None;
        }
        Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }
}
