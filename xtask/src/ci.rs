//! Every gate in order, cheap ones first; it stops at the first that fails.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{gates, instructions, layers, tidy};

type Step = (&'static str, fn() -> Result<()>);

/// Clippy, the tests and the docs build each profile once: all of them use every feature.
const STEPS: &[Step] = &[
    ("format", gates::format),
    ("layers", layers::check_workspace),
    ("tidy", tidy::check_workspace),
    ("lockfiles", gates::lockfiles),
    ("clippy", gates::clippy),
    ("test", gates::test),
    ("README commands", gates::readme),
    ("instructions", || instructions::check(false)),
    ("docs", gates::docs),
    ("deny", gates::deny),
];

/// Runs all steps and ends with one line that says how it went.
pub fn run() -> Result<()> {
    let start = Instant::now();
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (name, step) in STEPS {
        println!("\n== {name}");
        let begun = Instant::now();
        outcome = step().with_context(|| format!("step `{name}`"));
        times.push((*name, begun.elapsed()));
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("== {name}: {word} after {}", seconds(begun.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    println!("\n{}", summary(outcome.is_ok(), &times, start.elapsed()));
    outcome
}

fn summary(green: bool, times: &[(&str, Duration)], total: Duration) -> String {
    let steps: Vec<String> =
        times.iter().map(|(name, time)| format!("{name} {}", seconds(*time))).collect();
    let verdict = if green {
        format!("ci: all {} steps are green", times.len())
    } else {
        let skipped = STEPS.len().saturating_sub(times.len());
        format!("ci: RED in step {} of {}, {skipped} not run", times.len(), STEPS.len())
    };
    format!("{verdict}, {} in all ({})", seconds(total), steps.join(", "))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_how_it_went() {
        let times = [("format", Duration::from_millis(1200)), ("layers", Duration::ZERO)];
        let total = Duration::from_secs(2);
        assert_eq!(
            summary(true, &times, total),
            "ci: all 2 steps are green, 2.0 s in all (format 1.2 s, layers 0.0 s)"
        );
        let (steps, left) = (STEPS.len(), STEPS.len() - times.len());
        let red = format!("ci: RED in step 2 of {steps}, {left} not run");
        assert!(summary(false, &times, total).starts_with(&red));
    }
}
