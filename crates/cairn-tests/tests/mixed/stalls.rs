//! Operations that took too long, and whether that was the store's doing. A stall may be a sync,
//! another wait for the disk, a thread that was denied the processor, or a machine that
//! stopped us; what is left over after all of these is ours.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::timed::Interval;

pub(super) const TOO_LONG: Duration = Duration::from_millis(100);

const TICK: Duration = Duration::from_millis(5);
/// A watchdog that sleeps five milliseconds is at times late by some, without any meaning.
const GAP: Duration = Duration::from_millis(25);

/// What the kernel counts of a thread.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Thread {
    /// Time that it could have run and was denied the processor.
    waited: Duration,
    /// Pages that had to come from the disk.
    major_faults: u64,
}

impl Thread {
    /// Of this thread; nothing where the kernel does not tell.
    pub(super) fn now() -> Self {
        let read = |name| std::fs::read_to_string(name).unwrap_or_default();
        let waited = read("/proc/thread-self/schedstat");
        let waited = waited.split_whitespace().nth(1).and_then(|text| text.parse().ok());
        // The name of the program comes before, in brackets, and may hold anything.
        let faults = read("/proc/thread-self/stat");
        let faults = faults.rsplit(')').next().unwrap_or_default();
        let faults = faults.split_whitespace().nth(9).and_then(|text| text.parse().ok());
        let waited = Duration::from_nanos(waited.unwrap_or_default());
        Self { waited, major_faults: faults.unwrap_or_default() }
    }
}

/// One operation that took too long.
#[derive(Debug, Clone)]
pub(super) struct Stall {
    pub(super) operation: &'static str,
    pub(super) interval: Interval,
    waited: Duration,
    major_faults: u64,
}

impl Stall {
    pub(super) fn new(
        operation: &'static str,
        interval: Interval,
        before: Thread,
        after: Thread,
    ) -> Self {
        let waited = after.waited.saturating_sub(before.waited);
        let major_faults = after.major_faults.saturating_sub(before.major_faults);
        Self { operation, interval, waited, major_faults }
    }

    fn len(&self) -> Duration {
        self.interval.1 - self.interval.0
    }
}

/// Notes when this process was not let run at all, until told to stop.
pub(super) fn watch_the_machine(begun: Instant, stop: &AtomicBool) -> Vec<Interval> {
    let mut gaps = Vec::new();
    let mut last = begun.elapsed();
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(TICK);
        let now = begun.elapsed();
        if now - last > GAP {
            gaps.push((last, now));
        }
        last = now;
    }
    gaps
}

/// Intervals in order that do not touch.
fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut united: Vec<Interval> = Vec::new();
    for (from, to) in intervals {
        match united.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => united.push((from, to)),
        }
    }
    united
}

fn overlap(united: &[Interval], (from, to): Interval) -> Duration {
    let first = united.partition_point(|interval| interval.1 <= from);
    let met = united[first..].iter().take_while(|interval| interval.0 < to);
    met.map(|interval| interval.1.min(to) - interval.0.max(from)).sum()
}

/// How many stalls had which reason, with a line for each.
pub(super) struct Judged {
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) lines: Vec<String>,
}

pub(super) const REASONS: [&str; 5] = ["sync", "disk", "stopped", "processor", "ours"];

pub(super) fn judge(
    stalls: &[Stall],
    syncs: Vec<Interval>,
    disk: Vec<Interval>,
    gaps: Vec<Interval>,
) -> Judged {
    let all = union([&syncs[..], &disk, &gaps].concat());
    let (syncs, disk, gaps) = (union(syncs), union(disk), union(gaps));
    let mut counts: BTreeMap<_, _> = REASONS.iter().map(|reason| (*reason, 0)).collect();
    let mut lines = Vec::new();
    for stall in stalls {
        let parts = [
            ("sync", overlap(&syncs, stall.interval)),
            ("disk", overlap(&disk, stall.interval)),
            ("stopped", overlap(&gaps, stall.interval)),
            ("processor", stall.waited.min(stall.len())),
        ];
        let left = stall.len().saturating_sub(overlap(&all, stall.interval) + stall.waited);
        let largest = parts.iter().max_by_key(|part| part.1).expect("four");
        let reason = if left >= TOO_LONG { "ours" } else { largest.0 };
        *counts.entry(reason).or_default() += 1;
        lines.push(format!(
            "stall: {} of {:?} at {:?}: {reason} ({parts:?}, {} major faults, {left:?} left over)",
            stall.operation,
            stall.len(),
            stall.interval.0,
            stall.major_faults,
        ));
    }
    Judged { counts, lines }
}

#[test]
fn a_stall_is_ours_only_when_nothing_else_explains_it() {
    let ms = Duration::from_millis;
    let stall = |from, to, waited| Stall {
        operation: "get",
        interval: (ms(from), ms(to)),
        waited: ms(waited),
        major_faults: 0,
    };
    let stalls = [
        stall(0, 150, 0),
        stall(200, 400, 0),
        stall(500, 700, 180),
        stall(800, 1800, 0),
        stall(2000, 2150, 30),
    ];
    let syncs = vec![(ms(10), ms(90)), (ms(50), ms(140)), (ms(2000), ms(2020))];
    let gaps = vec![(ms(810), ms(1790))];
    let judged = judge(&stalls, syncs, Vec::new(), gaps);
    let found: Vec<_> = REASONS.iter().map(|reason| judged.counts[reason]).collect();
    assert_eq!(found, [1, 0, 1, 1, 2], "{:?}", judged.lines);
}
