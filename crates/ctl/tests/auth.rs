//! Users, roles and keys from the command line, as a new user drives them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::{cairn, run, stdout};

const PASSWORD: &str = "correct horse battery";

/// A directory with a master key and commands that find it.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a directory") };
        let key = desk.path("master.key");
        stdout(&run(desk.dir.path(), &["auth", "new-key", "--out", &key]));
        desk
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("text").to_owned()
    }

    fn command(&self, credential: Option<&str>) -> Command {
        let mut command = cairn(self.dir.path());
        for name in ["CAIRN_MASTER_KEY", "CAIRN_CREDENTIAL", "CAIRN_CREDENTIAL_FILE"] {
            command.env_remove(name);
        }
        command.env("CAIRN_MASTER_KEY_FILE", self.path("master.key"));
        if let Some(credential) = credential {
            command.env("CAIRN_CREDENTIAL", credential);
        }
        command
    }

    fn with_input(&self, credential: Option<&str>, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(credential);
        command.args(arguments).stdin(Stdio::piped());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("ends")
    }

    fn run(&self, credential: Option<&str>, arguments: &[&str]) -> Output {
        self.with_input(credential, arguments, &format!("{PASSWORD}\n"))
    }

    /// Enables auth and gives a session of the administrator.
    fn enabled() -> (Self, String) {
        let desk = Self::new();
        stdout(&desk.run(None, &["put", "a/1", "one"]));
        stdout(&desk.run(None, &["auth", "enable", "--admin", "root"]));
        let token = stdout(&desk.run(None, &["login", "root"])).trim().to_owned();
        (desk, token)
    }
}

fn refused(output: &Output) {
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn two_users_a_restricted_key_and_what_they_may() {
    let (desk, root) = Desk::enabled();
    let root = Some(root.as_str());
    assert_eq!(stdout(&desk.run(None, &["auth", "status"])), "enabled\n");
    refused(&desk.run(None, &["get", "a/1"]));
    refused(&desk.run(Some("nonsense"), &["get", "a/1"]));
    assert_eq!(stdout(&desk.run(root, &["get", "a/1"])), "one\n");
    stdout(&desk.run(root, &["user", "create", "ada"]));
    stdout(&desk.run(root, &["role", "create", "reader", "read,write:keys:default:a/"]));
    stdout(&desk.run(root, &["role", "grant", "ada", "reader"]));
    let issued = desk.run(root, &["apikey", "create", "ada", "--scope", "read:keys:default:a/"]);
    assert!(String::from_utf8_lossy(&issued.stderr).contains("shown once"));
    let key = stdout(&issued).trim().to_owned();
    let key = Some(key.as_str());
    assert_eq!(stdout(&desk.run(key, &["get", "a/1"])), "one\n");
    refused(&desk.run(key, &["put", "a/1", "two"]));
    refused(&desk.run(key, &["get", "b"]));
    refused(&desk.run(key, &["scan"]));
    assert_eq!(stdout(&desk.run(key, &["scan", "--prefix", "a/"])), "a/1\tone\n");
    for administration in [&["user", "list"][..], &["inspect"], &["stats"], &["compact", "2"]] {
        refused(&desk.run(key, administration));
    }
    let ada = stdout(&desk.run(None, &["login", "ada"])).trim().to_owned();
    stdout(&desk.run(Some(&ada), &["put", "a/1", "two"]));
    refused(&desk.run(Some(&ada), &["put", "b", "two"]));
    // The key can be rotated and revoked; what was is refused.
    let list = stdout(&desk.run(root, &["apikey", "list", "ada"]));
    let id = list.split(' ').next().expect("an id").to_owned();
    let new = stdout(&desk.run(root, &["apikey", "rotate", &id])).trim().to_owned();
    refused(&desk.run(key, &["get", "a/1"]));
    assert_eq!(stdout(&desk.run(Some(&new), &["get", "a/1"])), "two\n");
    stdout(&desk.run(root, &["user", "disable", "ada"]));
    refused(&desk.run(Some(&new), &["get", "a/1"]));
    refused(&desk.run(Some(&ada), &["get", "a/1"]));
    // Nobody locks everybody out.
    refused(&desk.run(root, &["user", "disable", "root"]));
    refused(&desk.run(root, &["role", "delete", "admin"]));
    refused(&desk.run(root, &["topics", "drop", "_audit"]));
    stdout(&desk.run(root, &["stats"]));
    assert!(stdout(&desk.run(None, &["verify"])).contains("intact"));
}

#[test]
fn the_audit_is_filtered_and_followed_and_tells_no_secret() {
    let (desk, root) = Desk::enabled();
    let mut follow = desk
        .command(Some(&root))
        .args(["audit", "--follow", "--refused", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    refused(&desk.with_input(None, &["login", "root"], "a wrong password\n"));
    let mut lines = BufReader::new(follow.stdout.take().expect("piped")).lines();
    let line = lines.next().expect("a line").expect("reads");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&entry["what"], &entry["cause"]), (&"login".into(), &"wrong_secret".into()));
    follow.kill().expect("ends");
    follow.wait().expect("ended");
    let all = stdout(&desk.run(Some(&root), &["audit"]));
    for secret in [PASSWORD, "a wrong password", root.as_str()] {
        assert!(!all.contains(secret), "{secret} in the audit");
    }
    assert!(all.contains("create_user") && all.contains("grant_role"), "{all}");
    let logins = stdout(&desk.run(Some(&root), &["audit", "--what", "login", "--json"]));
    assert_eq!(logins.lines().count(), 2);
    refused(&desk.run(None, &["audit"]));
}

#[test]
fn a_command_with_an_api_key_leaves_no_refusal_in_the_audit() {
    let (desk, root) = Desk::enabled();
    let key = stdout(&desk.run(Some(&root), &["apikey", "create", "root"])).trim().to_owned();
    stdout(&desk.run(Some(&key), &["put", "a/1", "two"]));
    assert_eq!(stdout(&desk.run(Some(&root), &["audit", "--refused"])), "");
}

#[test]
fn a_user_with_metadata_is_one_value_of_json() {
    let desk = Desk::new();
    let file = desk.path("metadata");
    std::fs::write(&file, "born\n1815").expect("writes");
    stdout(&desk.run(None, &["user", "create", "ada", "--metadata-file", &file]));
    let shown = stdout(&desk.run(None, &["user", "show", "ada", "--metadata", "--json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("one value");
    assert_eq!((&shown["name"], &shown["metadata"]), (&"ada".into(), &"born\n1815".into()));
    let shown = stdout(&desk.run(None, &["user", "show", "ada", "--json"]));
    assert!(!shown.contains("1815"), "{shown}");
}

#[test]
fn a_wrong_or_missing_master_key_opens_nothing_and_changes_nothing() {
    let (desk, root) = Desk::enabled();
    let before = files(desk.dir.path());
    let other = Desk::new();
    for file in [desk.path("none"), other.path("master.key")] {
        let mut command = desk.command(Some(&root));
        let output =
            command.env("CAIRN_MASTER_KEY_FILE", file).args(["get", "a/1"]).output().expect("runs");
        assert!(!output.status.success() && output.stdout.is_empty());
    }
    assert_eq!(files(desk.dir.path()), before);
    assert_eq!(stdout(&desk.run(Some(&root), &["get", "a/1"])), "one\n");
    let new = other.path("master.key");
    stdout(&desk.run(Some(&root), &["auth", "rotate-key", "--new-key-file", &new]));
    assert!(!desk.run(Some(&root), &["get", "a/1"]).status.success());
    let mut command = desk.command(Some(&root));
    let output = command.env("CAIRN_MASTER_KEY_FILE", &new).args(["get", "a/1"]).output();
    assert_eq!(stdout(&output.expect("runs")), "one\n");
}

fn files(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("lists") {
        let path = entry.expect("lists").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).expect("reads")));
        }
    }
    found.sort();
    found
}

