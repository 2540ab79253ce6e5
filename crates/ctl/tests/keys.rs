//! Keys from the command line, as a user drives them.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::{cairn, run, stdout};
use serde_json::Value;

fn with_input(dir: &std::path::Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = cairn(dir)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    child.stdin.take().expect("piped").write_all(input).expect("writes");
    child.wait_with_output().expect("ends")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(stdout(output).lines().next().expect("a line")).expect("JSON")
}

#[test]
fn put_get_del_scan_count_and_history() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    assert_eq!(json(&run(&["put", "a", "1", "--json"]))["revision"], 2);
    stdout(&run(&["put", "a", "2"]));
    assert_eq!(stdout(&run(&["get", "a"])), "2\n");
    assert_eq!(stdout(&run(&["get", "a", "--rev", "2"])), "1\n");
    let kv = json(&run(&["get", "a", "--json"]));
    let facts =
        ["create_revision", "mod_revision", "version", "lease"].map(|name| kv[name].as_i64());
    assert_eq!(facts, [Some(2), Some(3), Some(2), Some(0)]);
    stdout(&with_input(dir.path(), &["put", "-"], b"b\t1\nc\t2\tx\nd\t\n"));
    assert_eq!(stdout(&run(&["scan"])), "a\t2\nb\t1\nc\t2\tx\nd\t\n");
    assert_eq!(stdout(&run(&["scan", "b", "d", "--keys-only"])), "b\nc\n");
    assert_eq!(stdout(&run(&["scan", "--reverse", "--limit", "1", "--keys-only"])), "d\n");
    assert_eq!(stdout(&run(&["get", "b", "--from-key", "--keys-only", "--limit", "2"])), "b\nc\n");
    assert_eq!(stdout(&run(&["count"])), "4\n");
    assert_eq!(stdout(&run(&["count", "--prefix", "a"])), "1\n");
    assert_eq!(json(&run(&["del", "b", "--from-key", "--json"]))["deleted"], 3);
    assert_eq!(stdout(&run(&["count", "--rev", "6"])), "4\n");
    assert_eq!(stdout(&run(&["history", "a"])).lines().count(), 2);
    assert_eq!(run(&["get", "none"]).status.code(), Some(1));
    assert_eq!(run(&["del", "none"]).status.code(), Some(1));
    assert_eq!(run(&["get", "a", "--rev", "99"]).status.code(), Some(2));
    assert_eq!(run(&["get", "a", "-k", "none"]).status.code(), Some(1));
    assert_eq!(run(&["put", ""]).status.code(), Some(2));
    assert!(stdout(&run(&["verify"])).contains("intact"));
}

#[test]
fn bytes_that_are_no_text_come_back_in_base64() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&with_input(dir.path(), &["put", "k", "-"], &[0xff, 0xfe]));
    let kv = json(&run(dir.path(), &["get", "k", "--json"]));
    assert_eq!((&kv["value"], &kv["value_encoding"]), (&"//4=".into(), &"base64".into()));
    assert_eq!(run(dir.path(), &["get", "k"]).stdout, [0xff, 0xfe, b'\n']);
}

#[test]
fn transactions_compare_and_set() {
    let dir = tempfile::tempdir().expect("a directory");
    let txn = br#"{"compare":[{"key":"k","target":"version","op":"=","value":0}],
        "success":[{"put":{"key":"k","value":"first"}}],"failure":[{"get":{"key":"k"}}]}"#;
    let answer = json(&with_input(dir.path(), &["txn"], txn));
    assert_eq!((&answer["succeeded"], &answer["revision"]), (&true.into(), &2.into()));
    let answer = json(&with_input(dir.path(), &["txn"], txn));
    assert_eq!(answer["succeeded"], false);
    assert_eq!(answer["results"][0]["get"]["kvs"][0]["value"], "first");
    let twice = br#"{"success":[{"put":{"key":"k","value":"1"}},{"delete":{"key":"k"}}]}"#;
    assert_eq!(with_input(dir.path(), &["txn"], twice).status.code(), Some(2));
    assert_eq!(with_input(dir.path(), &["txn"], b"{").status.code(), Some(2));
    assert_eq!(with_input(dir.path(), &["txn"], b"[]").status.code(), Some(2));
    stdout(&with_input(dir.path(), &["put", "-"], b"\xff\t1\n"));
    assert_eq!(run(dir.path(), &["get", "", "--prefix", "--keys-only"]).stdout, b"k\n\xff\n");
}

#[test]
fn leases_end_and_take_their_keys_along() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    assert_eq!(json(&run(&["lease", "grant", "600", "--id", "7", "--json"]))["id"], 7);
    stdout(&run(&["put", "k", "v", "--lease", "7"]));
    assert_eq!(json(&run(&["lease", "ttl", "7", "--json"]))["keys"][0], "k");
    assert_eq!(json(&run(&["lease", "revoke", "7", "--json"]))["deleted"], 1);
    assert_eq!(run(&["get", "k"]).status.code(), Some(1));
    assert_eq!(run(&["lease", "ttl", "7"]).status.code(), Some(1));
    assert_eq!(run(&["put", "k", "v", "--lease", "7"]).status.code(), Some(1));
}

