//! The `cairn` command as a user runs it: pipes, exit codes, kill -9, a second process.

mod auth;
mod cache;
mod erasure;
mod graph;
mod kernel;
mod keys;
mod locks;
mod mount;
mod proofs;
#[path = "../../cairn-tests/src/soaking.rs"]
#[expect(dead_code, reason = "others need more of it")]
mod soaking;
mod words;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn cairn(dir: &Path) -> Command {
    // A campaign runs a copy, so that building goes on beside it.
    let program = std::env::var_os("CAIRN_PROGRAM");
    let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_cairn").into()));
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
        text.contains("1707 events")
            && text.contains("1 in one flight, 15 more in two")
            && text.contains("found: log/segment_000000.log"),
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
    let (mut acknowledged, mut killed) = (0_u64, 0_u64);
    for round in soaking::seeds(0..kills) {
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
        killed += 1;
    }
    let events = stdout(&run(dir.path(), &["export", "t"])).lines().count() as u64;
    assert!(events >= acknowledged, "{acknowledged} were acknowledged, {events} are there");
    assert!(stdout(&run(dir.path(), &["verify"])).contains("intact"));
    println!("total: kills={killed} events_acknowledged={acknowledged} violations=0");
}

#[test]
fn a_snapshot_goes_through_a_pipe_and_a_cut_one_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["put", "k", "1"]));
    stdout(&run(dir.path(), &["put", "k", "2"]));
    let stream = run(dir.path(), &["snapshot", "export", "-", "--rev", "2"]);
    assert!(stream.status.success());
    let path = dir.path().join("snapshot");
    let other = dir.path().join("other");
    let (file, target) = (path.to_str().expect("text"), other.to_str().expect("text"));
    // A stream that breaks off is refused, the directory is no store, and it goes on later.
    std::fs::write(&path, &stream.stdout[..stream.stdout.len() - 40]).expect("writes");
    let import = |file: &str| run(dir.path(), &["snapshot", "import", file, "--data", target]);
    let cut = import(file);
    assert_eq!(cut.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("ends within chunk"));
    assert!(!run(dir.path(), &["get", "k", "--data", target]).status.success());
    std::fs::write(&path, &stream.stdout).expect("writes");
    let text = stdout(&import(file));
    assert!(text.contains("revision 2; verified"), "{text}");
    assert_eq!(stdout(&run(dir.path(), &["get", "k", "--data", target])).trim(), "1");
    assert_eq!(import(file).status.code(), Some(2), "not into a store");
    let linked = dir.path().join("linked");
    let link = linked.to_str().expect("text");
    let text = stdout(&run(dir.path(), &["snapshot", "link", link]));
    assert!(text.contains("linked"), "{text}");
    assert_eq!(stdout(&run(dir.path(), &["get", "k", "--data", link])).trim(), "2");
    let exported = dir.path().join("exported");
    let text = stdout(&run(
        dir.path(),
        &["snapshot", "export", exported.to_str().expect("text"), "--json"],
    ));
    assert!(text.contains("\"revision\":3"), "{text}");
}

#[test]
fn a_quota_refuses_writes_and_stats_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["put", "k", "1"]));
    let refused = run(dir.path(), &["put", "k", "2", "--quota-bytes", "500"]);
    assert_eq!(refused.status.code(), Some(4));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("quota of 500"), "{text}");
    let text = stdout(&run(dir.path(), &["stats", "--quota-bytes", "500", "--json"]));
    let stats: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(stats["quota_bytes"], 500);
    assert!(stats["writable_bytes"].as_u64().expect("a number") < 100, "{text}");
    assert_eq!(stats["space"]["keyspace default"]["records"], 1);
    stdout(&run(dir.path(), &["del", "k", "--quota-bytes", "500"]));
    stdout(&run(dir.path(), &["compact", "3", "--quota-bytes", "500"]));
    assert!(stdout(&run(dir.path(), &["maintain", "--reclaim"])).contains("segments dropped"));
    assert!(stdout(&run(dir.path(), &["stats"])).contains("quota none"));
}
