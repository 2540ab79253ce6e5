//! `cairn lock` as scripts use it: real processes, paused and killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{cairn, run, stdout};

const CAIRN: &str = env!("CARGO_BIN_EXE_cairn");

fn locked(dir: &Path, arguments: &[&str], script: &str) -> Command {
    let mut command = cairn(dir);
    command.arg("lock").args(arguments).args(["--", "sh", "-c", script]).env("CAIRN", CAIRN);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}

/// Reads from a pipe what it says first.
fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("piped");
    BufReader::new(out).read_line(&mut line).expect("reads");
    line.trim_end().to_owned()
}

#[test]
fn the_command_runs_under_the_lock_and_its_exit_code_is_passed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = |script: &str| locked(dir.path(), &["job"], script).output().expect("runs");
    assert_eq!(script("exit 0").status.code(), Some(0));
    let seven = script("exit 7");
    assert_eq!((seven.status.code(), seven.stderr.is_empty()), (Some(7), true));
    assert_eq!(script("kill -9 $$").status.code(), Some(137));
    let first = stdout(&script("echo $CAIRN_LOCK $CAIRN_FENCE"));
    let second = stdout(&script("echo $CAIRN_LOCK $CAIRN_FENCE"));
    let token = |text: &str| text.trim().strip_prefix("job ").expect("the name").parse::<u64>();
    assert!(token(&first).expect("a number") < token(&second).expect("a number"));
    let none = cairn(dir.path()).args(["lock", "job", "--", "/no/such/program"]).output();
    assert_eq!(none.expect("runs").status.code(), Some(1));
    assert_eq!(script("true").status.code(), Some(0), "what cannot start leaves no lock behind");
    assert!(stdout(&run(dir.path(), &["lock", "job"])).is_empty());
    assert!(stdout(&run(dir.path(), &["lease", "list"])).is_empty());
}

#[test]
fn the_command_can_use_the_store_and_write_under_the_fence() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = "$CAIRN put --fenced a 1 && $CAIRN put b 2 && \
        printf 'c\\t3\\n' | $CAIRN put --fenced - && $CAIRN del --fenced b && \
        echo '{\"success\":[{\"put\":{\"key\":\"d\",\"value\":\"4\"}}]}' | $CAIRN txn --fenced && \
        $CAIRN lock job";
    let text =
        stdout(&locked(dir.path(), &["job", "--holder", "me"], script).output().expect("runs"));
    assert!(text.trim_end().ends_with("holds me"), "{text}");
    assert_eq!(stdout(&run(dir.path(), &["scan"])), "a\t1\nc\t3\nd\t4\n");
    let outside = run(dir.path(), &["put", "--fenced", "a", "2"]);
    assert_eq!(outside.status.code(), Some(2));
    let stale = cairn(dir.path())
        .args(["put", "--fenced", "a", "2"])
        .envs([("CAIRN_LOCK", "job"), ("CAIRN_LOCK_KEYSPACE", "locks"), ("CAIRN_FENCE", "2")])
        .output()
        .expect("runs");
    assert_eq!(stale.status.code(), Some(4), "the lock was released");
    assert_eq!(stdout(&run(dir.path(), &["get", "a"])), "1\n");
}

#[test]
fn many_processes_take_turns_and_lose_no_increment() {
    let dir = tempfile::tempdir().expect("a directory");
    let counter = dir.path().join("counter");
    std::fs::write(&counter, "0").expect("writes");
    let script = format!("f={}; n=$(cat $f); echo $((n + 1)) > $f", counter.display());
    let children: Vec<_> =
        (0..8).map(|_| locked(dir.path(), &["job"], &script).spawn().expect("starts")).collect();
    for child in children {
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(std::fs::read_to_string(&counter).expect("reads").trim(), "8");
}

#[test]
fn a_lock_that_is_held_is_not_waited_for_longer_than_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut holder =
        locked(dir.path(), &["job"], "echo in; read line").stdin(Stdio::piped()).spawn();
    let holder = holder.as_mut().expect("starts");
    assert_eq!(first_line(holder), "in");
    for wait in ["0", "1"] {
        let refused = locked(dir.path(), &["job", "--wait", wait], "true").output().expect("runs");
        assert_eq!(refused.status.code(), Some(4));
    }
    let text = stdout(&run(dir.path(), &["lock", "job", "--json"]));
    assert!(text.lines().count() == 1 && text.contains("\"holds\""), "{text}");
    drop(holder.stdin.take());
    assert_eq!(holder.wait().expect("ends").code(), Some(1), "what `read` says of an empty input");
    assert!(locked(dir.path(), &["job", "--wait", "0"], "true").status().expect("runs").success());
}

