//! The real kernel against the promises: power cuts on a real file system, a full disk, a
//! limit on file sizes. What cannot run here (no root, no loop devices) is skipped and says why.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{cairn, run, stdout};

/// Runs a command for its outcome.
fn sh(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A file system that is unmounted when the test ends.
struct Mount {
    dir: PathBuf,
}

impl Mount {
    /// An ext4 file system in a file.
    fn ext4(image: &Path, dir: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        sh("mount", &["-o", "loop", text(image), text(dir)])?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// A small file system in memory: it can be full, but not lose power.
    fn tmpfs(dir: &Path, size: &str) -> Result<Self, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        sh("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", text(dir)])?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Cuts the power: the file system forgets everything that was not synced (the shutdown
    /// ioctl of ext4 without flushing its journal).
    fn cut_power(&self) -> Result<(), String> {
        const SCRIPT: &str = "import fcntl, os, struct, sys\n\
            fd = os.open(sys.argv[1], os.O_RDONLY)\n\
            fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))\n";
        sh("python3", &["-c", SCRIPT, text(&self.dir)])
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _left_mounted = sh("umount", &["-l", text(&self.dir)]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are text")
}

/// Appends events until somebody stops it; returns what was acknowledged before `stop` said so.
fn write_until(
    dir: &Path,
    first: u64,
    mut stop: impl FnMut(u64) -> bool,
    cut: impl FnOnce(),
) -> u64 {
    let mut writer = cairn(dir)
        .args(["append", "t", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut input = writer.stdin.take().expect("piped");
    let feeder = std::thread::spawn(move || {
        for number in first.. {
            if writeln!(input, "{number}").is_err() {
                break;
            }
        }
    });
    let mut lines = BufReader::new(writer.stdout.take().expect("piped")).lines();
    let mut acknowledged = 0;
    while let Some(Ok(_)) = lines.next() {
        acknowledged += 1;
        if stop(acknowledged) {
            break;
        }
    }
    cut();
    // What was acknowledged after the cut began was promised too.
    writer.kill().expect("kills");
    acknowledged += lines.map_while(Result::ok).count() as u64;
    writer.wait().expect("ends");
    feeder.join().expect("ends");
    acknowledged
}

/// Events in order: 0, 1, 2, ... as they were written; how many.
fn check_events(dir: &Path) -> u64 {
    let listed = stdout(&run(dir, &["read", "t", "--json"]));
    let mut count = 0;
    for (number, line) in listed.lines().enumerate() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["data"], number as u64, "no event is lost, doubled or moved");
        count += 1;
    }
    count
}

/// `CAIRN_POWER_CUTS` sets how many.
#[test]
fn acknowledged_events_survive_power_cuts_on_a_real_file_system() {
    let cuts = std::env::var("CAIRN_POWER_CUTS").ok().and_then(|t| t.parse().ok()).unwrap_or(100);
    let dir = tempfile::tempdir().expect("a directory");
    let image = dir.path().join("disk.img");
    let made = sh("truncate", &["-s", "96M", text(&image)])
        .and_then(|()| sh("mkfs.ext4", &["-q", "-F", text(&image)]));
    let mount = dir.path().join("mnt");
    let first = made.and_then(|()| Mount::ext4(&image, &mount));
    let mut mounted = match first {
        Ok(mounted) => mounted,
        Err(why) => {
            println!("skipped: no ext4 on a loop device here: {why}");
            return;
        }
    };
    let mut certain = 0_u64;
    for round in 0..cuts {
        let acknowledged = write_until(
            &mount,
            certain,
            |seen| seen >= 3 + round % 17,
            || {
                mounted.cut_power().expect("the kernel cuts the power");
            },
        );
        drop(mounted);
        mounted = Mount::ext4(&image, &mount).expect("mounts again");
        // Opening for writing recovers; then everything acknowledged must be there.
        stdout(&run(&mount, &["topics", "create", "t"]));
        let found = check_events(&mount);
        assert!(
            found >= certain + acknowledged,
            "round {round}: {found} of {} are there",
            certain + acknowledged
        );
        certain = found;
        assert!(stdout(&run(&mount, &["verify"])).contains("intact"), "round {round}");
        // The image is small: keep the newest by starting anew now and then.
        if round % 25 == 24 {
            std::fs::remove_dir_all(mount.join("data")).expect("removes");
            certain = 0;
        }
    }
    println!("{cuts} power cuts");
}

#[test]
fn a_full_disk_refuses_cleanly_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let mount = dir.path().join("mnt");
    let _mounted = match Mount::tmpfs(&mount, "3m") {
        Ok(mounted) => mounted,
        Err(why) => {
            println!("skipped: no small file system can be mounted here: {why}");
            return;
        }
    };
    stdout(&run(&mount, &["append", "t", "--data", "0"]));
    let ballast = mount.join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).expect("fits");
    let acknowledged = 1 + write_until(&mount, 1, |_| false, || {});
    assert!(acknowledged > 100, "{acknowledged}");
    let refused = run(&mount, &["append", "t", "--data", &"x".repeat(100_000)]);
    assert_eq!(refused.status.code(), Some(4), "unavailable");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("space"), "{message}");
    assert!(check_events(&mount) >= acknowledged, "earlier events are read on a full disk");
    std::fs::remove_file(&ballast).expect("removes");
    let found = check_events(&mount);
    stdout(&run(&mount, &["append", "t", "--data", &found.to_string()]));
    assert_eq!(check_events(&mount), found + 1, "it goes on");
    assert!(stdout(&run(&mount, &["verify"])).contains("intact"));
}

#[test]
fn a_limit_on_file_sizes_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = env!("CARGO_BIN_EXE_cairn");
    let data = dir.path().join("data");
    // 2,048 blocks of 512 bytes: the first segment cannot grow past 1 MiB.
    let script = format!(
        "ulimit -f 2048; for n in $(seq 0 99999); do echo $n; done | {program} --data {} append t - --json",
        text(&data)
    );
    let output = Command::new("sh").args(["-c", &script]).output().expect("runs");
    let acknowledged = String::from_utf8_lossy(&output.stdout).lines().count() as u64;
    assert!(acknowledged > 0 || !output.status.success(), "either it works or it says why not");
    if data.join("CAIRN").exists() && acknowledged > 0 {
        stdout(&run(dir.path(), &["topics", "create", "t"]));
        assert!(check_events(dir.path()) >= acknowledged);
    }
}
