//! Until when a holder may believe that it holds. Derived: from the lease's last renewal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The monotonic time at which a lease ends at the earliest, in nanoseconds. Clones share it.
///
/// It is counted from before the renewal was asked for, so it never lies after the engine's.
/// Zero is for good: a renewal that was under way when the end was told brings nothing back.
#[derive(Debug, Clone)]
pub(crate) struct Deadline(Arc<AtomicU64>);

impl Deadline {
    pub(crate) fn new(asked_at: Duration, ttl: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(end_of(asked_at, ttl))))
    }

    /// Takes in a renewal that was asked for at this time.
    pub(crate) fn renewed(&self, asked_at: Duration, ttl: Duration) {
        let later = |now: u64| (now != 0).then(|| now.max(end_of(asked_at, ttl)));
        let _ended_for_good = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
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

fn end_of(asked_at: Duration, ttl: Duration) -> u64 {
    u64::try_from(asked_at.saturating_add(ttl).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_renewal_does_not_bring_back_what_was_told_to_be_over() {
        let second = Duration::from_secs(1);
        let deadline = Deadline::new(second, second);
        deadline.renewed(second * 2, second);
        deadline.renewed(second, second);
        assert_eq!(deadline.remaining(second * 2), second, "an older one takes nothing away");
        deadline.end();
        deadline.renewed(second * 2, second);
        assert!(deadline.remaining(second * 2).is_zero());
    }
}
