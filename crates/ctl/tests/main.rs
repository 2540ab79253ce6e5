//! The `cairn` command as a user runs it: pipes, exit codes, kill -9, a second process.

mod auth;
mod kernel;
mod keys;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn cairn(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.env_remove("CAIRN_DATA").arg("--data").arg(dir.join("data"));
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    cairn(dir).args(arguments).output().expect("runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_tour_ends_well() {
    let output = Command::new(env!("CARGO_BIN_EXE_cairn")).arg("tour").output().expect("runs");
    let text = stdout(&output);
    assert!(
        text.contains("1707 events") && text.contains("found: log/segment_000000.log"),
        "{text}"
    );
}

#[test]
fn what_is_imported_is_read_exported_and_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("in.jsonl");
    let lines: Vec<_> = (0..3000)
        .map(|n| format!(r#"{{"n":{n},"key":"k{}","at":{{"time":{}}}}}"#, n % 5, n * 1000))
        .collect();
    std::fs::write(&file, lines.join("\n")).expect("writes");
    let path = file.to_str().expect("text");
    run(dir.path(), &["import", "t", path, "--key", "key", "--time", "at/time"]);
    let text = stdout(&run(
        dir.path(),
        &["read", "t", "--from", "1970-01-01T00:10:00Z", "--limit", "2", "--json"],
    ));
    let first: serde_json::Value =
        serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&first["offset"], &first["data"]["n"], &first["key"]),
        (&600.into(), &600.into(), &"k0".into())
    );
    let exported = stdout(&run(dir.path(), &["export", "t"]));
    assert_eq!(exported.lines().count(), 3000);
    assert!(stdout(&run(dir.path(), &["verify"])).contains("intact"));
    assert!(stdout(&run(dir.path(), &["doctor"])).contains("nothing is wrong"));
    assert!(stdout(&run(dir.path(), &["topics"])).contains("3000 events"));
}

#[test]
fn repair_keeps_what_is_whole_and_says_what_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    for number in 0..6 {
        let data = format!("{{\"n\":{number}}}");
        assert!(run(dir.path(), &["append", "t", "--data", &data]).status.success());
    }
    let path = dir.path().join("data/log/segment_000003.log");
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[300] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    assert_eq!(run(dir.path(), &["verify"]).status.code(), Some(3));
    let dry = run(dir.path(), &["repair", "--json"]);
    assert_eq!(dry.status.code(), Some(3));
    let plan: serde_json::Value = serde_json::from_slice(&dry.stdout).expect("JSON");
    assert_eq!((&plan["repaired"], &plan["lost_records"]), (&false.into(), &3.into()));
    assert_eq!(run(dir.path(), &["verify"]).status.code(), Some(3), "nothing was changed");
    let text = stdout(&run(dir.path(), &["repair", "--yes"]));
    assert!(text.contains("lost: 3 records"), "{text}");
    assert!(stdout(&run(dir.path(), &["verify"])).contains("intact"));
    assert_eq!(stdout(&run(dir.path(), &["read", "t"])).lines().count(), 3);
    let next = stdout(&run(dir.path(), &["append", "t", "--data", "1", "--json"]));
    assert!(next.contains("\"offset\":3"), "{next}");
    assert!(dir.path().join("data/quarantine/segment_000003.log").exists());
    assert!(stdout(&run(dir.path(), &["repair"])).contains("nothing keeps"));
}

#[test]
fn exit_codes_tell_programs_what_happened() {
    let dir = tempfile::tempdir().expect("a directory");
    let code = |arguments: &[&str]| run(dir.path(), arguments).status.code();
    assert_eq!(code(&["topics"]), Some(1), "no store");
    assert_eq!(code(&["append", "t", "--data", "x"]), Some(0));
    assert_eq!(code(&["read", "nope"]), Some(1));
    assert_eq!(code(&["append", "../x", "--data", "x"]), Some(2));
    assert_eq!(code(&["nonsense"]), Some(2));
    let path = dir.path().join("data/log/segment_000000.log");
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[300] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    assert_eq!(code(&["verify"]), Some(3));
}

#[test]
fn a_follower_sees_what_another_process_appends() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["append", "t", "--data", "first"]));
    let mut tail = cairn(dir.path())
        .args(["tail", "t", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(tail.stdout.take().expect("piped")).lines();
    let mut next = || {
        let line = lines.next().expect("a line").expect("reads");
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")["data"].clone()
    };
    assert_eq!(next(), "first");
    for number in 0..20 {
        stdout(&run(dir.path(), &["append", "t", "--data", &format!("event {number}")]));
        assert_eq!(next(), format!("event {number}"));
    }
    tail.kill().expect("kills");
    tail.wait().expect("ends");
}

/// `CAIRN_KILLS` sets how many.
#[test]
fn acknowledged_events_survive_kill_9() {
    let kills = std::env::var("CAIRN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0_u64;
    for round in 0..kills {
        let mut writer = cairn(dir.path())
            .args(["append", "t", "-", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut input = writer.stdin.take().expect("piped");
        let feeder = std::thread::spawn(move || {
            // Ends with a broken pipe when the writer is killed.
            while writeln!(input, "an event of round {round}").is_ok() {}
        });
        let mut lines = BufReader::new(writer.stdout.take().expect("piped")).lines();
        for _ in 0..5 + round % 50 {
            let line = lines.next().expect("a line").expect("reads");
            let place: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let offset = place["offset"].as_u64().expect("an offset");
            assert!(offset >= acknowledged, "round {round}: offset {offset} was given twice");
            acknowledged = offset + 1;
        }
        writer.kill().expect("kills");
        // What was printed before the kill counts too.
        for line in lines.map_while(Result::ok) {
            if let Ok(place) = serde_json::from_str::<serde_json::Value>(&line) {
                acknowledged = place["offset"].as_u64().expect("an offset") + 1;
            }
        }
        writer.wait().expect("ends");
        feeder.join().expect("ends");
    }
    let events = stdout(&run(dir.path(), &["export", "t"])).lines().count() as u64;
    assert!(events >= acknowledged, "{acknowledged} were acknowledged, {events} are there");
    assert!(stdout(&run(dir.path(), &["verify"])).contains("intact"));
}