#[test]
fn a_holder_that_is_paused_past_its_lease_is_fenced_and_its_command_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    stdout(&run(dir.path(), &["put", "k", "before"]));
    // The command waits for a word, then writes under its fence.
    let script = "echo in; read word; $CAIRN put --fenced k paused; echo wrote $?; read forever";
    let mut paused =
        locked(dir.path(), &["job", "--ttl", "5"], script).stdin(Stdio::piped()).spawn();
    let paused = paused.as_mut().expect("starts");
    assert_eq!(first_line(paused), "in");
    signal("-STOP", paused);
    // The next one gets the lock when the lease of five seconds is over, and keeps it.
    let next = "$CAIRN put --fenced k next && echo in; read word";
    let mut holder =
        locked(dir.path(), &["job", "--ttl", "30"], next).stdin(Stdio::piped()).spawn();
    let holder = holder.as_mut().expect("starts");
    assert!(first_line(holder).starts_with("revision"));
    // Only the supervisor is paused: its command goes on, and is refused.
    use std::io::Write;
    paused.stdin.as_mut().expect("piped").write_all(b"go\n").expect("writes");
    assert_eq!(first_line(paused), "wrote 4");
    signal("-CONT", paused);
    assert_eq!(paused.wait().expect("ends").code(), Some(4), "the lock is reported lost");
    drop(holder.stdin.take());
    holder.wait().expect("ends");
    assert_eq!(stdout(&run(dir.path(), &["get", "k"])), "next\n");
}

#[test]
fn the_lease_outlives_a_killed_supervisor_by_its_time_to_live_at_most() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = "echo in; read word";
    let mut killed =
        locked(dir.path(), &["job", "--ttl", "5"], script).stdin(Stdio::piped()).spawn();
    let killed = killed.as_mut().expect("starts");
    assert_eq!(first_line(killed), "in");
    killed.kill().expect("a child of ours");
    killed.wait().expect("ends");
    let refused = locked(dir.path(), &["job", "--wait", "0"], "true").output().expect("runs");
    let taken = locked(dir.path(), &["job", "--wait", "300"], "true").output().expect("runs");
    assert_eq!(taken.status.code(), Some(0));
    // The machine may be slow enough that the time was over already.
    assert!(matches!(refused.status.code(), Some(0 | 4)));
}

#[test]
fn sessions_of_an_application_are_listed_and_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = "8f1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff0";
    let session = |arguments: &[&str]| {
        let mut command = cairn(dir.path());
        command.args(["session", "app"]).args(arguments).env("CAIRN_MASTER_KEY", key);
        command.output().expect("runs")
    };
    stdout(&run(dir.path(), &["put", "a", "1"]));
    assert_eq!(session(&["list", "alice"]).status.code(), Some(1), "there is no such keyspace");
    let (alice, token) = {
        let engine = cairndb::engine::Engine::open(dir.path().join("data")).expect("opens");
        let key = cairndb::auth::GivenKey::from_text(key).expect("a key");
        let config = cairn_cache::SessionConfig::default();
        let sessions = cairn_cache::SessionManager::open(&engine, &key, config).expect("opens");
        let first = sessions.store("alice", &"tea".to_owned());
        let second = sessions.store("alice", &"milk".to_owned()).expect("stores");
        sessions.store("bob", &"wine".to_owned()).expect("stores");
        let found = (first.expect("stores").id.to_string(), second.token);
        drop(sessions);
        engine.close().expect("closes");
        found
    };
    let text = stdout(&session(&["list", "alice"]));
    assert!(text.lines().count() == 2 && text.starts_with(&alice), "{text}");
    assert!(text.contains("\"tea\"") && !text.contains("wine"), "{text}");
    assert_eq!(stdout(&session(&["revoke", &alice])), "1 ended\n");
    assert_eq!(stdout(&session(&["revoke-all", "alice"])), "1 ended\n");
    assert_eq!(stdout(&session(&["list", "alice"])), "");
    assert_eq!(stdout(&session(&["list", "bob", "--json"])).lines().count(), 1);
    assert_eq!(session(&["revoke", "x"]).status.code(), Some(2));
    drop(token);
}
