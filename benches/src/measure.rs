//! Timing, and the figures of many rounds.

use anyhow::Result;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Repeats an operation until the time is over: how often a second. The clock is asked
/// rarely enough to cost nothing and often enough that slow operations do not overrun.
pub fn repeat(budget: Duration, mut operation: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    let (mut done, mut stride) = (0_u64, 1_u64);
    loop {
        for _ in 0..stride {
            operation(done)?;
            done += 1;
        }
        let elapsed = start.elapsed();
        if elapsed >= budget {
            return Ok(done as f64 / elapsed.as_secs_f64());
        }
        if elapsed < budget / 8 {
            stride = (stride * 2).min(4096);
        } else {
            let left = (budget - elapsed).as_secs_f64() / elapsed.as_secs_f64();
            stride = stride.min(((done as f64 * left) as u64).max(1));
        }
    }
}

/// As `repeat`, by many threads at once; the clock starts when all of them are there.
pub fn repeat_by_threads(
    count: usize,
    budget: Duration,
    operation: impl Fn(usize, u64) -> Result<()> + Sync,
) -> Result<f64> {
    let barrier = Barrier::new(count + 1);
    let (done, elapsed) = std::thread::scope(|scope| {
        let (barrier, operation) = (&barrier, &operation);
        let work = move |thread: usize| {
            barrier.wait();
            let start = Instant::now();
            let mut done = 0_u64;
            while start.elapsed() < budget {
                operation(thread, done)?;
                done += 1;
            }
            anyhow::Ok(done)
        };
        let workers: Vec<_> = (0..count).map(|thread| scope.spawn(move || work(thread))).collect();
        barrier.wait();
        let start = Instant::now();
        let done: Result<u64> =
            workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).sum();
        (done, start.elapsed())
    });
    Ok(done? as f64 / elapsed.as_secs_f64())
}

/// Runs both, the one that begins changing from round to round.
pub fn in_turn<T>(round: usize, cairn: impl FnOnce() -> T, other: impl FnOnce() -> T) -> (T, T) {
    if round.is_multiple_of(2) {
        let cairn = cairn();
        (cairn, other())
    } else {
        let other = other();
        (cairn(), other)
    }
}

/// Why something was not measured: it is not offered, which is no failure.
#[derive(Debug)]
pub struct Cannot(pub &'static str);

impl std::fmt::Display for Cannot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Cannot {}

/// Least, middle and greatest of some figures.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// `None` without figures.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let upper = *figures.get(middle)?;
        let lower = if figures.len() % 2 == 1 { upper } else { figures[middle - 1] };
        Some(Self { min: figures[0], median: (lower + upper) / 2.0, max: *figures.last()? })
    }
}

/// What became of the rounds of one engine beside Cairn at one kind of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub work: String,
    /// What a figure counts.
    pub unit: String,
    pub log: String,
    /// What an acknowledgement, or a read, means there.
    pub promise: String,
    /// The part of Cairn it ran against.
    pub base: String,
    pub base_promise: String,
    /// Both figures of each round.
    pub rounds: Vec<(f64, f64)>,
    /// Why the other has no figure.
    pub failure: Option<String>,
    /// The other does not offer this work; not a failure.
    pub not_offered: bool,
    /// What else was seen.
    pub note: Option<String>,
    /// A figure is a size or a time: less is better.
    pub less: bool,
    /// The ratio that Cairn has to reach; none for what is shown only to compare.
    pub bar: Option<f64>,
    /// The figure that Cairn has to reach beside no other.
    pub limit: Option<f64>,
}

impl Row {
    /// A row without figures; `Err` is why the other does not offer the work.
    pub fn new(
        work: impl Into<String>,
        unit: &str,
        (log, promise): (&str, Result<&str, &str>),
        (base, base_promise): (&str, &str),
    ) -> Self {
        Self {
            work: work.into(),
            unit: unit.into(),
            log: log.into(),
            promise: promise.unwrap_or("-").into(),
            base: base.into(),
            base_promise: base_promise.into(),
            rounds: Vec::new(),
            failure: promise.err().map(str::to_owned),
            not_offered: promise.is_err(),
            note: None,
            less: false,
            bar: None,
            limit: None,
        }
    }

    /// Takes what one round gave: Cairn's figure and the other's.
    pub fn record(&mut self, base: Result<f64>, other: Result<f64>) {
        match (base, other) {
            (Ok(base), Ok(other)) => self.rounds.push((base, other)),
            (Err(error), _) => self.failure = Some(format!("Cairn: {error:#}")),
            (_, Err(error)) => {
                self.not_offered = error.is::<Cannot>();
                self.failure = Some(format!("{error:#}"));
            }
        }
    }

    pub fn other(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|(_, other)| *other))
    }

    pub fn cairn(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|(cairn, _)| *cairn))
    }

    /// How many times better Cairn was, round by round: the machine's mood cancels.
    pub fn ratio(&self) -> Option<Spread> {
        let better = |(cairn, other): &(f64, f64)| {
            if self.less { other / cairn } else { cairn / other }
        };
        Spread::of(self.rounds.iter().map(better))
    }

    /// Whether the bar is reached; `None` without a bar or without figures.
    pub fn reached(&self) -> Option<bool> {
        Some(self.ratio()?.median >= self.bar?)
    }

    /// Whether Cairn keeps to its own limit; `None` without a limit or without figures.
    pub fn within(&self) -> Option<bool> {
        let (figure, limit) = (self.cairn()?.median, self.limit?);
        Some(if self.less { figure <= limit } else { figure >= limit })
    }
}
