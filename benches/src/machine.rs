//! Facts about the machine, without which no figure means anything.

use crate::measure::Spread;
use crate::part::Fact;
use anyhow::Result;
use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What to print above the figures.
pub fn facts(dir: &Path) -> Result<Vec<Fact>> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let found = [
        ("processor", format!("{}, {cores} cores", cpu_model())),
        ("memory", memory()),
        ("kernel", first_line("/proc/sys/kernel/osrelease")),
        ("file system", file_system(dir)),
        ("processor's speed", governor()),
        ("compiler", output("rustc", &["--version"])),
        ("commit", commit()),
        ("load before", load()),
        ("one fdatasync before", sync_cost(dir)?),
    ];
    Ok(found.map(named).into())
}

/// What to print after the run, to show whether the machine changed meanwhile.
pub fn facts_after(dir: &Path) -> Result<Vec<Fact>> {
    let found = [("load after", load()), ("one fdatasync after", sync_cost(dir)?)];
    Ok(found.map(named).into())
}

fn named((name, value): (&str, String)) -> Fact {
    (name.to_owned(), value)
}

/// Means of one, five and fifteen minutes.
fn load() -> String {
    let line = first_line("/proc/loadavg");
    line.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Who sets the clock of the processor; a guest cannot see it.
fn governor() -> String {
    match first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").as_str() {
        "unknown" => "set by the host, not visible here".into(),
        governor => governor.to_owned(),
    }
}

fn first_line(path: &str) -> String {
    let text = read_to_string(path).unwrap_or_default();
    text.lines().next().map_or_else(|| "unknown".into(), |line| line.trim().to_owned())
}

fn cpu_model() -> String {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown".into());
    match (field("cpu family"), field("model\t"), field("stepping")) {
        (Some(family), Some(number), Some(stepping)) => {
            format!("{model} (family {family}, model {number}, stepping {stepping})")
        }
        _ => model,
    }
}

fn memory() -> String {
    let total = first_line("/proc/meminfo");
    let kib = total.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    kib.map_or(total, |kib| format!("{} GiB", (kib + (1 << 19)) >> 20))
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

/// What a sync of one written block costs, without any log: the limit of the durable rows.
fn sync_cost(dir: &Path) -> Result<String> {
    let path = dir.join("sync-cost");
    let file = File::create(&path)?;
    file.write_all_at(&vec![0; 1 << 20], 0)?;
    file.sync_all()?;
    let mut costs = Vec::new();
    for index in 0..200_u64 {
        let start = Instant::now();
        file.write_all_at(&[1; 128], index * 4096)?;
        file.sync_data()?;
        costs.push(start.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(&path)?;
    let spread = Spread::of(costs).expect("there are figures");
    let Spread { min, median, max } = spread;
    Ok(format!("{median:.0} us in the middle of 200 ({min:.0} - {max:.0})"))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".into())
}

fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"]);
    match output("git", &["status", "--porcelain"]).as_str() {
        "unknown" => commit,
        // Files that are not known to git change nothing that was measured.
        changes if changes.lines().all(|line| line.starts_with("??")) => commit,
        _ => format!("{commit} with changes"),
    }
}