#[test]
fn secrets_go_to_files_that_only_their_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let (desk, root) = Desk::enabled();
    let file = desk.path("key");
    let output = desk.run(Some(&root), &["apikey", "create", "root", "--out", &file]);
    assert!(!stdout(&output).contains("cairn_"));
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut command = desk.command(None);
    let output = command.args(["--credential-file", &file, "get", "a/1"]).output().expect("runs");
    assert_eq!(stdout(&output), "one\n");
    // Nothing is written over.
    assert!(!desk.run(Some(&root), &["apikey", "create", "root", "--out", &file]).status.success());
}

#[test]
fn an_encrypted_store_shows_nothing_and_needs_its_key_for_everything() {
    const CANARY: &str = "canary-that-must-not-be-seen";
    let desk = Desk::new();
    let key = desk.path("store.key");
    stdout(&desk.run(None, &["auth", "new-key", "--out", &key]));
    let with = |arguments: &[&str]| {
        let mut command = desk.command(None);
        let command = command.env("CAIRN_ENCRYPTION_KEY_FILE", &key).args(arguments);
        command.output().expect("runs")
    };
    stdout(&with(&["put", CANARY, CANARY]));
    stdout(&with(&["append", "t", "--data", CANARY]));
    assert_eq!(stdout(&with(&["get", CANARY])).trim(), CANARY);
    let backup = desk.path("backup");
    stdout(&with(&["backup", &backup]));
    let (stream, imported, linked) =
        (desk.path("stream"), desk.path("imported"), desk.path("linked"));
    stdout(&with(&["snapshot", "export", &stream]));
    stdout(&with(&["snapshot", "link", &linked]));
    let refused = desk.run(None, &["snapshot", "import", &stream, "--data", &imported]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("encrypted"));
    stdout(&with(&["snapshot", "import", &stream, "--data", &imported]));
    for copy in [&imported, &linked] {
        assert_eq!(stdout(&with(&["get", CANARY, "--data", copy])).trim(), CANARY);
    }
    for (path, bytes) in files(desk.dir.path()) {
        let seen = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!seen, "the canary is in {}", path.display());
    }
    assert!(stdout(&with(&["verify"])).contains("intact"));
    let before = files(&desk.dir.path().join("data"));
    for arguments in [&["get", CANARY][..], &["put", "a", "b"], &["verify"], &["repair", "--yes"]] {
        let output = desk.run(None, arguments);
        if arguments[0] != "repair" {
            assert!(String::from_utf8_lossy(&output.stderr).contains("encrypted"), "{arguments:?}");
        }
        assert!(!String::from_utf8_lossy(&output.stdout).contains(CANARY));
    }
    assert_eq!(files(&desk.dir.path().join("data")), before);
}

