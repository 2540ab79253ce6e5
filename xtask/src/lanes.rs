//! Lanes that take their time and are run by hand: benchmarks, soak, fuzzing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{answers, cargo, run, run_cargo};

/// The fuzz target that must fail.
const CANARY: &str = "canary";
const RECORD: &str = "docs/reliability-record.md";

/// Criterion benchmarks of one crate or of all.
pub fn bench(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) => run_cargo(&["bench", "-p", name]),
        None => run_cargo(&["bench", "--workspace", "--exclude", "xtask"]),
    }
}

/// Other engines beside this one, on the same work in the same run. Key-value engines are
/// compiled only when they are asked for, and RocksDB only when it is named. A graph is compared
/// by a program of its own.
pub fn versus(arguments: &[String]) -> Result<()> {
    needs("benches/Cargo.toml", "the workspace with the other engines")?;
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--manifest-path", "benches/Cargo.toml"]);
    if let Some((_, flags)) = arguments.split_first().filter(|(kind, _)| *kind == "graph") {
        command.args(["--features", "graph", "--bin", "versus-graph"]);
        return run(command.arg("--").args(flags));
    }
    if let Some(feature) = versus_feature(arguments) {
        command.args(["--features", feature]);
    }
    run(command.arg("--").args(arguments))
}

fn versus_feature(arguments: &[String]) -> Option<&'static str> {
    match arguments.first()?.as_str() {
        "proof" => Some("proof"),
        "kv" | "table" | "space" | "seeds" => {
            let rocksdb = arguments.iter().any(|flag| flag == "--with-rocksdb");
            Some(if rocksdb { "kv-rocksdb" } else { "kv" })
        }
        _ => None,
    }
}

/// The soak tests of `cairn-tests`, which read their time from the environment.
pub fn soak(hours: u64) -> Result<()> {
    let seconds = hours.checked_mul(3600).context("that many hours")?;
    let tests = ["test", "--release", "-p", "cairn-tests", "--", "soak"];
    let list = cargo().args(tests).arg("--list").output().context("starting cargo test")?;
    if !String::from_utf8_lossy(&list.stdout).contains("soak") {
        bail!("cairn-tests has no test named `soak`: nothing would run");
    }
    let output = cargo()
        .args(tests)
        .arg("--nocapture")
        .env("CAIRN_SOAK_SECONDS", seconds.to_string())
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("starting cargo test")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    print!("{printed}");
    if !output.status.success() {
        bail!("the soak found something: the seed stands above");
    }
    record(&printed)
}

/// Adds what a soak did to the page that keeps count.
fn record(printed: &str) -> Result<()> {
    let Some(totals) = printed.lines().find_map(|line| line.split_once("soaked: ")) else {
        bail!("the soak printed no totals");
    };
    let answer = |program: &str, arguments: &[&str]| -> Result<String> {
        let output = Command::new(program).args(arguments).output().context("a command")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = answer("git", &["rev-parse", "--short=12", "HEAD"])?;
    let date = answer("date", &["-u", "+%F"])?;
    let mut page = std::fs::read_to_string(RECORD).context(RECORD)?;
    page.push_str(&format!("| {date} | {commit} | {} |\n", totals.1));
    std::fs::write(RECORD, page).context(RECORD)
}

/// One fuzz target or all of them, each for so many seconds. It needs the nightly toolchain.
pub fn fuzz(target: Option<&str>, seconds: u64) -> Result<()> {
    needs("fuzz/Cargo.toml", "the workspace with the fuzz targets")?;
    // Not the pinned cargo: choosing a toolchain by `+name` is rustup's doing.
    let nightly = || {
        let mut command = Command::new("cargo");
        command.arg("+nightly");
        command
    };
    if !answers(nightly().arg("--version")) {
        bail!("the nightly toolchain is missing: `rustup toolchain install nightly`");
    }
    if !answers(nightly().args(["fuzz", "--version"])) {
        bail!("cargo-fuzz is missing: `cargo install cargo-fuzz --locked`");
    }
    let limit = format!("-max_total_time={seconds}");
    for name in chosen(targets()?, target)? {
        if name == CANARY {
            let died = !answers(nightly().args(["fuzz", "run", &name, "--", &limit]));
            if !died {
                bail!("the canary lives: the fuzzer finds nothing");
            }
            continue;
        }
        run(nightly().args(["fuzz", "run", &name, "--", &limit]))?;
    }
    Ok(())
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

fn needs(path: &str, what: &str) -> Result<()> {
    if !Path::new(path).exists() {
        bail!("{path} is missing: {what}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_value_engines_are_built_only_when_asked_for() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(versus_feature(&[]), None);
        assert_eq!(versus_feature(&words("--quick --rounds 5")), None);
        assert_eq!(versus_feature(&words("kv --quick")), Some("kv"));
        assert_eq!(versus_feature(&words("kv --with-rocksdb")), Some("kv-rocksdb"));
        assert_eq!(versus_feature(&words("table --rounds 5")), Some("kv"));
        assert_eq!(versus_feature(&words("proof")), Some("proof"));
        assert_eq!(versus_feature(&words("report --with-rocksdb")), None);
    }

    #[test]
    fn an_unknown_fuzz_target_is_refused_with_the_known_ones() {
        let all = vec!["batch".to_owned(), "segment".to_owned()];
        assert_eq!(chosen(all.clone(), None).expect("all of them"), all);
        assert_eq!(chosen(all.clone(), Some("batch")).expect("it is there"), ["batch"]);
        let error = chosen(all, Some("tables")).expect_err("it is not there");
        assert!(error.to_string().contains("batch, segment"), "{error}");
        assert!(chosen(Vec::new(), None).is_err());
    }
}
