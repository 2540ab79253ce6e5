//! Rate limits by the generic cell rate algorithm: one number for each key, no window that
//! begins anew. Derived, and lost with the process or the cache: a limit then begins full.
//!
//! ```text
//! theoretical arrival time TAT: when the allowance would be whole again
//! now ≥ TAT - burst ──▶ allowed, TAT = max(TAT, now) + cost × interval
//! else ──────────────▶ refused, try again at TAT - burst
//! ```
//!
//! Invariants: in any stretch of time at most `burst` plus one for each whole interval in it is
//! allowed; intervals are rounded up, so rounding never allows more; a clock that jumps back
//! never refuses for longer than an empty allowance takes to fill.

mod gcra;
mod local;
mod shared;

use std::time::Duration;

pub use local::RateLimiter;
pub use shared::SharedRateLimiter;

use crate::{Error, Result};

/// How much is allowed: `count` in a `period`, and at most `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds after which one more is allowed, rounded up.
    interval_ns: u64,
    burst: u32,
}

/// Longest time that an empty allowance may take to fill.
const FILL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

impl Rate {
    /// `count` in each `period`, all of them at once if need be.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `count` or `period` is 0, `count` is over one a nanosecond, or an
    /// empty allowance would take over a year to fill.
    pub fn new(count: u32, period: Duration) -> Result<Self> {
        Self::with_burst(count, period, count)
    }

    /// `count` in each `period`, at most `burst` at once.
    ///
    /// # Errors
    /// As [`new`](Self::new); also when `burst` is 0.
    pub fn with_burst(count: u32, period: Duration, burst: u32) -> Result<Self> {
        let refuse = |reason: &str| Error::Invalid { what: "rate", reason: reason.to_owned() };
        if count == 0 || burst == 0 {
            return Err(refuse("it allows nothing"));
        }
        let interval = period.as_nanos().div_ceil(u128::from(count));
        if period.as_nanos() < u128::from(count) {
            return Err(refuse("it allows more than one a nanosecond"));
        }
        if interval.saturating_mul(u128::from(burst)) > FILL_MAX.as_nanos() {
            return Err(refuse("an empty allowance takes over a year to fill"));
        }
        let interval_ns = u64::try_from(interval).expect("bounded by a year");
        Ok(Self { interval_ns, burst })
    }

    /// Time after which one more is allowed.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval_ns)
    }

    /// Most at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }
}

/// What a limiter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a limit that nobody looks at limits nothing"]
pub struct Decision {
    /// Whether it may be done now; the allowance was taken then.
    pub allowed: bool,
    /// What is left at once.
    pub remaining: u32,
    /// When to try again; zero when allowed, `None` when the cost is over the burst and can
    /// never be allowed.
    pub retry_after: Option<Duration>,
    /// When the allowance is whole again.
    pub reset_after: Duration,
}
