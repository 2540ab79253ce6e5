//! Rate limits against naive models.

use std::sync::Arc;
use std::time::Duration;

use cairn_cache::{Rate, RateLimiter};
use cairndb::vfs::{Clock, ManualClock};
use proptest::prelude::*;

/// A bucket that fills evenly, in the plainest way.
struct Bucket {
    level: u128,
    capacity: u128,
    interval: u128,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        let interval = rate.interval().as_nanos();
        let capacity = interval * u128::from(rate.burst());
        Self { level: capacity, capacity, interval }
    }

    fn pass(&mut self, time: Duration) {
        self.level = (self.level + time.as_nanos()).min(self.capacity);
    }

    fn take(&mut self, cost: u32) -> bool {
        let wanted = self.interval * u128::from(cost);
        let there = self.level >= wanted;
        self.level -= if there { wanted } else { 0 };
        there
    }
}

/// Monotonic time that can be set to anything, also back.
#[derive(Debug, Default)]
struct WildClock(std::sync::Mutex<Duration>);

impl Clock for WildClock {
    fn now(&self) -> cairndb::types::Timestamp {
        cairndb::types::Timestamp::MIN
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().expect("no panic")
    }
}

fn rates() -> impl Strategy<Value = Rate> {
    let count = prop_oneof![1_u32..20, Just(999_983), Just(1_000_000_000)];
    let period = prop_oneof![Just(1_u64), 1..5000_u64].prop_map(Duration::from_secs);
    (count, period, 1_u32..30)
        .prop_map(|(count, period, burst)| Rate::with_burst(count, period, burst).expect("allowed"))
}

proptest! {
    #[test]
    fn the_limiter_decides_as_a_bucket_that_fills_evenly(
        rate in rates(),
        steps in prop::collection::vec((0_u64..4000, 0_u32..5), 1..200),
    ) {
        let clock = Arc::new(ManualClock::default());
        let limiter = RateLimiter::new(rate, clock.clone());
        let mut model = Bucket::new(rate);
        for (thousandths, cost) in steps {
            let time = rate.interval() * u32::try_from(thousandths).expect("small") / 1000;
            clock.advance(time);
            model.pass(time);
            let decision = limiter.check_cost(b"k", cost);
            prop_assert_eq!(decision.allowed, model.take(cost));
            prop_assert_eq!(u128::from(decision.remaining), model.level / model.interval);
            let full = model.capacity - model.level;
            prop_assert_eq!(decision.reset_after.as_nanos(), full);
            if let (false, Some(wait)) = (decision.allowed, decision.retry_after) {
                // Exactly then, and not a nanosecond sooner.
                clock.advance(wait - Duration::from_nanos(1));
                prop_assert!(!limiter.check_cost(b"k", cost).allowed);
                clock.advance(Duration::from_nanos(1));
                model.pass(wait);
                prop_assert!(limiter.check_cost(b"k", cost).allowed);
                prop_assert!(model.take(cost));
            } else if !decision.allowed {
                prop_assert!(cost > rate.burst());
            }
        }
    }

    #[test]
    fn no_stretch_of_time_has_more_than_the_burst_and_one_an_interval(
        rate in rates(),
        steps in prop::collection::vec(0_u64..3000, 1..150),
    ) {
        let clock = Arc::new(ManualClock::default());
        let limiter = RateLimiter::new(rate, clock.clone());
        let mut allowed = Vec::new();
        for thousandths in steps {
            clock.advance(rate.interval() * u32::try_from(thousandths).expect("small") / 1000);
            if limiter.check(b"k").allowed {
                allowed.push(clock.monotonic().as_nanos());
            }
        }
        for (first, start) in allowed.iter().enumerate() {
            for (last, end) in allowed.iter().enumerate().skip(first) {
                let most = u128::from(rate.burst()) + (end - start) / rate.interval().as_nanos();
                prop_assert!((last - first + 1) as u128 <= most);
            }
        }
    }

    #[test]
    fn a_clock_that_jumps_anywhere_neither_panics_nor_locks_out(
        rate in rates(),
        times in prop::collection::vec(any::<u64>(), 1..60),
    ) {
        let clock = Arc::new(WildClock::default());
        let limiter = RateLimiter::new(rate, clock.clone());
        let fill = rate.interval() * rate.burst();
        for time in times {
            *clock.0.lock().expect("no panic") = Duration::from_nanos(time);
            let decision = limiter.check_cost(b"k", 1);
            prop_assert!(decision.reset_after <= fill);
            prop_assert!(decision.retry_after.expect("one is never over the burst") <= fill);
        }
    }
}

#[test]
fn the_number_of_keys_is_bounded_and_a_flood_frees_nobody_who_is_held_back() {
    let clock = Arc::new(ManualClock::default());
    let rate = Rate::new(1, Duration::from_secs(10)).expect("allowed");
    let limiter = RateLimiter::new(rate, clock.clone()).with_keys_max(100);
    assert!(limiter.check(b"victim").allowed);
    for number in 0..10_000_u32 {
        let _answer = limiter.check(&number.to_le_bytes());
    }
    assert_eq!(limiter.key_count(), 100);
    assert!(!limiter.check(b"victim").allowed, "it was not forgotten");
    let refused = limiter.check(b"new");
    assert_eq!((refused.allowed, refused.retry_after), (false, Some(Duration::from_secs(10))));
    clock.advance(Duration::from_secs(10));
    assert!(limiter.check(b"new").allowed);
    assert_eq!(limiter.key_count(), 1, "whole allowances are forgotten");
}

#[test]
fn rates_that_allow_nothing_or_make_no_sense_are_refused() {
    let second = Duration::from_secs(1);
    assert!(Rate::new(0, second).is_err());
    assert!(Rate::new(1, Duration::ZERO).is_err());
    assert!(Rate::with_burst(1, second, 0).is_err());
    assert!(Rate::new(2_000_000_000, second).is_err());
    assert!(Rate::with_burst(1, Duration::from_secs(86_400), u32::MAX).is_err());
    assert!(Rate::new(1, Duration::MAX).is_err());
    let rate = Rate::new(3, second).expect("allowed");
    assert_eq!(rate.interval(), Duration::from_nanos(333_333_334), "rounded up");
}
