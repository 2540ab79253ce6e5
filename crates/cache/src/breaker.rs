//! The circuit breaker: a cache that failed a few times is left alone for a while, so that a dead
//! one costs a few time limits and not one for every call. Derived.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use cairndb::vfs::{Clock, Rng};

use crate::pace::spread;

/// When a cache is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures_max: u32,
    /// First pause; it doubles with every failed trial.
    pub pause_min: Duration,
    /// Longest pause.
    pub pause_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        let (pause_min, pause_max) = (Duration::from_millis(100), Duration::from_secs(5));
        Self { failures_max: 3, pause_min, pause_max }
    }
}

/// Counts failures and says when to try again.
#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    failures: AtomicU32,
    /// Microseconds on the monotonic clock; nobody asks before.
    rests_until: AtomicU64,
    opened: AtomicU64,
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let (failures, rests_until, opened) = Default::default();
        Self { config, clock, rng, failures, rests_until, opened }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_micros()).unwrap_or(u64::MAX)
    }

    fn is_tripped(&self) -> bool {
        self.failures.load(Ordering::Acquire) >= self.config.failures_max
    }

    /// Whether to ask. After a pause one caller may try; the others wait for what comes of it.
    pub(crate) fn allows(&self) -> bool {
        if !self.is_tripped() {
            return true;
        }
        let until = self.rests_until.load(Ordering::Acquire);
        let now = self.now();
        if now < until {
            return false;
        }
        let next = now.saturating_add(self.pause());
        self.rests_until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether it is open now.
    pub(crate) fn is_open(&self) -> bool {
        self.is_tripped()
    }

    /// How often it opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Release);
    }

    pub(crate) fn failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if failures >= self.config.failures_max {
            let until = self.now().saturating_add(self.pause());
            self.rests_until.store(until, Ordering::Release);
        }
        if failures == self.config.failures_max {
            self.opened.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn pause(&self) -> u64 {
        let over = self.failures.load(Ordering::Acquire).saturating_sub(self.config.failures_max);
        let pause = self.config.pause_min.saturating_mul(1 << over.min(16));
        let pause = spread(pause.min(self.config.pause_max), 50, &*self.rng);
        u64::try_from(pause.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairndb::vfs::{ManualClock, SeededRng};

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try_after_each_pause() {
        let clock = Arc::new(ManualClock::default());
        let config = BreakerConfig::default();
        let breaker = Breaker::new(config, clock.clone(), Arc::new(SeededRng::new(3)));
        breaker.failed();
        breaker.failed();
        breaker.succeeded();
        breaker.failed();
        breaker.failed();
        assert!(breaker.allows() && !breaker.is_open(), "not in a row");
        breaker.failed();
        assert!(breaker.is_open() && !breaker.allows());
        clock.advance(config.pause_min);
        assert!(breaker.allows(), "one may try");
        assert!(!breaker.allows(), "the others wait");
        breaker.failed();
        assert!(!breaker.allows());
        clock.advance(config.pause_max);
        assert!(breaker.allows());
        breaker.succeeded();
        assert!(breaker.allows() && breaker.allows());
        assert_eq!(breaker.opened(), 1);
    }
}
