//! The fuzz targets with libFuzzer. It needs the nightly toolchain and `cargo-fuzz`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{answers, needs};

/// The fuzz target that must fail.
const CANARY: &str = "canary";

/// What one target did.
#[derive(Debug, PartialEq, Eq)]
pub struct Fuzzed {
    /// Inputs that were run, by libFuzzer's own count.
    pub executions: u64,
    /// Whether an input was found that makes it fail.
    pub failed: bool,
}

/// Not the pinned cargo: choosing a toolchain by `+name` is rustup's doing.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly");
    // The toolchain that runs us would win over the one that was named.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}

/// What is missing, if anything is.
pub fn missing() -> Option<&'static str> {
    if !answers(nightly().arg("--version")) {
        return Some("the nightly toolchain is missing: `rustup toolchain install nightly`");
    }
    if !answers(nightly().args(["fuzz", "--version"])) {
        return Some("cargo-fuzz is missing: `cargo install cargo-fuzz --locked`");
    }
    None
}

/// One fuzz target or all of them, each for so many seconds.
pub fn fuzz(target: Option<&str>, seconds: u64) -> Result<()> {
    needs("fuzz/Cargo.toml", "the workspace with the fuzz targets")?;
    if let Some(why) = missing() {
        bail!(why);
    }
    for name in chosen(targets()?, target)? {
        let done = run_target(&name, seconds)?;
        println!("{name}: {} executions", done.executions);
        if name == CANARY && !done.failed {
            bail!("the canary lives: the fuzzer finds nothing");
        }
        if name != CANARY && done.failed {
            bail!("{name} failed: the input stands above");
        }
    }
    Ok(())
}

/// Whether the fuzzer sees the target that fails.
pub fn canary_dies() -> Result<bool> {
    Ok(run_target(CANARY, 60)?.failed)
}

/// Targets that must not fail, sorted.
pub fn honest_targets() -> Result<Vec<String>> {
    let mut names = targets()?;
    names.retain(|name| name != CANARY);
    Ok(names)
}

/// Runs one target for so many seconds.
pub fn run_target(name: &str, seconds: u64) -> Result<Fuzzed> {
    let limit = format!("-max_total_time={seconds}");
    let output = nightly()
        .args(["fuzz", "run", name, "--", &limit, "-print_final_stats=1"])
        .stdin(Stdio::null())
        .output()
        .context("starting cargo fuzz")?;
    let printed = String::from_utf8_lossy(&output.stderr);
    let failed = !output.status.success();
    let executions = executions(&printed);
    if failed && name != CANARY {
        eprintln!("{printed}");
    }
    match executions {
        Some(executions) => Ok(Fuzzed { executions, failed }),
        // It died before it could count.
        None if failed && printed.contains("libFuzzer") => Ok(Fuzzed { executions: 0, failed }),
        None => bail!("{name} could not be run:\n{printed}"),
    }
}

/// What libFuzzer counted.
fn executions(printed: &str) -> Option<u64> {
    let mut counts = printed.lines().filter_map(|line| {
        let count = line.trim().strip_prefix("stat::number_of_executed_units:")?;
        count.trim().parse().ok()
    });
    counts.next_back()
}

/// The fuzz targets there are, sorted.
fn targets() -> Result<Vec<String>> {
    let dir = Path::new("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let stem = path.file_stem().context("a file has a name")?;
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn chosen(all: Vec<String>, target: Option<&str>) -> Result<Vec<String>> {
    match target {
        None if all.is_empty() => bail!("fuzz/fuzz_targets is empty"),
        None => Ok(all),
        Some(name) if all.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("there is no fuzz target `{name}`: {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_fuzz_target_is_refused_with_the_known_ones() {
        let all = vec!["batch".to_owned(), "segment".to_owned()];
        assert_eq!(chosen(all.clone(), None).expect("all of them"), all);
        assert_eq!(chosen(all.clone(), Some("batch")).expect("it is there"), ["batch"]);
        let error = chosen(all, Some("tables")).expect_err("it is not there");
        assert!(error.to_string().contains("batch, segment"), "{error}");
        assert!(chosen(Vec::new(), None).is_err());
    }

    #[test]
    fn executions_are_those_that_the_fuzzer_counted() {
        let printed = "#2\tINITED cov: 20\nDone 5184 runs in 3 second(s)\n\
            stat::number_of_executed_units: 5184\nstat::average_exec_per_sec:     1728\n";
        assert_eq!(executions(printed), Some(5184));
        assert_eq!(executions("error: could not compile"), None);
    }
}
