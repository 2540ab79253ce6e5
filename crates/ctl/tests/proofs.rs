//! Proofs from the command line, as a user makes them and a stranger checks them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{run, stdout};
use cairndb::engine::proof::check;
use cairndb::engine::proof::key_proof::KeyProofFile;
use cairndb::vfs::SeededRng;
use serde_json::Value;

fn json(output: &Output) -> Value {
    serde_json::from_str(stdout(output).lines().next().expect("a line")).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A store with some events and keys, and its public key.
fn store(dir: &Path) -> String {
    for number in 0..20 {
        let data = format!("{{\"n\":{number}}}");
        stdout(&run(dir, &["append", "quakes", "--data", &data]));
    }
    for value in ["red", "green"] {
        stdout(&run(dir, &["put", "colour", value]));
    }
    stdout(&run(dir, &["del", "colour"]));
    stdout(&run(dir, &["put", "shape", "round"]));
    stdout(&run(dir, &["vkey"])).trim_end().to_owned()
}

#[test]
fn a_proof_is_made_with_the_store_and_checked_without() {
    let dir = tempfile::tempdir().expect("a directory");
    let vkey = store(dir.path());
    let files = tempfile::tempdir().expect("a directory");
    let (proof, leaf) = (files.path().join("p"), files.path().join("l"));
    let payload = files.path().join("payload");
    std::fs::write(&payload, "red").expect("writes");
    let made = json(&run(
        dir.path(),
        &[
            "prove",
            "--key",
            "colour",
            "--rev",
            "2",
            "--out",
            text(&proof),
            "--leaf-out",
            text(&leaf),
            "--json",
        ],
    ));
    assert_eq!(made["vkey"], vkey.as_str());
    // Somewhere without a store.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let check = |arguments: &[&str]| {
        let all = [&["verify-proof", text(&proof), "--vkey", &vkey], arguments].concat();
        run(elsewhere.path(), &all)
    };
    let said = json(&check(&["--leaf", text(&leaf), "--payload", text(&payload), "--json"]));
    assert_eq!((&said["kind"], &said["sequence"]), (&"put".into(), &2.into()));
    assert_eq!((&said["key"], &said["payload_checked"]), (&"colour".into(), &true.into()));
    assert!(stdout(&check(&[])).starts_with("holds"));
    assert!(!elsewhere.path().join("data").exists(), "no store was opened or made");
    // Another payload, leaf, key; a changed file.
    std::fs::write(&payload, "blue").expect("writes");
    assert_eq!(check(&["--payload", text(&payload)]).status.code(), Some(3));
    assert_eq!(check(&["--leaf", text(&payload)]).status.code(), Some(3));
    let other = tempfile::tempdir().expect("a directory");
    stdout(&run(other.path(), &["put", "a", "1"]));
    let foreign = stdout(&run(other.path(), &["vkey"]));
    let refused =
        run(elsewhere.path(), &["verify-proof", text(&proof), "--vkey", foreign.trim_end()]);
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(run(elsewhere.path(), &["verify-proof", text(&proof)]).status.code(), Some(2));
    let changed = std::fs::read_to_string(&proof).expect("reads").replacen("index ", "index 1", 1);
    std::fs::write(&proof, changed).expect("writes");
    assert_eq!(check(&[]).status.code(), Some(3));
}

