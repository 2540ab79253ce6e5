//! The seeds of simulated lives: the usual ones in a test run, fresh ones in a soak.
//! `CAIRN_SEED` sets the first, `CAIRN_SOAK_SECONDS` how long to go on. Crates below this one
//! include the file by its path, as they cannot depend on it.

use std::ops::Range;
use std::time::{Duration, Instant};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Whether this is a soak: what a test asserts of the usual seeds holds of those alone.
#[must_use]
pub fn is_soak() -> bool {
    number("CAIRN_SOAK_SECONDS").is_some()
}

/// The usual seeds, or in a soak as many as the time lets.
pub fn seeds(usual: Range<u64>) -> impl Iterator<Item = u64> {
    let first = number("CAIRN_SEED").unwrap_or(usual.start);
    let end = number("CAIRN_SOAK_SECONDS").map(|s| Instant::now() + Duration::from_secs(s));
    let count = usual.end.saturating_sub(usual.start);
    (0_u64..)
        .take_while(move |done| match end {
            Some(end) => *done == 0 || Instant::now() < end,
            None => *done < count,
        })
        .map(move |done| first.wrapping_add(done))
}