#[test]
fn keys_are_rotated_and_the_old_one_can_be_thrown_away() {
    let desk = Desk::new();
    let (old, new) = (desk.path("old.key"), desk.path("new.key"));
    for key in [&old, &new] {
        stdout(&desk.run(None, &["auth", "new-key", "--out", key]));
    }
    let with = |keys: &str, arguments: &[&str]| {
        let mut command = desk.command(None);
        command.env("CAIRN_ENCRYPTION_KEY_FILE", keys).args(arguments).output().expect("runs")
    };
    stdout(&with(&old, &["put", "a", "one"]));
    let status = stdout(&with(&old, &["key", "status"]));
    assert!(status.contains("data key 1") && status.contains("everything is sealed"), "{status}");
    let rotated = stdout(&with(&old, &["key", "rotate", "--new-key-file", &new]));
    assert!(rotated.contains("data key 2") && rotated.contains("cairn key rewrite"), "{rotated}");
    let refused = with(&old, &["get", "a"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("encrypted"));
    assert_eq!(stdout(&with(&format!("{old}:{new}"), &["get", "a"])), "one\n");
    let rewritten = stdout(&with(&new, &["key", "rewrite"]));
    assert!(rewritten.contains("1 data keys dropped"), "{rewritten}");
    let status = stdout(&with(&new, &["key", "status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((&status["active"], &status["settled"]), (&2.into(), &true.into()));
    assert_eq!(status["data_keys"].as_array().expect("a list").len(), 1);
    // A key service, and the key itself in the environment.
    let ask = format!("cat {new}");
    let mut command = desk.command(None);
    let command = command.env("CAIRN_ENCRYPTION_KEY_COMMAND", &ask).args(["get", "a"]);
    assert_eq!(stdout(&command.output().expect("runs")), "one\n");
    let text = std::fs::read_to_string(&new).expect("reads");
    let mut command = desk.command(None);
    let command = command.env("CAIRN_ENCRYPTION_KEY", text.trim()).args(["get", "a"]);
    assert_eq!(stdout(&command.output().expect("runs")), "one\n");
    let mut command = desk.command(None);
    let command = command.env("CAIRN_ENCRYPTION_KEY_COMMAND", "exit 3").args(["get", "a"]);
    assert!(!command.output().expect("runs").status.success());
    assert!(stdout(&with(&new, &["verify"])).contains("intact"));
    let rotated = stdout(&with(&new, &["key", "rotate", "--rewrite", "--json"]));
    let rotated: serde_json::Value = serde_json::from_str(&rotated).expect("JSON");
    assert_eq!((&rotated["active"], &rotated["settled"]), (&3.into(), &true.into()));
}

#[test]
fn a_watch_a_tail_and_an_audit_that_follow_end_when_the_permission_does() {
    let (desk, root) = Desk::enabled();
    let root = Some(root.as_str());
    stdout(&desk.run(root, &["append", "t", "--data", "first"]));
    stdout(&desk.run(root, &["user", "create", "ada"]));
    let may = ["read:keys:default:", "read:topic:t", "read:topic:_audit"];
    stdout(&desk.run(root, &[&["role", "create", "reader"][..], &may].concat()));
    stdout(&desk.run(root, &["role", "grant", "ada", "reader"]));
    let key = stdout(&desk.run(root, &["apikey", "create", "ada"])).trim().to_owned();
    let following: Vec<_> = [
        &["watch", "--rev", "1"][..],
        &["tail", "t", "--follow"],
        &["audit", "--follow", "--limit", "1000"],
    ]
    .into_iter()
    .map(|arguments| {
        let mut command = desk.command(Some(&key));
        let command = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        lines.next().expect("it is allowed").expect("reads");
        (child, lines)
    })
    .collect();
    stdout(&desk.run(root, &["role", "revoke", "ada", "reader"]));
    stdout(&desk.run(root, &["put", "a/1", "after"]));
    for (child, lines) in following {
        let rest: Vec<String> = lines.map(|line| line.expect("reads")).collect();
        assert!(!rest.iter().any(|line| line.contains("after")), "{rest:?}");
        let output = child.wait_with_output().expect("ends");
        refused(&output);
        assert!(String::from_utf8_lossy(&output.stderr).contains("the permission ended"));
    }
}
