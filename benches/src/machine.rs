//! Facts about the machine, without which no figure means anything.

use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

/// Name and value pairs to print above the figures.
pub fn facts(dir: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    vec![
        ("cpu", cpu_model()),
        ("cores", cores.to_string()),
        ("kernel", first_line("/proc/sys/kernel/osrelease")),
        ("file system", file_system(dir)),
        ("load before", first_line("/proc/loadavg")),
        ("commit", commit()),
    ]
}

fn first_line(path: &str) -> String {
    read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

fn cpu_model() -> String {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}

/// The type of the mount with the longest path that the directory lies under.
pub fn file_system(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let mounts = read_to_string("/proc/mounts").unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| {
        let mut parts = line.split(' ').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    let under = fields.filter(|(mount, _)| dir.starts_with(mount));
    under.max_by_key(|(mount, _)| mount.len()).map_or("unknown", |(_, kind)| kind).to_owned()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    let clean = git(&["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
    if clean { commit } else { format!("{commit} with changes") }
}
