//! The gates of `cargo xtask ci` that run other programs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::layers;
use crate::process::{answers, cargo, run, run_cargo};

/// Workspaces of their own, so that the product never compiles what they need.
const SIDE_WORKSPACES: &[&str] = &["benches", "fuzz"];

pub fn format() -> Result<()> {
    run_cargo(&["fmt", "--all", "--check"])
}

/// The usual lints on everything; then, on library code without its tests, the list that bans
/// files, clocks and sleeping, which tests and benchmarks may use.
pub fn clippy() -> Result<()> {
    run_cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ])?;
    let mut strict = cargo();
    // Without `--no-deps` the one crate that may touch files would be held to the list too.
    strict.args(["clippy", "--no-deps", "--lib", "--all-features"]);
    for name in layers::libraries_present()? {
        strict.args(["-p", &name]);
    }
    run(strict.args(["--", "-D", "warnings"]).env("CLIPPY_CONF_DIR", "xtask/library-lints"))
}

/// Every crate with every feature, doc tests, and the crash lanes at full speed.
pub fn test() -> Result<()> {
    redis_server();
    if answers(cargo().args(["nextest", "--version"])) {
        run_cargo(&["nextest", "run", "--workspace", "--all-features"])?;
    } else {
        run_cargo(&["test", "--workspace", "--all-features", "--all-targets"])?;
    }
    run_cargo(&["test", "--workspace", "--all-features", "--doc"])?;
    run_cargo(&["test", "--release", "-p", "cairn-tests"])
}

/// Tests of caches want a real Redis. It is installed where that is allowed; elsewhere they skip
/// and say so, and nothing fails here.
fn redis_server() {
    const HOW: &str = "tests that need it will skip; on Debian: `apt-get install redis-server`";
    let is_there = || answers(Command::new("redis-server").arg("--version"));
    if is_there() {
        return;
    }
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !is_root || !answers(Command::new("apt-get").arg("--version")) {
        println!("redis-server is not installed, and we may not install it: {HOW}");
        return;
    }
    // A fresh machine knows of no packages; an old list is as good as none.
    let _without_it_the_next_may_do = run(Command::new("apt-get").args(["update", "-q"]));
    // The package would start a server of its own at once; the tests start theirs themselves.
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-q", "--no-install-recommends", "redis-server"]);
    install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    match run(&mut install) {
        Ok(()) if is_there() => println!("redis-server was installed for the tests"),
        Ok(()) => println!("redis-server was installed and does not start: {HOW}"),
        Err(error) => println!("redis-server could not be installed ({error:#}): {HOW}"),
    }
}

/// The first of the README's two commands; the second is `cargo xtask test`.
pub fn readme() -> Result<()> {
    run_cargo(&["run", "--release", "-p", "cairn-ctl", "--", "tour"])
}

pub fn docs() -> Result<()> {
    run(cargo()
        .args(["doc", "--workspace", "--no-deps", "--all-features"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

/// A side workspace without a lockfile builds something else on every machine.
pub fn lockfiles() -> Result<()> {
    for name in SIDE_WORKSPACES {
        let root = Path::new(name);
        if !root.join("Cargo.toml").exists() {
            println!("skipped: there is no {name}/ workspace yet");
        } else if root.join("Cargo.lock").exists() {
            println!("{name}/Cargo.lock is there");
        } else {
            bail!(
                "{name}/Cargo.lock is missing: run \
                 `cargo generate-lockfile --manifest-path {name}/Cargo.toml` and commit it"
            );
        }
    }
    Ok(())
}

/// Licences, bans and sources need no network. Advisories do: without it they are skipped aloud.
pub fn deny() -> Result<()> {
    if !answers(cargo().args(["deny", "--version"])) {
        println!("skipped: cargo-deny is not installed (`cargo install cargo-deny --locked`)");
        return Ok(());
    }
    run_cargo(&["deny", "check", "licenses", "bans", "sources"])?;
    let output = cargo()
        .args(["deny", "check", "advisories"])
        .stdout(Stdio::inherit())
        .output()
        .context("starting cargo deny")?;
    let text = String::from_utf8_lossy(&output.stderr);
    eprint!("{text}");
    if output.status.success() {
        return Ok(());
    }
    if text.contains("failed to fetch advisory database") {
        println!("skipped: the advisory database could not be fetched");
        return Ok(());
    }
    bail!("cargo deny found advisories that deny.toml does not explain")
}
