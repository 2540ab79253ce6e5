//! The fault campaign: lanes that share the time, each trying to break the store in its own
//! way. A broken promise is named with its lane and seed, the campaign goes on, and fails at its
//! end. What each lane did is added to the page that keeps count.

mod lanes;
mod programs;
mod record;
mod totals;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use crate::fuzz;
use lanes::{ALL, Job, Lane};
use programs::{Ended, Programs};
use record::Outcome;
use totals::Totals;

/// A run of seeds: short, so that what one broken promise hides is little.
const RUN: Duration = Duration::from_secs(60);
/// A run that takes so much longer than it was given hangs.
const PATIENCE: Duration = Duration::from_secs(1800);

/// A campaign of so many minutes, or one lane of it.
pub fn soak(minutes: u64, lane: Option<&str>) -> Result<()> {
    let lanes = chosen(lane)?;
    let time = Duration::from_secs(minutes.checked_mul(60).context("that many hours")?);
    let mut packages: Vec<_> = lanes.iter().filter_map(Lane::package).collect();
    packages.sort_unstable();
    packages.dedup();
    let commit = record::commit()?;
    let programs = Programs::build(&packages)?;
    let shares: u32 = lanes.iter().map(|lane| lane.share).sum();
    let mut violations = 0;
    for lane in &lanes {
        let campaign = Campaign { programs: &programs, lane, time: time * lane.share / shares };
        let begun = Instant::now();
        let outcome = campaign.run().with_context(|| format!("lane {}", lane.name))?;
        record::add(&commit, lane.name, begun.elapsed(), &outcome)?;
        match &outcome {
            Outcome::Skipped(why) => println!("{}: skipped: {why}", lane.name),
            Outcome::Ran { counts, violations: found } => {
                println!("{}: {counts}, {found} violations", lane.name);
                violations += found;
            }
        }
    }
    if violations > 0 {
        bail!("{violations} promises were broken: their seeds stand above");
    }
    Ok(())
}

fn chosen(name: Option<&str>) -> Result<Vec<Lane>> {
    let Some(name) = name else { return Ok(ALL.to_vec()) };
    match ALL.iter().find(|lane| lane.name == name) {
        Some(lane) => Ok(vec![*lane]),
        None => {
            let names: Vec<_> = ALL.iter().map(|lane| lane.name).collect();
            bail!("there is no lane `{name}`: {}", names.join(", "))
        }
    }
}

/// One lane with its time.
struct Campaign<'a> {
    programs: &'a Programs,
    lane: &'a Lane,
    time: Duration,
}

impl Campaign<'_> {
    fn run(&self) -> Result<Outcome> {
        match self.lane.job {
            Job::Seeds { package, test } => self.test(package, test, RUN.min(self.time)),
            Job::Once { package, test } => self.test(package, test, self.time),
            Job::Fuzz => self.fuzz(),
        }
    }

    /// Runs a test with fresh seeds until the time is over.
    fn test(&self, package: &str, test: &str, run: Duration) -> Result<Outcome> {
        let (begun, name) = (Instant::now(), self.lane.name);
        let (mut totals, mut failures) = (Totals::default(), 0_u64);
        loop {
            let left = self.time.saturating_sub(begun.elapsed());
            let seconds = run.min(left).as_secs().max(1);
            let seed = fresh_seed();
            let log = self.log(seed);
            let environment =
                [("CAIRN_SOAK_SECONDS", seconds.to_string()), ("CAIRN_SEED", seed.to_string())];
            let limit = Duration::from_secs(seconds) + PATIENCE;
            let ended = self.programs.run(package, test, &environment, &log, limit)?;
            match Totals::parse(&ended.printed) {
                Some(found) => totals.add(&found),
                None if ended.is_success => return unfinished(&ended.printed, test),
                None => {}
            }
            if ended.is_success {
                // What a run in one go says of its figures is wanted afterwards.
                if self.time > run || !matches!(self.lane.job, Job::Once { .. }) {
                    let _kept_if_not = std::fs::remove_file(&log);
                }
            } else {
                failures += 1;
                report(name, seed, &ended, &log);
            }
            let minutes = begun.elapsed().as_secs() / 60;
            println!("{name}: {minutes} minutes, {totals}, {failures} failed runs");
            if begun.elapsed() >= self.time || matches!(self.lane.job, Job::Once { .. }) {
                break;
            }
        }
        // A run that failed may have counted its violations, or ended before it could.
        let violations = totals.violations().max(failures);
        Ok(Outcome::Ran { counts: totals.to_string(), violations })
    }

    fn log(&self, seed: u64) -> PathBuf {
        Path::new(programs::DIR).join(format!("{}-{seed}.log", self.lane.name))
    }

    fn fuzz(&self) -> Result<Outcome> {
        if let Some(why) = fuzz::missing() {
            return Ok(Outcome::Skipped(why.to_owned()));
        }
        if !fuzz::canary_dies()? {
            bail!("the canary lives: the fuzzer finds nothing");
        }
        let targets = fuzz::honest_targets()?;
        let seconds = (self.time.as_secs() / targets.len().max(1) as u64).max(1);
        let (mut totals, mut violations) = (Totals::default(), 0);
        for target in &targets {
            let done = fuzz::run_target(target, seconds)?;
            totals.add_one("executions", done.executions);
            totals.add_one("targets", 1);
            if done.failed {
                violations += 1;
                println!("violation: lane fuzz, target {target}: the input stands above");
            }
            println!("fuzz: {target}: {} executions", done.executions);
        }
        Ok(Outcome::Ran { counts: totals.to_string(), violations })
    }
}

/// A run that ended well and counted nothing says why, or did nothing at all.
fn unfinished(printed: &str, test: &str) -> Result<Outcome> {
    match printed.lines().find_map(|line| line.split_once("skipped: ")) {
        Some((_, why)) => Ok(Outcome::Skipped(why.to_owned())),
        None => bail!("`{test}` printed no totals"),
    }
}

fn report(lane: &str, seed: u64, ended: &Ended, log: &Path) {
    let lines = || ended.printed.lines();
    let life = lines().rfind(|line| line.starts_with("seed ")).unwrap_or("no seed");
    let why = lines().skip_while(|line| !line.contains("panicked at")).take(3);
    let why = if ended.is_late { "it hangs".to_owned() } else { why.collect::<Vec<_>>().join(" ") };
    println!("violation: lane {lane}, seeds from {seed}, last {life}: {why} ({})", log.display());
}

/// Seeds that no run had before, as far as the clock tells.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Room for a billion lives before the next second's begin.
    since.as_secs() << 30
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_found_by_its_name() {
        assert_eq!(chosen(None).expect("all").len(), ALL.len());
        assert_eq!(chosen(Some("keys")).expect("there")[0].name, "keys");
        assert!(chosen(Some("wishes")).expect_err("not there").to_string().contains("power-cuts"));
    }

    #[test]
    fn a_test_that_counts_nothing_must_say_why() {
        let skipped = unfinished("skipped: no loop device\n", "t").expect("said why");
        assert_eq!(skipped, Outcome::Skipped("no loop device".to_owned()));
        assert!(unfinished("test result: ok", "t").is_err());
    }
}
