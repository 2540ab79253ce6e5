//! Until when a holder may believe that it holds. Derived: from the lease's last renewal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The monotonic time at which a lease ends at the earliest, in nanoseconds. Clones share it.
///
/// It is counted from before the renewal was asked for, so it never lies after the engine's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deadline(Arc<AtomicU64>);

impl Deadline {
    pub(crate) fn new(asked_at: Duration, ttl: Duration) -> Self {
        let deadline = Self::default();
        deadline.renewed(asked_at, ttl);
        deadline
    }

    /// Takes in a renewal that was asked for at this time.
    pub(crate) fn renewed(&self, asked_at: Duration, ttl: Duration) {
        let end = asked_at.saturating_add(ttl).as_nanos();
        self.0.fetch_max(u64::try_from(end).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// The lease is known to be gone.
    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// What is left.
    pub(crate) fn remaining(&self, now: Duration) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire)).saturating_sub(now)
    }
}
