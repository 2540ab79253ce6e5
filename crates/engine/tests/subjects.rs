//! Shredding by subject: what was sealed is gone at once and for ever, also after a crash at any
//! step; proofs hold; others are not touched. `CAIRN_CRASHES` sets how many crashes.

use std::sync::Arc;

use crate::soaking::seeds;
use cairn_engine::proof::check;
use cairn_engine::*;
use cairn_mvcc::{
    Compare, CompareOp, CompareTarget, Range, RangeRequest, Txn, TxnOp, WatchRequest,
};
use cairn_segment::{Log, LogConfig, Retention, VerifyOptions};
use cairn_types::ErrorKind;
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, SimConfig, SimVfs, Vfs};

const CANARY: &str = "canary-of-somebody";

fn options(vfs: Arc<dyn Vfs>, seed: u64) -> EngineOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let (clock, rng) = (Arc::new(ManualClock::default()), Arc::new(SeededRng::new(seed)));
    Engine::options().log(Log::options().vfs(vfs).clock(clock).rng(rng).config(config))
}

fn open(vfs: &MemVfs, seed: u64) -> Engine {
    options(Arc::new(vfs.clone()), seed).open().expect("opens")
}

fn bytes_of(vfs: &dyn Vfs, path: &str) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::Read).expect("opens");
    let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
    file.read_exact_at(0, &mut bytes).expect("reads");
    bytes
}

fn seen(vfs: &MemVfs, needle: &[u8]) -> Vec<String> {
    let holds = |path: &String| bytes_of(vfs, path).windows(needle.len()).any(|w| w == needle);
    vfs.paths().into_iter().filter(holds).collect()
}

fn world(vfs: &MemVfs) -> (Engine, Keyspace) {
    let engine = open(vfs, 1);
    let config = TopicConfig { by_subject: true, partitions: 2, ..TopicConfig::default() };
    engine.create_topic("t", config).expect("creates");
    engine.create_keyspace_by_subject("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    (engine, keys)
}

fn is_erased<T: std::fmt::Debug>(read: Result<T>, by: cairn_types::Lsn) -> bool {
    matches!(read, Err(Error::Erased { by: found, .. }) if found == Some(by))
}

#[test]
fn a_shredded_subject_is_gone_from_every_way_of_reading_and_others_stay() {
    let vfs = MemVfs::new();
    let (engine, keys) = world(&vfs);
    for subject in ["alice", "bob"] {
        for field in ["email", "phone"] {
            let long = format!("{CANARY} {subject} {field} {}", "x".repeat(200));
            keys.put(format!("{subject}/{field}"), CANARY).expect("puts");
            keys.put(format!("{subject}/{field}"), long).expect("puts");
        }
        engine
            .append("t", NewEvent::text(CANARY).with_key(subject).in_partition(1))
            .expect("appends");
    }
    engine.keys().flush().expect("flushes");
    assert_eq!(seen(&vfs, CANARY.as_bytes()), Vec::<String>::new(), "no file ever holds it");
    // While the key is there everything reads as ever.
    assert_eq!(engine.event("t", 1, 0).expect("reads").data.as_str(), Some(CANARY));
    let first = keys.history("alice/email").expect("reads");
    assert_eq!(first[0].value, CANARY);
    let proofs = engine.proofs().expect("opens");
    let old = proofs.prove_event("t", 1, 0).expect("proves");
    let key = proofs.verifier().expect("key");

    let done = engine.shred("alice", "request 3").expect("shreds");
    assert_eq!(engine.shred("alice", "again").expect("is the same"), done);
    assert!(is_erased(keys.get("alice/email"), done.by));
    assert!(is_erased(engine.event("t", 1, 0), done.by));
    assert!(keys.history("alice/email").expect("reads").iter().all(|kv| kv.erased.is_some()));
    let all = keys.range(&RangeRequest::new(keys.stream(), Range::all())).expect("reads").kvs;
    let mut lent = Vec::new();
    let visited = keys.visit(&Range::all(), 0, |kv| {
        lent.push(kv.to_owned());
        std::ops::ControlFlow::<()>::Continue(())
    });
    assert!(visited.expect("reads").is_continue());
    assert_eq!(lent, all);
    assert_eq!(all.len(), 4);
    for kv in &all {
        assert_eq!(kv.erased.is_some(), kv.key.starts_with(b"alice"));
        assert_eq!(kv.value.is_empty(), kv.key.starts_with(b"alice"));
    }
    let mut watcher =
        keys.watch(WatchRequest::new(keys.stream(), Range::key("alice/phone")).from(2)).expect("w");
    let batch = watcher.try_next().expect("reads").expect("there");
    assert!(batch.changes[0].kv.erased.is_some());
    let read: Vec<_> =
        engine.events("t", 1, 0).expect("reads").map(|e| e.expect("reads")).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].data.as_str(), Some(CANARY));
    // Nothing is written about it any more; deleting goes.
    let refused = keys.put("alice/email", "new").expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert!(engine.append("t", NewEvent::text("x").with_key("alice")).is_err());
    keys.delete("alice/email").expect("deletes");
    keys.put("bob/email", "new").expect("puts");

    let new = proofs.prove_event("t", 1, 0).expect("proves");
    assert_eq!(new.leaf, old.leaf);
    for shown in [&old, &new] {
        let text = shown.file.to_string();
        check::record(text.as_bytes(), None, std::slice::from_ref(&key)).expect("holds");
    }
    let (report, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact());
    assert_eq!(erasures.shredded, std::slice::from_ref(&done));
    drop((watcher, proofs, keys, engine));
    let engine = open(&vfs, 2);
    let keys = engine.keyspace("k").expect("there");
    assert!(is_erased(keys.get("alice/phone"), done.by));
    assert_eq!(keys.get("bob/email").expect("reads").as_deref(), Some(&b"new"[..]));
    assert!(matches!(engine.shred("nobody", "r"), Err(Error::NothingToErase)));
}

