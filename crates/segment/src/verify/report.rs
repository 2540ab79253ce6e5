//! What verification is told and what it finds.

use cairn_codec::RecordView;
use cairn_types::{ChainHash, Lsn};

use super::segment::SegmentOutcome;
use crate::Corruption;

/// Is shown a record whose payload was erased.
pub type OnErased<'a> = &'a (dyn Fn(Lsn, &RecordView<'_>) + Sync);

/// How to verify.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'a> {
    /// Segments verified at the same time, each by a thread; 0 is taken as 1. The default is 2.
    pub threads: usize,
    /// Called with bytes done and bytes in all.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// Called with every record whose payload was erased, in any order.
    pub on_erased: Option<OnErased<'a>>,
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        Self { threads: 2, progress: None, on_erased: None }
    }
}

impl std::fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOptions").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Damage to what is truth, in order of file and position. Empty when all is well.
    pub damage: Vec<Corruption>,
    /// Damage to what can be rebuilt.
    pub derived_damage: Vec<Corruption>,
    /// Bytes after the last whole batch of an unsealed segment: never acknowledged, cut at the
    /// next open.
    pub torn: Option<Corruption>,
    /// Segments.
    pub segment_count: usize,
    /// Batches.
    pub batch_count: u64,
    /// Records.
    pub record_count: u64,
    /// Records whose payload was erased.
    pub erased_count: u64,
    /// Records of which only the leaf is left.
    pub dropped_count: u64,
    /// Bytes of segments that were verified.
    pub len: u64,
    /// First retained record.
    pub start_lsn: Option<Lsn>,
    /// LSN after the last record.
    pub end_lsn: Option<Lsn>,
    /// Chain value there.
    pub chain: Option<ChainHash>,
}

impl VerifyReport {
    /// Whether nothing that is truth is damaged.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.is_empty()
    }

    pub(super) fn add(&mut self, outcome: SegmentOutcome) {
        self.segment_count += 1;
        self.batch_count += outcome.batch_count;
        self.record_count += outcome.record_count;
        self.erased_count += outcome.erased_count;
        self.dropped_count += outcome.dropped_count;
        self.len += outcome.len;
        self.end_lsn = Some(outcome.end_lsn);
        self.chain = Some(outcome.chain);
        self.damage.extend(outcome.damage);
        self.torn = outcome.torn.or(self.torn.take());
    }
}
