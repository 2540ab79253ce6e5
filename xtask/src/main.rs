//! Maintenance of the workspace: `cargo xtask ci`, `test`, `layers`, `tidy`, `bench`, `docs`.

mod layers;
mod tidy;

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

const USAGE: &str = "cargo xtask COMMAND

  ci            everything that must be green before a change lands
  test          tests of every crate, and doc tests
  layers        dependencies follow the floor table
  tidy          module docs, file sizes, names, marks, files and clocks in their place
  bench [CRATE] criterion benchmarks
  docs          API documentation, warnings denied";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = arguments.first().map_or("", String::as_str);
    let outcome = match command {
        "ci" => ci(),
        "test" => test(),
        "layers" => layers::check_workspace(),
        "tidy" => tidy::check_workspace(),
        "bench" => bench(arguments.get(1).map(String::as_str)),
        "docs" => docs(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every gate in order and stops at the first that fails.
fn ci() -> Result<()> {
    type Step = (&'static str, fn() -> Result<()>);
    let steps: [Step; 7] = [
        ("format", format),
        ("layers", layers::check_workspace),
        ("tidy", tidy::check_workspace),
        ("clippy", clippy),
        ("test", test),
        ("README commands", readme),
        ("docs", docs),
    ];
    for (name, step) in steps {
        println!("== {name}");
        let start = Instant::now();
        step().with_context(|| format!("step `{name}`"))?;
        println!("== {name}: ok after {} s", start.elapsed().as_secs());
    }
    println!("== all {} steps are green", steps.len());
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO")).args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Result<()> {
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
}

fn test() -> Result<()> {
    cargo(&["test", "--workspace", "--all-features"])
}

/// The first of the README's two commands; the second is `cargo xtask test`.
fn readme() -> Result<()> {
    cargo(&["run", "--quiet", "--release", "-p", "cairn-ctl", "--", "tour"])
}

fn bench(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) => cargo(&["bench", "-p", name]),
        None => cargo(&["bench", "--workspace"]),
    }
}

fn docs() -> Result<()> {
    run(Command::new(env!("CARGO"))
        .args(["doc", "--workspace", "--no-deps", "--all-features"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}