#[test]
fn a_watch_in_another_process_sees_every_change() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["put", "k", "0"]));
    let mut watch = cairn(dir.path())
        .args(["watch", "k", "--rev", "2", "--json", "--prev"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    for number in 1..4 {
        stdout(&run(dir.path(), &["put", "k", &number.to_string()]));
        stdout(&run(dir.path(), &["put", "other", "x"]));
    }
    for number in 0..4 {
        let line = lines.next().expect("a line").expect("reads");
        let change: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(change["kv"]["value"], number.to_string());
        assert_eq!(change["prev_kv"].is_null(), number == 0);
    }
    watch.kill().expect("is killed");
    watch.wait().expect("ends");
}

#[test]
fn compaction_and_keyspaces() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    for value in ["1", "2", "3"] {
        stdout(&run(&["put", "k", value]));
    }
    stdout(&run(&["compact", "3"]));
    assert_eq!(run(&["get", "k", "--rev", "2"]).status.code(), Some(1));
    assert_eq!(stdout(&run(&["get", "k", "--rev", "3"])), "2\n");
    stdout(&run(&["keyspaces", "create", "other"]));
    stdout(&run(&["put", "k", "there", "--keyspace", "other"]));
    assert_eq!(stdout(&run(&["get", "k"])), "3\n");
    assert_eq!(stdout(&run(&["keyspaces", "--json"])).lines().count(), 2);
    stdout(&run(&["keyspaces", "drop", "other"]));
    assert_eq!(run(&["get", "k", "--keyspace", "other"]).status.code(), Some(1));
}

#[test]
fn a_keyspace_that_keeps_only_the_latest_gives_its_space_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    stdout(&run(&["keyspaces", "create", "cache", "--retention", "latest-only"]));
    assert!(stdout(&run(&["keyspaces"])).contains("latest-only"));
    let other = run(&["keyspaces", "create", "cache", "--retention", "forever"]);
    assert_ne!(other.status.code(), Some(0));
    let long = "x".repeat(2000);
    for _ in 0..5 {
        stdout(&run(&["put", "k", &long, "--keyspace", "cache"]));
    }
    let cleaned = stdout(&run(&["compact", "6", "--clean", "--json"]));
    assert!(cleaned.contains("\"records_cleaned\":4"), "{cleaned}");
    assert_eq!(stdout(&run(&["get", "k", "--keyspace", "cache"])), format!("{long}\n"));
    assert!(stdout(&run(&["stats"])).contains("keyspace cache (latest only)"));
    stdout(&run(&["verify"]));
    stdout(&run(&["keyspaces", "set", "cache", "--retention", "forever"]));
    assert!(stdout(&run(&["keyspaces"])).contains("forever"));
}

#[test]
fn a_backup_is_restored_whole_or_to_a_revision() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    let backup = dir.path().join("backup");
    let backup = backup.to_str().expect("text");
    for value in ["1", "2", "3"] {
        stdout(&run(&["put", "k", value]));
    }
    assert_eq!(json(&run(&["backup", backup, "--json"]))["segments_kept"], 0);
    stdout(&run(&["put", "k", "4"]));
    stdout(&run(&["append", "t", "--data", "an event"]));
    let again = json(&run(&["backup", backup, "--json"]));
    assert!(again["segments_kept"].as_u64().expect("a number") > 0, "{again}");
    let restored = tempfile::tempdir().expect("a directory");
    stdout(&crate::run(restored.path(), &["restore", backup]));
    assert_eq!(stdout(&crate::run(restored.path(), &["get", "k"])), "4\n");
    assert!(stdout(&crate::run(restored.path(), &["read", "t"])).contains("an event"));
    assert_eq!(crate::run(restored.path(), &["restore", backup]).status.code(), Some(2));
    let earlier = tempfile::tempdir().expect("a directory");
    let answer = json(&crate::run(earlier.path(), &["restore", backup, "--rev", "3", "--json"]));
    assert_eq!(answer["revision"], 3);
    assert_eq!(stdout(&crate::run(earlier.path(), &["get", "k"])), "2\n");
    stdout(&crate::run(earlier.path(), &["put", "k", "another way"]));
    assert!(stdout(&crate::run(earlier.path(), &["verify"])).contains("intact"));
    let future = tempfile::tempdir().expect("a directory");
    let refused = crate::run(future.path(), &["restore", backup, "--rev", "99"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn the_shell_runs_lines_and_goes_on_after_a_mistake() {
    let dir = tempfile::tempdir().expect("a directory");
    let input = b"put \"a key\" 'a value'\nnonsense\nget \"a key\"\nget none\ncount\n";
    let output = with_input(dir.path(), &["shell"], input);
    let text = stdout(&output);
    assert_eq!(text.lines().collect::<Vec<_>>(), ["revision 2", "a value", "1"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("nonsense") && errors.contains("there is no key none"), "{errors}");
}
