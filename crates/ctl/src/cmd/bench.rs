//! `bench`: how fast keys are on this machine, with percentiles, in a directory of its own.

use std::io::Write;
use std::time::Instant;

use anyhow::Result;
use cairndb::prelude::*;
use serde_json::json;

use super::line;
use crate::cli::Cli;
use crate::cli::keys::Bench;

/// Times of single operations, in nanoseconds.
struct Times(Vec<u64>);

impl Times {
    fn measure<T>(
        count: u64,
        mut one: impl FnMut(u64) -> Result<T, cairndb::engine::Error>,
    ) -> Result<Self> {
        let mut times = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        for number in 0..count {
            let start = Instant::now();
            let answer = one(number)?;
            times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
            drop(answer);
        }
        times.sort_unstable();
        Ok(Self(times))
    }

    fn at(&self, per_mille: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let nanos = self.0.get(last * per_mille / 1000).copied().unwrap_or(0);
        nanos as f64 / 1000.0
    }

    fn rate(&self) -> f64 {
        let total: u64 = self.0.iter().sum();
        self.0.len() as f64 / (total.max(1) as f64 / 1e9)
    }
}

/// Measures puts and gets beside the store's directory.
pub fn run(cli: &Cli, args: &Bench, out: &mut impl Write) -> Result<()> {
    let dir = cli.store.with_extension(format!("bench-{}", std::process::id()));
    let outcome = measure(cli, args, &dir, out);
    let removed = std::fs::remove_dir_all(&dir);
    outcome?;
    Ok(removed?)
}

fn measure(cli: &Cli, args: &Bench, dir: &std::path::Path, out: &mut impl Write) -> Result<()> {
    let config = LogConfig { durability: cli.durability, ..LogConfig::default() };
    let engine = Engine::open_with(dir, config)?;
    engine.create_keyspace("bench")?;
    let space = engine.keyspace("bench")?;
    let key = |number: u64| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        [mixed.to_be_bytes(), number.to_be_bytes()].concat()
    };
    let value = vec![b'v'; args.value_len];
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if !cli.json {
        line(
            out,
            format!(
                "{cores} cores, acknowledged at {}, values of {} B",
                cli.durability, args.value_len
            ),
        )?;
    }
    let mut print = |name: &str, times: &Times| {
        let (rate, p50, p99, worst) = (times.rate(), times.at(500), times.at(990), times.at(1000));
        if cli.json {
            line(
                out,
                json!({
                    "work": name, "per_second": rate, "p50_us": p50, "p99_us": p99, "max_us": worst,
                    "durability": cli.durability.to_string(), "cores": cores,
                }),
            )
        } else {
            line(
                out,
                format!(
                    "{name:<12} {rate:>12.0}/s   p50 {p50:>8.1} us   p99 {p99:>8.1} us   max {worst:>8.1} us"
                ),
            )
        }
    };
    // Synced puts wait for the disk: fewer of them say as much.
    let puts = if cli.durability == Durability::Sync { args.keys.min(5000) } else { args.keys };
    let times = Times::measure(puts, |number| space.put(key(number), value.clone()))?;
    print("put", &times)?;
    for start in (puts..args.keys).step_by(1000) {
        let end = (start + 1000).min(args.keys);
        space.put_all((start..end).map(|number| (key(number), value.clone())))?;
    }
    let keys = args.keys.max(1);
    let times = Times::measure(args.keys, |number| space.get(key(number * 7919 % keys)))?;
    print("get hit", &times)?;
    let times = Times::measure(args.keys, |number| space.get(key(number + (1 << 40))))?;
    print("get miss", &times)?;
    let times = Times::measure(args.keys.min(10_000), |number| {
        let range = Range::from_key(key(number * 7919 % keys));
        let request = RangeRequest::new(space.stream(), range).limit(100);
        space.range(&RangeRequest { without_count: true, ..request })
    })?;
    print("range of 100", &times)?;
    Ok(engine.close()?)
}