#[test]
fn events_records_absence_and_histories_are_proven() {
    let dir = tempfile::tempdir().expect("a directory");
    let vkey = store(dir.path());
    let files = tempfile::tempdir().expect("a directory");
    let out = files.path().join("p");
    let prove = |arguments: &[&str]| {
        run(dir.path(), &[&["prove", "--out", text(&out)], arguments].concat())
    };
    let check = || json(&run(dir.path(), &["verify-proof", text(&out), "--vkey", &vkey, "--json"]));
    stdout(&prove(&["--event", "quakes/0/7"]));
    assert_eq!((&check()["kind"], &check()["sequence"]), (&"event".into(), &7.into()));
    stdout(&prove(&["--lsn", "0"]));
    assert_eq!(check()["lsn"], 0);
    stdout(&prove(&["--history", "colour"]));
    let versions = check()["answer"]["versions"].clone();
    let deleted: Vec<_> =
        versions.as_array().expect("a list").iter().map(|v| &v["deleted"]).collect();
    assert_eq!(deleted, [false, false, true]);
    for (arguments, why) in [
        (&["--absent", "colour"][..], "deleted"),
        (&["--absent", "colour", "--rev", "1"], "not yet written"),
        (&["--absent", "nothing"], "never written"),
    ] {
        stdout(&prove(arguments));
        assert_eq!(check()["answer"]["why"], why);
    }
    stdout(&prove(&["--current", "shape"]));
    assert_eq!(check()["answer"]["is"], "value");
    stdout(&prove(&["--current", "colour", "--rev", "3"]));
    assert_eq!(check()["answer"]["version"]["revision"], 3);
    let code = |arguments: &[&str]| prove(arguments).status.code();
    assert_eq!(code(&["--absent", "shape"]), Some(2), "it is there");
    assert_eq!(code(&["--current", "colour"]), Some(1), "it is not there");
    assert_eq!(code(&["--key", "colour"]), Some(1));
    assert_eq!(code(&["--key", "none"]), Some(1));
    assert_eq!(code(&["--event", "quakes/0/99"]), Some(1));
    assert_eq!(code(&["--event", "quakes"]), Some(2));
    assert_eq!(code(&["--lsn", "9999"]), Some(1));
    assert_eq!(code(&["--lsn", "1", "--key", "a"]), Some(2));
    assert_eq!(code(&[]), Some(2));
    assert_eq!(code(&["--lsn", "1", "--rev", "2"]), Some(2));
}

#[test]
fn heads_are_signed_compared_and_exported() {
    let dir = tempfile::tempdir().expect("a directory");
    let vkey = store(dir.path());
    let files = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    let (old, new) = (files.path().join("old"), files.path().join("new"));
    stdout(&run(&["checkpoint", "--out", text(&old)]));
    stdout(&run(&["append", "quakes", "--data", "1"]));
    let signed = json(&run(&["checkpoint", "--out", text(&new), "--json"]));
    assert_eq!(json(&run(&["head", "--json"]))["signed"]["size"], signed["size"]);
    assert_eq!(json(&run(&["head", "--json"]))["root"], signed["root"]);
    let proof = json(&run(&["consistency", text(&old), text(&new), "--json"]));
    assert!(proof["proof"].as_array().is_some_and(|hashes| !hashes.is_empty()));
    assert_eq!(run(&["consistency", text(&new), text(&old)]).status.code(), Some(2));
    assert_eq!(run(&["consistency", "0", "3"]).status.code(), Some(2));
    assert_eq!(run(&["consistency", "nothing", "3"]).status.code(), Some(1));
    stdout(&run(&["consistency", "3", "5"]));
    let said = stdout(&run(&["verify", "--against", text(&old)]));
    assert!(said.contains("intact") && said.contains("begins with"), "{said}");
    let said = json(&run(&["verify", "--against", text(&old), "--vkey", &vkey, "--json"]));
    assert_eq!((&said["standing"], &said["consistent"]), (&"continues".into(), &true.into()));
    let tiles = files.path().join("tiles");
    let done = json(&run(&["tiles", "export", text(&tiles), "--json"]));
    assert_eq!(done["bundles"], 1);
    for name in ["checkpoint", "minimum-index", "tile"] {
        assert!(tiles.join(name).exists(), "{name}");
    }
    let width = done["size"].as_u64().expect("a size");
    assert!(tiles.join(format!("tile/0/000.p/{width}")).exists());
    assert!(tiles.join(format!("tile/entries/000.p/{width}")).exists());
    // Another store's checkpoint, and a store that was rolled back.
    let other = tempfile::tempdir().expect("a directory");
    stdout(&crate::run(other.path(), &["put", "a", "1"]));
    let refused = crate::run(other.path(), &["verify", "--against", text(&new)]);
    assert_eq!(refused.status.code(), Some(3), "rolled back");
    for number in 0..40 {
        stdout(&crate::run(other.path(), &["put", "a", &number.to_string()]));
    }
    let refused = crate::run(other.path(), &["verify", "--against", text(&new), "--json"]);
    assert_eq!(refused.status.code(), Some(3), "forked");
    assert!(String::from_utf8_lossy(&refused.stdout).contains("forked"));
}

