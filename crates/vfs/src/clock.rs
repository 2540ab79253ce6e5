//! Time as an argument.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cairn_types::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// The time of day; it may jump.
    fn now(&self) -> Timestamp;

    /// Time since a point that is fixed for this clock; it never goes back.
    fn monotonic(&self) -> Duration;
}

/// The system's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Timestamp::from_micros(micros)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that moves only when it is told to; by default it begins in September 2026.
///
/// ```
/// use cairn_vfs::{Clock, ManualClock};
/// use std::time::Duration;
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now(), before.saturating_add(Duration::from_secs(2)));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    time: Mutex<(Timestamp, Duration)>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self { time: Mutex::new((Timestamp::from_secs(1_790_000_000), Duration::ZERO)) }
    }
}

impl ManualClock {
    /// Moves the time of day and the monotonic clock forward, at most to their ends.
    pub fn advance(&self, by: Duration) {
        let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        *time = (time.0.saturating_add(by), time.1.saturating_add(by));
    }

    /// Makes the time of day jump; the monotonic clock stays.
    pub fn set(&self, to: Timestamp) {
        self.time.lock().unwrap_or_else(PoisonError::into_inner).0 = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.time.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn monotonic(&self) -> Duration {
        self.time.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
