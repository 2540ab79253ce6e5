//! The real kernel against the promises: power cuts on a real file system, a full disk, a
//! limit on file sizes. What cannot run here (no root, no loop devices) is skipped and says why.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::mount::{Mount, text};
use crate::soaking::seeds;
use crate::{cairn, run, stdout};

/// Appends events until somebody stops it; returns what was acknowledged before `stop` said so.
/// What is acknowledged while the power is cut is no promise, see [`Cutter`](crate::mount::Cutter).
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
    writer.kill().expect("kills");
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
    let mount = dir.path().join("mnt");
    let first = Mount::new_ext4(&image, "96M", &mount);
    let mut mounted = match first {
        Ok(mounted) => mounted,
        Err(why) => {
            println!("skipped: no ext4 on a loop device here: {why}");
            return;
        }
    };
    let (mut certain, mut done, mut promised) = (0_u64, 0_u64, 0_u64);
    for (round, _) in (0..).zip(seeds(0..cuts)) {
        let cutter = mounted.cutter().expect("is ready");
        let acknowledged = write_until(
            &mount,
            certain,
            |seen| seen >= 3 + round % 17,
            || cutter.cut().expect("the kernel cuts the power"),
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
        (done, promised) = (done + 1, promised + acknowledged);
        assert!(stdout(&run(&mount, &["verify"])).contains("intact"), "round {round}");
        // The image is small: keep the newest by starting anew now and then.
        if round % 25 == 24 {
            std::fs::remove_dir_all(mount.join("data")).expect("removes");
            certain = 0;
        }
    }
    println!("total: power_cuts={done} events_acknowledged={promised} violations=0");
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