#[test]
fn transactions_comparisons_and_kept_values_see_what_was_sealed() {
    let vfs = MemVfs::new();
    let (engine, keys) = world(&vfs);
    engine
        .transact(|tx| {
            tx.put(&keys, "a/1", CANARY);
            assert_eq!(tx.get(&keys, "a/1")?.as_deref(), Some(CANARY.as_bytes()));
            tx.append("t", NewEvent::json(r#"{"n":1}"#).with_key("a").in_partition(0))
        })
        .expect("commits");
    let compare = Compare {
        space: keys.stream(),
        range: Range::key("a/1"),
        op: CompareOp::Equal,
        target: CompareTarget::Value(CANARY.into()),
    };
    let put =
        cairn_mvcc::Put { prev_kv: true, ..cairn_mvcc::Put::new(keys.stream(), "a/1", "two") };
    let txn = Txn { compare: vec![compare], success: vec![TxnOp::Put(put)], failure: Vec::new() };
    assert!(engine.txn(&txn).expect("runs").succeeded);
    let keep =
        cairn_mvcc::Put { ignore_value: true, ..cairn_mvcc::Put::new(keys.stream(), "a/1", "") };
    keys.put_with(keep).expect("puts");
    assert_eq!(keys.get("a/1").expect("reads").as_deref(), Some(&b"two"[..]));
    assert_eq!(engine.event("t", 0, 0).expect("reads").data.as_str(), Some(r#"{"n":1}"#));
    assert_eq!(seen(&vfs, CANARY.as_bytes()), Vec::<String>::new());
    assert!(engine.append("t", NewEvent::text("no key")).is_err(), "about nobody");
    assert!(keys.put("/x", "1").is_err(), "about nobody");
    // The setting belongs to the creation.
    assert!(!engine.create_keyspace("k").expect("is there"));
    engine.create_keyspace("plain").expect("creates");
    assert!(matches!(
        engine.create_keyspace_by_subject("plain"),
        Err(Error::KeyspaceExists { .. })
    ));
    let config = engine.set_retention("t", |config| config.by_subject = false).expect("sets");
    assert!(config.by_subject);
}

#[test]
fn a_store_without_its_keys_says_so_and_a_damaged_key_file_is_named() {
    let vfs = MemVfs::new();
    let (engine, keys) = world(&vfs);
    keys.put("a/1", CANARY).expect("puts");
    drop((keys, engine));
    let kept = bytes_of(&vfs, "keys/subjects");
    vfs.remove("keys/subjects").expect("removes");
    let read = open(&vfs, 2).keyspace("k").expect("there").get("a/1").expect_err("refused");
    assert_eq!(read.kind(), ErrorKind::Corrupt, "{read}");
    let file = vfs.open("keys/subjects", OpenMode::CreateOrOpen).expect("makes");
    file.write_all_at(0, &kept).expect("writes");
    let value = open(&vfs, 3).keyspace("k").expect("there").get("a/1").expect("reads");
    assert_eq!(value.as_deref(), Some(CANARY.as_bytes()));
    for bit in 0..kept.len() * 8 {
        let mut changed = kept.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // Each opening has put another file in its place.
        let file = vfs.open("keys/subjects", OpenMode::ReadWrite).expect("opens");
        file.write_all_at(0, &changed).expect("writes");
        let read = open(&vfs, 4).keyspace("k").expect("there").get("a/1");
        assert!(read.is_err(), "bit {bit}: {read:?}");
    }
}

#[test]
fn with_encryption_at_rest_the_keys_of_subjects_need_the_stores_key() {
    let vfs = MemVfs::new();
    let open = |key: [u8; 32], seed| {
        let config = LogConfig { background: false, ..LogConfig::default() };
        let rng = Arc::new(SeededRng::new(seed));
        let log = Log::options().vfs(Arc::new(vfs.clone())).rng(rng).config(config);
        Engine::options().log(log.sealing_key(&key)).open()
    };
    let engine = open([7; 32], 1).expect("opens");
    engine.create_keyspace_by_subject("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put("a/1", CANARY).expect("puts");
    keys.put("b/1", CANARY).expect("puts");
    drop((keys, engine));
    assert_eq!(bytes_of(&vfs, "keys/subjects")[128 + 32], 2, "sealed in its slot");
    assert!(open([8; 32], 2).is_err());
    let engine = open([7; 32], 3).expect("opens");
    let keys = engine.keyspace("k").expect("there");
    assert_eq!(keys.get("a/1").expect("reads").as_deref(), Some(CANARY.as_bytes()));
    let done = engine.shred("a", "r").expect("shreds");
    assert!(is_erased(keys.get("a/1"), done.by));
    assert_eq!(keys.get("b/1").expect("reads").as_deref(), Some(CANARY.as_bytes()));
}

#[test]
fn a_rotation_of_the_stores_keys_keeps_those_that_the_keys_of_subjects_need() {
    let vfs = MemVfs::new();
    let open = |seed| {
        let config = LogConfig { background: false, ..LogConfig::default() };
        let rng = Arc::new(SeededRng::new(seed));
        let log = Log::options().vfs(Arc::new(vfs.clone())).rng(rng).config(config);
        Engine::options().log(log.sealing_key(&[7; 32])).open().expect("opens")
    };
    let engine = open(1);
    engine.create_keyspace_by_subject("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put("a/1", CANARY).expect("puts");
    let number = |vfs: &MemVfs| bytes_of(vfs, "keys/subjects")[128 + 36];
    let before = number(&vfs);
    engine.rotate_encryption_key(None).expect("rotates");
    keys.put("b/1", CANARY).expect("puts");
    let status = engine.encryption_status().expect("a status");
    assert!(!status.is_settled() && status.keys.len() == 2, "{status:?}");
    drop((keys, engine));
    let engine = open(2);
    let resealed = engine.reseal(None).expect("seals anew");
    assert_eq!(resealed.dropped_key_count, 1);
    assert_ne!(number(&vfs), before, "sealed with the newest data key");
    assert!(engine.encryption_status().expect("a status").is_settled());
    drop(engine);
    let engine = open(3);
    let keys = engine.keyspace("k").expect("there");
    for key in ["a/1", "b/1"] {
        assert_eq!(keys.get(key).expect("reads").as_deref(), Some(CANARY.as_bytes()));
    }
    engine.shred("a", "r").expect("shreds");
}

#[test]
fn shredding_outlives_the_segments_that_retention_drops() {
    let vfs = MemVfs::new();
    let (engine, keys) = world(&vfs);
    keys.put("a/1", CANARY).expect("puts");
    engine.shred("a", "r").expect("shreds");
    keys.delete("a/1").expect("deletes");
    engine.create_topic("busy", TopicConfig::default()).expect("creates");
    for _ in 0..400 {
        engine.append("busy", NewEvent::binary(vec![1; 1000])).expect("appends");
    }
    engine.keys().compact(engine.revision()).expect("compacts");
    engine.keys().merge_tables().expect("merges");
    let retention = Retention { max_len: Some(1), ..Retention::default() };
    assert!(engine.retain(&retention).expect("retains").segment_count > 0);
    drop((keys, engine));
    let engine = open(&vfs, 2);
    assert_eq!(engine.shredded()[0].reason, "r");
    let keys = engine.keyspace("k").expect("there");
    assert!(keys.put("a/2", "x").is_err(), "still nothing is written about it");
    keys.put("b/1", CANARY).expect("puts");
    assert_eq!(seen(&vfs, CANARY.as_bytes()), Vec::<String>::new(), "still sealed");
}

// --- crashes ----------------------------------------------------------------------------------

fn lives() -> u64 {
    let crashes = std::env::var("CAIRN_CRASHES").ok().and_then(|text| text.parse().ok());
    (crashes.unwrap_or(100_000_u64) / 400).clamp(1, 1000)
}

/// What was acknowledged: values by key, subjects that were shredded, and those that may be.
#[derive(Default)]
struct Known {
    values: std::collections::BTreeMap<String, String>,
    shredded: Vec<String>,
    begun: Vec<String>,
    next: u32,
}

fn work(engine: &Engine, rng: &SeededRng, known: &mut Known) -> Result<()> {
    engine.create_keyspace_by_subject("k")?;
    let keys = engine.keyspace("k")?;
    loop {
        known.next += 1;
        let number = known.next;
        let subject = format!("s{}", number / 4);
        let gone = known.begun.contains(&subject);
        match rng.below(6) {
            0 if !gone => {
                let key = format!("{subject}/{number}");
                keys.put(key.clone(), "before")?;
                known.values.insert(key, "before".to_owned());
                known.begun.push(subject.clone());
                engine.shred(&subject, "crash test")?;
                known.shredded.push(subject);
            }
            1 => engine.keys().flush()?,
            _ if !gone => {
                let (key, value) = (format!("{subject}/{number}"), format!("{CANARY} {number}"));
                keys.put(key.clone(), value.clone())?;
                known.values.insert(key, value);
            }
            _ => {}
        }
    }
}

#[test]
fn after_a_crash_at_any_step_shredded_subjects_are_gone_and_all_others_read() {
    let mut crashes = 0;
    for seed in seeds(0..lives()) {
        println!("seed {seed}");
        let (disk, rng) = (SimVfs::new(seed, SimConfig::default()), SeededRng::new(seed));
        let mut known = Known::default();
        for life in 0..6 {
            disk.crash_after(10 + rng.below(300));
            let outcome = options(Arc::new(disk.clone()), seed.wrapping_mul(10) + life)
                .open()
                .and_then(|engine| work(&engine, &rng, &mut known));
            let error = outcome.expect_err("it ends when the disk does");
            assert!(disk.is_down(), "seed {seed}: {error}");
            match rng.below(4) {
                0 => disk.process_crash(),
                _ => disk.power_crash(),
            }
            let engine =
                options(Arc::new(disk.clone()), seed.wrapping_add(999)).open().expect("recovers");
            crashes += 1;
            let Ok(keys) = engine.keyspace("k") else { continue };
            let is_logged =
                |name: &str| engine.shredded().iter().any(|one| one.subject == name.as_bytes());
            for subject in &known.shredded {
                assert!(is_logged(subject), "seed {seed}: {subject} was shredded");
            }
            for (key, value) in &known.values {
                let subject = key.split('/').next().expect("one");
                match keys.get(key) {
                    Ok(found) => {
                        assert_eq!(found.as_deref(), Some(value.as_bytes()), "seed {seed}: {key}");
                        assert!(!is_logged(subject), "seed {seed}: {key}");
                    }
                    Err(Error::Erased { by: Some(_), .. }) => {
                        assert!(known.begun.iter().any(|begun| begun == subject));
                    }
                    Err(error) => panic!("seed {seed}: {key}: {error}"),
                }
            }
            // No key is left of a subject whose shredding is in the log.
            if !disk.paths().iter().any(|path| path == "keys/subjects") {
                continue;
            }
            let file = bytes_of(&disk, "keys/subjects");
            assert!(file.len() >= 128, "seed {seed}: {} bytes", file.len());
            let store = engine.log().store_id();
            for one in engine.shredded() {
                let name = [b"cairn subject 1\0", &store[..], &one.subject].concat();
                let id = cairn_merkle::hash::sha256(&name);
                let slots = || file.chunks(128).skip(1);
                assert!(slots().all(|slot| !slot.starts_with(id.as_bytes())), "seed {seed}");
            }
        }
    }
    println!("total: crashes={crashes} violations=0");
}
