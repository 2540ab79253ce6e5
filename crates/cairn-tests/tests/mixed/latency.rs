//! Counts of how long operations took, in buckets of a sixteenth of their size.

use std::time::Duration;

const STEPS: u64 = 16;

/// Latencies of one kind of operation.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    longest: u64,
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self { buckets: vec![0; 64 * 16], count: 0, longest: 0 }
    }

    pub(super) fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.longest = self.longest.max(nanos);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// What so many of a thousand did not exceed, up to a sixteenth.
    pub(super) fn per_mille(&self, share: u64) -> Duration {
        let wanted = (self.count * share).div_ceil(1000);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(index).min(self.longest));
            }
        }
        Duration::from_nanos(self.longest)
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }
}

fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(1);
    let power = u64::from(nanos.ilog2());
    let step = if power < 4 { 0 } else { (nanos >> (power - 4)) - STEPS };
    (power * STEPS + step) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let (power, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if power < 4 { (2 << power) - 1 } else { ((STEPS + step + 1) << (power - 4)) - 1 }
}

#[test]
fn a_bucket_is_at_most_a_sixteenth_wide() {
    for nanos in [1, 7, 15, 16, 17, 31, 32, 1000, 123_456_789, u64::MAX / 3] {
        let end = upper_end(bucket(nanos));
        assert!(nanos <= end && end - nanos <= (nanos / 16).max(8), "{nanos} {end}");
    }
    let mut some = Latencies::new();
    for micros in 1..=1000 {
        some.add(Duration::from_micros(micros));
    }
    let median = some.per_mille(500).as_micros();
    assert!((500..540).contains(&median), "{median}");
    assert_eq!(some.per_mille(1000), Duration::from_micros(1000));
}