#[test]
fn the_name_and_the_key_are_the_owners_choice() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    stdout(&run(&["put", "a", "1"]));
    let first = stdout(&run(&["vkey", "--origin", "example.com/log"]));
    assert!(first.starts_with("example.com/log+"), "{first}");
    assert_eq!(run(&["vkey", "--origin", "example.com/other"]).status.code(), Some(2));
    let second = stdout(&run(&["vkey", "--rotate"]));
    assert_eq!(stdout(&run(&["vkey", "--all"])), format!("{first}{second}"));
    let key = dir.path().join("data/keys/checkpoint.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&key).expect("there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let secret = std::fs::read_to_string(&key).expect("reads");
    assert!(secret.starts_with("PRIVATE+KEY+example.com/log+"));
    std::fs::write(&key, "PRIVATE+KEY+nonsense").expect("writes");
    assert_eq!(run(&["checkpoint"]).status.code(), Some(3));
    std::fs::write(&key, secret).expect("writes");
    stdout(&run(&["checkpoint"]));
    std::fs::remove_file(dir.path().join("data/keys/signed")).expect("removes");
    let refused = run(&["checkpoint"]);
    assert_eq!(refused.status.code(), Some(3), "what was signed is not known any more");
}

#[test]
fn the_graph_is_kept_linked_verified_and_exported() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    let leaf = stdout(&run(&["dag", "add", "stone"])).trim_end().to_owned();
    let link = format!("top={leaf}");
    let pile = json(&run(&["dag", "add", "pile", "--link", &link, "--root", "cairn", "--json"]));
    assert_eq!(stdout(&run(&["dag", "get", &leaf, "--raw"])), "stone");
    let node = json(&run(&["dag", "get", "cairn", "--json"]));
    assert_eq!((&node["id"], &node["links"][0]["name"]), (&pile["id"], &"top".into()));
    assert_eq!(json(&run(&["dag", "verify", "--json"]))["blocks"], 2);
    assert!(stdout(&run(&["dag", "roots"])).contains("cairn"));
    let archive = dir.path().join("a.car");
    assert!(stdout(&run(&["dag", "export", text(&archive)])).starts_with("2 blocks"));
    assert!(archive.exists());
    assert_eq!(run(&["dag", "get", "nothing"]).status.code(), Some(1));
    assert_eq!(run(&["dag", "add", "x", "--link", "a=nothing"]).status.code(), Some(1));
    assert_eq!(run(&["dag", "add", "x", "--link", "nothing"]).status.code(), Some(2));
    // Its record is proven like any other.
    let out = dir.path().join("p");
    let lsn = pile["lsn"].to_string();
    stdout(&run(&["prove", "--lsn", &lsn, "--out", text(&out)]));
}

#[test]
fn the_worked_example_of_the_page_holds() {
    let page = include_str!("../../../docs/proofs.md");
    let blocks: Vec<&str> =
        page.split("```").filter_map(|block| block.strip_prefix("text\n")).collect();
    let [vkey, proof] = blocks[..] else { panic!("a key and a proof, not {blocks:?}") };
    let key = vkey.trim_end().parse().expect("a key");
    let checked = check::record(proof.as_bytes(), None, &[key]).expect("holds");
    checked.check_payload(b"red").expect("the value");
    assert_eq!((checked.lsn.get(), checked.head.size), (1, 3));
}

/// One random change of a file that is not the file.
fn mutated(bytes: &[u8], rng: &SeededRng) -> Vec<u8> {
    let below = |bound: usize| usize::try_from(rng.below(bound as u64)).expect("small");
    loop {
        let (mut changed, at) = (bytes.to_vec(), below(bytes.len()));
        match below(6) {
            0 => changed[at] ^= 1 << below(8),
            1 => changed[at] = u8::try_from(below(256)).expect("a byte"),
            2 => changed.insert(at, u8::try_from(below(256)).expect("a byte")),
            3 => drop(changed.remove(at)),
            4 => changed.swap(at, below(bytes.len())),
            _ => changed.truncate(at),
        }
        if changed != bytes {
            return changed;
        }
    }
}

fn python() -> Option<PathBuf> {
    let works = Command::new("python3").arg("--version").output();
    works.is_ok_and(|output| output.status.success()).then(|| "python3".into())
}

