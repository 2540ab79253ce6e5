//! Instructions of hot paths, counted by callgrind: they do not depend on what else a machine
//! does, so a change that makes a path longer is seen in one run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{answers, cargo, run};

const FILE: &str = "docs/benchmarks/instructions.txt";
const HEAD: &str = "\
# Instructions of one call of each hot path (release build, counted by callgrind under valgrind):
# cargo xtask instructions --bless writes them, cargo xtask ci compares.
";
/// How often a path is gone in the shorter and in the longer run.
const COUNTS: [u64; 2] = [1000, 3000];
/// Part by which a path may get longer.
const TOLERANCE: f64 = 0.05;

/// Counts every path, and compares with the file or writes it.
pub fn check(bless: bool) -> Result<()> {
    if !answers(Command::new("valgrind").arg("--version")) {
        println!("skipped: valgrind is not installed (`apt-get install valgrind`)");
        return Ok(());
    }
    let build = ["build", "--release", "-p", "cairn-engine", "--example", "hot_paths"];
    run(cargo().args(build))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = PathBuf::from(target).join("release/examples/hot_paths");
    let names = Command::new(&program).output().context("running the example")?;
    let names = String::from_utf8(names.stdout)?;
    let known = fs::read_to_string(FILE).map(|text| parse(&text)).unwrap_or_default();
    let mut out = String::from(HEAD);
    let mut longer = Vec::new();
    for name in names.lines() {
        let mut counted = [0; 2];
        for (counted, count) in counted.iter_mut().zip(COUNTS) {
            *counted = instructions(&program, name, count)?;
        }
        let each = counted[1].saturating_sub(counted[0]) / (COUNTS[1] - COUNTS[0]);
        writeln!(out, "{name} {each}")?;
        let before = known.get(name).copied();
        let change = before.map_or_else(String::new, |before| {
            format!(" ({:+.1} %)", 100.0 * (each as f64 / before as f64 - 1.0))
        });
        println!("{name:12} {each:>8}{change}");
        if before.is_none_or(|before| each as f64 > before as f64 * (1.0 + TOLERANCE)) {
            longer.push(name);
        }
    }
    if bless {
        fs::write(FILE, out)?;
        println!("written to {FILE}");
    } else if !longer.is_empty() {
        bail!(
            "longer by more than {} %, or not in {FILE}: {}. Find out why; if it is worth it, run \
             `cargo xtask instructions --bless`",
            100.0 * TOLERANCE,
            longer.join(", ")
        );
    }
    Ok(())
}

fn parse(text: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

fn instructions(program: &Path, name: &str, count: u64) -> Result<u64> {
    let mut counter = Command::new("valgrind");
    counter.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let output = counter.args([name, &count.to_string()]).output().context("running valgrind")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("{name} failed under valgrind:\n{told}");
    }
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    let number = collected.and_then(|(_, number)| number.trim().parse().ok());
    number.with_context(|| format!("valgrind did not say how many instructions:\n{told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_it_is_written() {
        let text = format!("{HEAD}append 10\nget-miss 7\n");
        let expected = [("append".to_owned(), 10), ("get-miss".to_owned(), 7)];
        assert_eq!(parse(&text), BTreeMap::from(expected));
    }
}
