//! Pauses that grow, with a random part, so that many who failed together do not come back
//! together. Derived.

use std::time::Duration;

use cairndb::vfs::{OsRng, Rng};

/// The next pause, from shortest to longest.
#[derive(Debug)]
pub(crate) struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, failures: 0 }
    }

    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Between half and all of a time that doubles with every failure.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = self.shortest.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        spread(whole, 50, &OsRng)
    }
}

/// A time with up to so many percent of it taken away at random.
pub(crate) fn spread(time: Duration, percent: u64, rng: &dyn Rng) -> Duration {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let part = (u128::from(micros) * u128::from(percent.min(100)) / 100) as u64;
    let less = if part == 0 { 0 } else { rng.next_u64() % (part + 1) };
    Duration::from_micros(micros - less)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairndb::vfs::SeededRng;

    #[test]
    fn pauses_grow_to_the_longest_and_start_over() {
        let (short, long) = (Duration::from_millis(10), Duration::from_millis(100));
        let mut backoff = Backoff::new(short, long);
        for _ in 0..50 {
            let pause = backoff.next();
            assert!(pause >= short / 2 && pause <= long, "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= short);
    }

    #[test]
    fn times_are_spread_below_and_never_over() {
        let rng = SeededRng::new(1);
        let times: Vec<_> = (0..100).map(|_| spread(Duration::from_secs(10), 10, &rng)).collect();
        assert!(
            times.iter().all(|t| *t <= Duration::from_secs(10) && *t >= Duration::from_secs(9))
        );
        assert!(times.iter().any(|t| *t != times[0]));
    }
}
