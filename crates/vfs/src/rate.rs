//! A limit in bytes a second for work in the background, by a clock that is an argument. It never
//! sleeps: it says how long to wait, and whoever works knows best how to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Clock;

/// What may be taken at once after a pause.
const BURST: Duration = Duration::from_millis(50);

/// The longest wait that is ever asked for, so that a clock that stands still stops nobody.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// A token bucket of bytes: it holds what 50 ms bring, and may be overdrawn, which the next
/// caller waits for. So any number of small steps passes at an even rate.
///
/// ```
/// use cairn_vfs::{ManualClock, Throttle};
/// use std::{sync::Arc, time::Duration};
/// let clock = Arc::new(ManualClock::default());
/// let throttle = Throttle::new(clock.clone(), 1_000_000);
/// assert_eq!(throttle.take(50_000), Duration::ZERO);
/// assert_eq!(throttle.take(250_000), Duration::from_millis(250));
/// clock.advance(Duration::from_millis(250));
/// assert_eq!(throttle.take(0), Duration::ZERO);
/// ```
#[derive(Debug)]
pub struct Throttle {
    clock: Arc<dyn Clock>,
    rate: u64,
    /// When everything that was taken is paid for.
    paid_at: Mutex<Option<Duration>>,
}

impl Throttle {
    /// A throttle of so many bytes a second; 0 never waits.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, rate: u64) -> Self {
        Self { clock, rate, paid_at: Mutex::new(None) }
    }

    /// Takes bytes that were read or written, and says how long to wait before the next ones: at
    /// most a second, what would take longer is forgiven.
    pub fn take(&self, len: u64) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let now = self.clock.monotonic();
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid_at.map_or(now, |paid_at| paid_at.max(now));
        let cost = Duration::try_from_secs_f64(len as f64 / self.rate as f64);
        let cost = cost.unwrap_or(WAIT_MAX);
        let paid = from.saturating_add(cost).min(now + BURST + WAIT_MAX);
        *paid_at = Some(paid);
        paid.saturating_sub(now + BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn many_small_steps_pass_at_the_rate() {
        let clock = Arc::new(ManualClock::default());
        let throttle = Throttle::new(clock.clone(), 1 << 20);
        let (mut taken, mut longest) = (0, Duration::ZERO);
        while clock.monotonic() < Duration::from_secs(10) {
            let wait = throttle.take(4096);
            taken += 4096;
            longest = longest.max(wait);
            clock.advance(wait);
        }
        let share = taken as f64 / (10 << 20) as f64;
        assert!((0.99..1.02).contains(&share), "{share}");
        assert!(longest <= Duration::from_millis(4), "smooth: {longest:?}");
    }

    #[test]
    fn a_pause_saves_up_no_more_than_a_burst() {
        let clock = Arc::new(ManualClock::default());
        let throttle = Throttle::new(clock.clone(), 1000);
        throttle.take(10);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(throttle.take(50), Duration::ZERO);
        assert_eq!(throttle.take(100), Duration::from_millis(100));
    }

    #[test]
    fn without_a_rate_nobody_waits_and_no_wait_is_longer_than_a_second() {
        let clock = Arc::new(ManualClock::default());
        let free = Throttle::new(clock.clone(), 0);
        assert_eq!(free.take(u64::MAX), Duration::ZERO);
        let slow = Throttle::new(clock, 1);
        for _ in 0..10 {
            assert!(slow.take(u64::MAX) <= WAIT_MAX);
        }
    }
}
