//! The time of day for lifetimes. Derived from the clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairndb::types::Timestamp;
use cairndb::vfs::Clock;

/// A time of day that never goes back while the process lives: a clock that is set back does not
/// prolong a session. One that is set forward ends sessions sooner, which is the safe side.
#[derive(Debug)]
pub(super) struct ForwardTime {
    clock: Arc<dyn Clock>,
    /// Latest time of day, and the monotonic time when it was seen.
    latest: Mutex<(Timestamp, Duration)>,
}

impl ForwardTime {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let latest = Mutex::new((clock.now(), clock.monotonic()));
        Self { clock, latest }
    }

    pub(super) fn now(&self) -> Timestamp {
        let (day, monotonic) = (self.clock.now(), self.clock.monotonic());
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = monotonic.saturating_sub(latest.1);
        let now = day.max(latest.0.saturating_add(elapsed));
        *latest = (now, monotonic.max(latest.1));
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairndb::vfs::ManualClock;

    #[test]
    fn time_goes_on_when_the_clock_is_set_back() {
        let clock = Arc::new(ManualClock::default());
        let time = ForwardTime::new(clock.clone());
        let start = time.now();
        clock.set(Timestamp::from_secs(0));
        clock.advance(Duration::from_secs(5));
        assert_eq!(time.now(), start.saturating_add(Duration::from_secs(5)));
        clock.set(Timestamp::MAX);
        assert_eq!(time.now(), Timestamp::MAX);
    }
}