/// `CAIRN_MUTATIONS` sets how many.
#[test]
fn a_verifier_in_another_language_gives_our_answers_about_keys_and_refuses_every_mutation() {
    let Some(python) = python() else {
        println!("skipped: there is no python3 here");
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let vkey = store(dir.path());
    for number in 0..9 {
        stdout(&run(dir.path(), &["put", &format!("key{number}"), "x"]));
    }
    stdout(&run(dir.path(), &["put", "key1", "y"]));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_proof.py");
    let files = tempfile::tempdir().expect("a directory");
    let verify = |paths: &[PathBuf]| {
        Command::new(&python).args([script, &vkey]).args(paths).output().expect("runs")
    };
    let keys = [vkey.parse().expect("a key")];
    let rng = SeededRng::new(6);
    let questions: [(&[&str], &str); 7] = [
        (&["--history", "colour"], "versions 2 "),
        (&["--history", "key1"], "versions "),
        (&["--current", "key1"], "value of revision"),
        (&["--current", "colour", "--rev", "2"], "value of revision 2"),
        (&["--absent", "colour"], "absent: deleted"),
        (&["--absent", "key1", "--rev", "3"], "absent: not yet written"),
        (&["--absent", "nothing"], "absent: never written"),
    ];
    for (number, (question, answer)) in questions.iter().enumerate() {
        let proof = files.path().join(format!("p{number}"));
        stdout(&run(dir.path(), &[&["prove", "--out", text(&proof)], *question].concat()));
        let held = stdout(&verify(std::slice::from_ref(&proof)));
        assert!(held.starts_with("holds: key") && held.contains(answer), "{question:?}: {held}");
        let bytes = std::fs::read(&proof).expect("reads");
        let mut paths = Vec::new();
        for mutation in 0..50 {
            let changed = mutated(&bytes, &rng);
            let believed =
                KeyProofFile::parse(&changed).is_ok_and(|file| file.check(&keys).is_ok());
            assert!(!believed, "{question:?}: {}", String::from_utf8_lossy(&changed));
            let path = files.path().join(format!("{number}-{mutation}"));
            std::fs::write(&path, changed).expect("writes");
            paths.push(path);
        }
        let output = verify(&paths);
        let said = String::from_utf8_lossy(&output.stdout);
        let refused = said.lines().filter(|line| line.starts_with("refused")).count();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(refused, paths.len(), "{question:?}: {said} {errors}");
    }
}

#[test]
fn a_verifier_in_another_language_agrees_and_both_refuse_every_mutation() {
    let dir = tempfile::tempdir().expect("a directory");
    let vkey = store(dir.path());
    let files = tempfile::tempdir().expect("a directory");
    let (proof, leaf) = (files.path().join("p"), files.path().join("l"));
    let payload = files.path().join("payload");
    std::fs::write(&payload, "green").expect("writes");
    stdout(&run(
        dir.path(),
        &[
            "prove",
            "--key",
            "colour",
            "--rev",
            "3",
            "--out",
            text(&proof),
            "--leaf-out",
            text(&leaf),
        ],
    ));
    let keys = [vkey.parse().expect("a key")];
    let bytes = std::fs::read(&proof).expect("reads");
    check::record(&bytes, None, &keys).expect("holds");
    let asked = std::env::var("CAIRN_MUTATIONS").ok().and_then(|text| text.parse().ok());
    let count = asked.unwrap_or(if cfg!(debug_assertions) { 1000 } else { 10_000 });
    let seed = 4;
    println!("{count} mutations, seed {seed}");
    let rng = SeededRng::new(seed);
    let mut paths = Vec::new();
    for number in 0..count {
        let changed = mutated(&bytes, &rng);
        let shown = String::from_utf8_lossy(&changed).into_owned();
        assert!(check::record(&changed, None, &keys).is_err(), "believed: {shown}");
        let path = files.path().join(number.to_string());
        std::fs::write(&path, changed).expect("writes");
        paths.push(path);
    }
    for path in paths.iter().take(10) {
        let refused = run(files.path(), &["verify-proof", text(path), "--vkey", &vkey]);
        assert_eq!(refused.status.code(), Some(3));
    }
    let Some(python) = python() else {
        println!("skipped the other verifier: there is no python3 here");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_proof.py");
    let verify = |files: &[PathBuf], more: &[&str]| {
        Command::new(&python).args([script, &vkey]).args(files).args(more).output().expect("runs")
    };
    let given = ["--leaf", text(&leaf), "--payload", text(&payload)];
    let held = stdout(&verify(std::slice::from_ref(&proof), &given));
    assert!(held.starts_with("holds: record"), "{held}");
    std::fs::write(&payload, "blue").expect("writes");
    assert!(!verify(std::slice::from_ref(&proof), &given).status.success());
    for paths in paths.chunks(1000) {
        let output = verify(paths, &[]);
        let said = String::from_utf8_lossy(&output.stdout);
        let refused = said.lines().filter(|line| line.starts_with("refused")).count();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(refused, paths.len(), "{errors}");
    }
}
