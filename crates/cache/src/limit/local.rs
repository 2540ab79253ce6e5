//! Limits of one process. Derived; a restart begins with whole allowances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairndb::vfs::Clock;

use super::{Decision, Rate, gcra};

/// Most keys that are remembered when nothing else is said.
const KEYS_MAX: usize = 100_000;

/// Limits how often something is done for each key, in this process.
///
/// A key whose allowance is whole again is as one that was never seen and is forgotten. When
/// more keys than the bound are in debt at once, new ones are refused until one is not: a flood
/// of keys must not make the limiter forget those that it holds back.
///
/// ```
/// use cairn_cache::{Rate, RateLimiter};
/// use cairndb::vfs::ManualClock;
/// use std::sync::Arc;
/// use std::time::Duration;
/// let clock = Arc::new(ManualClock::default());
/// let limiter = RateLimiter::new(Rate::new(2, Duration::from_secs(1))?, clock.clone());
/// assert!(limiter.check(b"alice").allowed);
/// assert!(limiter.check(b"alice").allowed);
/// let refused = limiter.check(b"alice");
/// assert_eq!(refused.retry_after, Some(Duration::from_millis(500)));
/// assert!(limiter.check(b"bob").allowed);
/// clock.advance(Duration::from_millis(500));
/// assert!(limiter.check(b"alice").allowed);
/// # Ok::<(), cairn_cache::Error>(())
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    rate: Rate,
    clock: Arc<dyn Clock>,
    keys_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Theoretical arrival times, in nanoseconds of the monotonic clock.
    tats: HashMap<Box<[u8]>, u64>,
    /// Greatest time seen.
    latest: u64,
    /// No key becomes whole before this time; looking for one earlier finds nothing.
    next_sweep: u64,
}

impl RateLimiter {
    /// A limiter that reads this clock's monotonic time.
    #[must_use]
    pub fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        Self { rate, clock, keys_max: KEYS_MAX, state: Mutex::default() }
    }

    /// With another bound on the number of keys, 100,000 without it; at least one.
    #[must_use]
    pub fn with_keys_max(self, keys_max: usize) -> Self {
        Self { keys_max: keys_max.max(1), ..self }
    }

    /// Takes one from a key's allowance, if it is there.
    pub fn check(&self, key: &[u8]) -> Decision {
        self.check_cost(key, 1)
    }

    /// Takes `cost` from a key's allowance, or nothing.
    pub fn check_cost(&self, key: &[u8], cost: u32) -> Decision {
        let read = u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Threads may come here in another order than they read the clock.
        let now = read.max(state.latest);
        state.latest = now;
        if let Some(tat) = state.tats.get_mut(key) {
            let (after, decision) = gcra::step(self.rate, *tat, now, cost);
            *tat = after;
            return decision;
        }
        let (after, decision) = gcra::step(self.rate, now, now, cost);
        if !decision.allowed || after <= now {
            return decision;
        }
        if state.tats.len() >= self.keys_max && !state.make_room(now) {
            let wait = Duration::from_nanos(state.next_sweep.saturating_sub(now));
            return Decision {
                allowed: false,
                remaining: 0,
                retry_after: Some(wait),
                reset_after: wait,
            };
        }
        state.tats.insert(key.into(), after);
        decision
    }

    /// How many keys are in debt or were when last looked at.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).tats.len()
    }
}

impl State {
    /// Forgets keys whose allowance is whole; whether there were any.
    fn make_room(&mut self, now: u64) -> bool {
        if now < self.next_sweep {
            return false;
        }
        let before = self.tats.len();
        self.tats.retain(|_, tat| *tat > now);
        let next = self.tats.values().copied().min();
        let freed = self.tats.len() < before;
        self.next_sweep = if freed { 0 } else { next.unwrap_or(0) };
        freed
    }
}
