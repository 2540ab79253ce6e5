//! What a newcomer meets: names instead of ids, JSON everywhere, slips that are not taken for orders.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::{cairn, run, stdout};
use serde_json::Value;

fn complaint(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(dir, arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn fed(dir: &Path, arguments: &[&str], input: &str) -> std::process::Output {
    let mut command = cairn(dir);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("writes");
    child.wait_with_output().expect("ends")
}

#[test]
fn manual_and_completions_are_printed() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(stdout(&run(dir.path(), &["man"])).contains("cairn"));
    assert!(stdout(&run(dir.path(), &["completions", "bash"])).contains("cairn"));
}

#[test]
fn a_vertex_that_is_not_there_is_called_by_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["graph", "add-vertex", "A"]));
    for arguments in
        [["graph", "neighbors", "NOPE", "--hops", "1"].as_slice(), &["graph", "path", "A", "NOPE"]]
    {
        let (code, text) = complaint(dir.path(), arguments);
        assert_eq!((code, text.as_str()), (Some(1), "cairn: there is no vertex NOPE\n"));
    }
}

#[test]
fn a_transaction_comes_from_a_dash_and_its_fields_are_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = r#"{"success":[{"put":{"key":"a","value":"b"}}]}"#;
    assert!(stdout(&fed(dir.path(), &["txn", "-"], put)).contains("\"succeeded\":true"));
    let slip = fed(dir.path(), &["txn"], &put.replace("success", "succes"));
    assert_eq!(slip.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&slip.stderr).contains("succes"));
}

#[test]
fn a_group_that_is_ahead_of_its_topic_is_not_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["append", "t", "--data", "1"]));
    let engine = cairndb::prelude::Engine::open(dir.path().join("data")).expect("opens");
    engine.commit("g", "t", 0, cairndb::types::Offset::new(7)).expect("commits");
    engine.close().expect("closes");
    assert_eq!(stdout(&run(dir.path(), &["groups"])), "g t/0 next 7, 0 behind\n");
}

#[test]
fn lines_of_the_file_are_named_when_one_is_not_json() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("in.jsonl");
    std::fs::write(&file, "{}\n".repeat(1500) + "{").expect("writes");
    let (code, text) = complaint(dir.path(), &["import", "t", file.to_str().expect("text")]);
    assert_eq!(code, Some(2));
    assert!(text.contains("lines 1001 to 1501"), "{text}");
}

#[test]
fn doctor_prints_json_and_does_not_praise_damaged_tables() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["put", "a", "b"]));
    for text in stdout(&run(dir.path(), &["doctor", "--json"])).lines() {
        serde_json::from_str::<Value>(text).expect("JSON");
    }
    let tables = dir.path().join("data/tables");
    std::fs::create_dir_all(&tables).expect("makes");
    std::fs::write(tables.join("MANIFEST"), [7; 100]).expect("writes");
    let output = run(dir.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("nothing is wrong"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("opens: no"));
    std::fs::remove_dir_all(&tables).expect("removes");
    assert!(stdout(&run(dir.path(), &["doctor"])).contains("nothing is wrong"));
}

#[test]
fn a_permission_without_keyspace_says_what_is_wanted() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("master.key");
    let key = key.to_str().expect("text");
    stdout(&run(dir.path(), &["auth", "new-key", "--out", key]));
    let role = |permission: &str| {
        complaint(dir.path(), &["role", "create", "r", permission, "--master-key-file", key])
    };
    let (code, text) = role("read:keys:pub/");
    assert_eq!(code, Some(2));
    assert!(text.contains("keys:KEYSPACE:PREFIX"), "{text}");
    assert_eq!(role("read:keys:default:pub/").0, Some(0));
}
