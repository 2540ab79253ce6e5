//! The algorithm on integers: no float, no overflow, no clock of its own. Neither truth nor
//! derived.

use std::time::Duration;

use super::{Decision, Rate};

/// One step: the new theoretical arrival time, and the answer. Times are nanoseconds from any
/// fixed point.
pub(super) fn step(rate: Rate, tat: u64, now: u64, cost: u32) -> (u64, Decision) {
    let interval = u128::from(rate.interval_ns);
    let capacity = interval * u128::from(rate.burst);
    let now = u128::from(now);
    // A stored time further ahead than an empty allowance can only come from a clock that went
    // back since; an empty allowance is the worst that may be held against anybody.
    let debt = u128::from(tat).saturating_sub(now).min(capacity);
    let wanted = interval * u128::from(cost);
    let allowed = debt + wanted <= capacity;
    let debt = if allowed { debt + wanted } else { debt };
    let retry_after = if allowed {
        Some(Duration::ZERO)
    } else if wanted <= capacity {
        Some(nanos(debt + wanted - capacity))
    } else {
        None
    };
    let remaining = u32::try_from((capacity - debt) / interval).unwrap_or(u32::MAX);
    let decision = Decision { allowed, remaining, retry_after, reset_after: nanos(debt) };
    (u64::try_from(now + debt).unwrap_or(u64::MAX), decision)
}

fn nanos(count: u128) -> Duration {
    // A debt is at most a year.
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}
