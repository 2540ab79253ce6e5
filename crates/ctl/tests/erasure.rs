//! Erasure from the command line: asked for, done, told from what is missing, and provable.

use std::path::Path;

use crate::{run, stdout};
use serde_json::Value;

const CANARY: &str = "canary-to-be-forgotten";

fn json(output: &std::process::Output) -> Value {
    serde_json::from_str(stdout(output).lines().next().expect("a line")).expect("JSON")
}

/// Files below a directory that hold these bytes.
fn holders(dir: &Path, needle: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("lists") {
        let path = entry.expect("lists").path();
        if path.is_dir() {
            found.extend(holders(&path, needle));
        } else {
            let bytes = std::fs::read(&path).expect("reads");
            if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn erased_things_are_in_no_file_and_verify_says_by_whom() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    for text in ["first", CANARY, "third"] {
        stdout(&run(&["append", "letters", "--data", text]));
    }
    for value in [CANARY, "red"] {
        stdout(&run(&["put", "colour", value]));
    }
    let vkey = stdout(&run(&["vkey"])).trim_end().to_owned();
    let proof = dir.path().join("proof");
    let proof = proof.to_str().expect("text");

    let event = ["erase", "--event", "letters/0/1", "--reason", "request 7"];
    let asked = run(&event);
    assert_eq!(asked.status.code(), Some(2), "only shown");
    assert!(String::from_utf8_lossy(&asked.stdout).contains("would erase"));
    assert!(stdout(&run(&["read", "letters"])).contains(CANARY));
    let done = json(&run(&[&event[..], &["--yes", "--json"]].concat()));
    let by = done["by"].as_u64().expect("a place");
    stdout(&run(&["erase", "--key", "colour", "--all", "--rev", "2", "--reason", "r", "--yes"]));
    assert_eq!(holders(dir.path(), CANARY), Vec::<std::path::PathBuf>::new());

    assert_eq!(stdout(&run(&["get", "colour"])), "red\n");
    assert_eq!(run(&["get", "colour", "--rev", "2"]).status.code(), Some(1));
    assert!(stdout(&run(&["history", "colour"])).contains("(erased by record"));
    let again = run(&[&event[..], &["--yes"]].concat());
    assert_eq!(again.status.code(), Some(1), "it is gone already");

    let said = stdout(&run(&["verify"]));
    assert!(said.contains(&format!("erased by record {by} (event): 1 records; request 7")));
    let said = json(&run(&["verify", "--json"]));
    assert_eq!((&said["intact"], &said["erased"]), (&true.into(), &2.into()));
    assert_eq!(said["erasures"]["authorised"].as_array().expect("a list").len(), 2);
    assert_eq!(said["erasures"]["missing"], Value::Array(Vec::new()));

    for what in [["--event", "letters/0/1"], ["--key", "colour"]] {
        let rev = if what[0] == "--key" { &["--rev", "2"][..] } else { &[] };
        stdout(&run(&[&["prove", "--out", proof][..], &what, rev].concat()));
        assert!(stdout(&run(&["verify-proof", proof, "--vkey", &vkey])).starts_with("holds"));
    }
}

#[test]
fn a_shredded_subject_cannot_be_read_and_is_named_by_verify() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    stdout(&run(&["keyspaces", "create", "people", "--by-subject"]));
    for key in ["u1/name", "u2/name"] {
        stdout(&run(&["put", "-k", "people", key, CANARY]));
    }
    assert_eq!(holders(dir.path(), CANARY), Vec::<std::path::PathBuf>::new());
    assert_eq!(stdout(&run(&["get", "-k", "people", "u1/name"])).trim_end(), CANARY);
    assert_eq!(run(&["shred", "u1", "--reason", "request 9"]).status.code(), Some(2));
    stdout(&run(&["shred", "u1", "--reason", "request 9", "--yes"]));
    assert_eq!(run(&["get", "-k", "people", "u1/name"]).status.code(), Some(1));
    assert_eq!(stdout(&run(&["get", "-k", "people", "u2/name"])).trim_end(), CANARY);
    let said = stdout(&run(&["verify"]));
    assert!(said.contains("subject u1; request 9") && said.contains("intact"), "{said}");
}

#[test]
fn keys_that_signed_are_listed_with_their_times() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    stdout(&run(&["put", "a", "1"]));
    assert_eq!(stdout(&run(&["keys"])), "", "nothing was signed yet");
    let first = stdout(&run(&["vkey"])).trim_end().to_owned();
    let second = stdout(&run(&["vkey", "--rotate"])).trim_end().to_owned();
    let listed: Vec<Value> = stdout(&run(&["keys", "--json"]))
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [old, new] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&old["vkey"], &new["vkey"]), (&first.into(), &second.into()));
    assert_eq!((&old["current"], &new["current"]), (&false.into(), &true.into()));
    assert_eq!(old["replaced_lsn"], new["created_lsn"]);
    assert!(new["created"].is_string() && new["replaced"].is_null());
    assert!(stdout(&run(&["keys"])).contains("signs now"));
}
