//! The test programs of a campaign: built once, copied aside so that building may go on beside
//! it, run with a limit on their time.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::cargo;

/// Where programs and what they printed lie.
pub const DIR: &str = "target/campaign";
/// Optimised, with every check that a debug build has.
const PROFILE: &str = "soak";

/// Packages whose tests take part.
pub const ALL_PACKAGES: [&str; 6] =
    ["cairn-tests", "cairn-ctl", "cairn-engine", "cairn-mvcc", "cairn-lsm", "cairn-graph"];

/// A test program and the directory it expects to be run in.
struct Program {
    path: PathBuf,
    home: PathBuf,
}

/// Test programs by package.
#[derive(Default)]
pub struct Programs {
    tests: BTreeMap<&'static str, Program>,
    /// The `cairn` that some of them run.
    cairn: Option<PathBuf>,
}

/// What a program printed, and how it ended.
pub struct Ended {
    pub printed: String,
    pub is_success: bool,
    pub is_late: bool,
}

impl Programs {
    /// Builds the test programs of these packages, all at once so that each crate is built once,
    /// and copies them aside.
    pub fn build(packages: &[&'static str]) -> Result<Self> {
        let mut programs = Self::default();
        if packages.is_empty() {
            return Ok(programs);
        }
        println!("building the tests of {}", packages.join(", "));
        let mut build = cargo();
        build.args(["test", "--profile", PROFILE, "--no-run", "--message-format=json"]);
        for package in ALL_PACKAGES {
            // Others of them may need a crate in other ways, and then it is built again.
            build.args(["-p", package]);
        }
        let output = build.args(["--test", "main"]).stderr(Stdio::inherit()).output();
        let output = output.context("starting cargo test")?;
        if !output.status.success() {
            bail!("the tests were not built");
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        std::fs::create_dir_all(DIR).context(DIR)?;
        for package in packages {
            let built = test_program(&printed, package);
            let built = built.with_context(|| format!("{package}: no program was built"))?;
            let path = copy_aside(&built.path, package)?;
            programs.tests.insert(package, Program { path, home: built.home });
        }
        if let Some(built) = executable(&printed, "cairn") {
            programs.cairn = Some(copy_aside(&built, "cairn")?);
        }
        Ok(programs)
    }

    /// Runs one test. What it prints goes to a file that can be followed.
    pub fn run(
        &self,
        package: &str,
        test: &str,
        environment: &[(&str, String)],
        log: &Path,
        limit: Duration,
    ) -> Result<Ended> {
        let program = self.tests.get(package).context("was built before")?;
        let file = File::create(log).with_context(|| log.display().to_string())?;
        let mut child = Command::new(&program.path)
            .args(["--exact", test, "--nocapture"])
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .envs(self.cairn.iter().map(|path| ("CAIRN_PROGRAM", path)))
            .current_dir(&program.home)
            .stdin(Stdio::null())
            .stderr(file.try_clone().context("a second handle")?)
            .stdout(file)
            .spawn()
            .with_context(|| program.path.display().to_string())?;
        let begun = Instant::now();
        let mut is_late = false;
        let status = loop {
            if let Some(status) = child.try_wait().context("waiting")? {
                break status;
            }
            if begun.elapsed() > limit && !is_late {
                is_late = true;
                child.kill().context("ending what hangs")?;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let bytes = std::fs::read(log).with_context(|| log.display().to_string())?;
        let printed = String::from_utf8_lossy(&bytes).into_owned();
        if printed.contains("running 0 tests") {
            bail!("{package} has no test `{test}`: nothing was run");
        }
        Ok(Ended { printed, is_success: status.success() && !is_late, is_late })
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let tests = self.tests.values().map(|program| &program.path);
        for path in tests.chain(&self.cairn) {
            let _left_for_the_next_clean = std::fs::remove_file(path);
        }
    }
}

/// A copy that no later build replaces.
fn copy_aside(built: &Path, name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(DIR).join(format!("{name}-{}", std::process::id()));
    std::fs::copy(built, &path).with_context(|| path.display().to_string())?;
    path.canonicalize().context("was just copied")
}

/// A program, not a test, that cargo says it built.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let mut built = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_its = message["target"]["name"] == name && message["profile"]["test"] == false;
        Some(PathBuf::from(message["executable"].as_str().filter(|_| is_its)?))
    });
    built.next_back()
}

/// The test program that cargo says it built for a package, and the package's directory, which
/// is called like the package, with or without its first word.
fn test_program(messages: &str, package: &str) -> Option<Program> {
    let mut built = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_test = message["profile"]["test"].as_bool()? && message["target"]["name"] == "main";
        let path = PathBuf::from(message["executable"].as_str().filter(|_| is_test)?);
        let home = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let name = home.file_name()?.to_str()?;
        let is_its = name == package || package.strip_prefix("cairn-") == Some(name);
        is_its.then_some(Program { path, home })
    });
    built.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_is_found_among_the_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/w/crates/lsm/Cargo.toml","target":{"name":"cairn_lsm"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/w/crates/lsm/Cargo.toml","target":{"name":"main"},"profile":{"test":true},"executable":"/w/target/soak/deps/main-1"}
{"reason":"compiler-artifact","manifest_path":"/w/crates/cairn-tests/Cargo.toml","target":{"name":"main"},"profile":{"test":true},"executable":"/w/target/soak/deps/main-2"}
{"reason":"build-finished","success":true}"#;
        let found = test_program(messages, "cairn-lsm").expect("there");
        assert_eq!(found.path, Path::new("/w/target/soak/deps/main-1"));
        assert_eq!(found.home, Path::new("/w/crates/lsm"));
        let found = test_program(messages, "cairn-tests").expect("there");
        assert_eq!(found.path, Path::new("/w/target/soak/deps/main-2"));
        assert!(test_program(messages, "cairn-graph").is_none());
    }
}
