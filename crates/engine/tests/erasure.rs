//! Erasure against its promises: no byte of what was erased is in any file, also after a crash at
//! any step; reads say who erased it; proofs and checkpoints made before hold.
//! `CAIRN_CRASHES` sets how many crashes; every failure prints its seed.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::proofs::rebuilt;
use crate::soaking::{is_soak, seeds};
use cairn_codec::RecordView;
use cairn_engine::proof::check;
use cairn_engine::*;
use cairn_merkle::log::{TreeHead, consistency};
use cairn_merkle::map::Question;
use cairn_mvcc::{Range, RangeRequest, WatchRequest};
use cairn_segment::{Draft, Log, LogConfig, RecordDraft, RecordKind, Retention, VerifyOptions};
use cairn_types::{Lsn, StreamId};
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, SimConfig, SimVfs, Vfs};

const CANARY: &str = "canary-that-must-be-forgotten";
const BIG: usize = 400;

fn big() -> String {
    format!("{CANARY}{}", "z".repeat(BIG))
}

fn options(vfs: Arc<dyn Vfs>, seed: u64) -> EngineOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let (clock, rng) = (Arc::new(ManualClock::default()), Arc::new(SeededRng::new(seed)));
    Engine::options().log(Log::options().vfs(vfs).clock(clock).rng(rng).config(config))
}

fn open(vfs: &MemVfs) -> Engine {
    options(Arc::new(vfs.clone()), 1).open().expect("opens")
}

/// The files that hold these bytes.
pub(crate) fn holders(vfs: &dyn Vfs, paths: &[String], needle: &[u8]) -> Vec<String> {
    let holds = |path: &&String| {
        // Somebody else may have put another in its place since.
        let Ok(file) = vfs.open(path, OpenMode::Read) else { return false };
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
        file.read_exact_at(0, &mut bytes).expect("reads");
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    paths.iter().filter(holds).cloned().collect()
}

fn seen(vfs: &MemVfs) -> Vec<String> {
    holders(vfs, &vfs.paths(), CANARY.as_bytes())
}

fn world(vfs: &MemVfs) -> Engine {
    let engine = open(vfs);
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine.create_keyspace("k").expect("creates");
    engine
}

fn is_erased_by<T: std::fmt::Debug>(read: Result<T>, by: Lsn) -> bool {
    matches!(read, Err(Error::Erased { by: found, .. }) if found == Some(by))
}

#[test]
fn an_erased_event_is_in_no_file_and_says_by_whom() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    for number in 0..30 {
        let text = if number == 7 { CANARY.to_owned() } else { number.to_string() };
        engine.append("t", NewEvent::text(text)).expect("appends");
    }
    assert!(!seen(&vfs).is_empty(), "the search finds what is there");
    let proofs = engine.proofs().expect("opens");
    let key = proofs.verifier().expect("key");
    let old = proofs.prove_event("t", 0, 7).expect("proves");
    let target = EraseTarget::Event { topic: "t", partition: 0, offset: 7 };
    let done = engine.erase(&target, "request 1").expect("erases");
    assert_eq!(seen(&vfs), Vec::<String>::new());
    assert_eq!(done.records, [old.lsn]);
    assert!(is_erased_by(engine.event("t", 0, 7), done.by));
    assert_eq!(engine.events("t", 0, 0).expect("reads").count(), 29);
    assert!(is_erased_by(engine.erase(&target, "again"), done.by));
    // A proof without the payload can still be made, and the one from before is the same.
    let new = proofs.prove_event("t", 0, 7).expect("proves");
    assert_eq!(new.leaf, old.leaf);
    for shown in [&old, &new] {
        let text = shown.file.to_string();
        let checked = check::record(text.as_bytes(), None, std::slice::from_ref(&key));
        checked.expect("holds").payload_hash.to_string();
    }
    let (report, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact());
    assert_eq!(report.erased_count, 1);
    let [authorised] = &erasures.authorised[..] else { panic!("{erasures:?}") };
    assert_eq!((authorised.by, authorised.erased_count), (done.by, 1));
    assert_eq!((authorised.kind, &*authorised.reason), (ErasureKind::Event, "request 1"));
    assert!(erasures.missing.is_empty() && erasures.pending.is_empty());
    drop((proofs, engine));
    let engine = open(&vfs);
    assert!(is_erased_by(engine.event("t", 0, 7), done.by));
    assert_eq!(seen(&vfs), Vec::<String>::new());
}

#[test]
fn erased_versions_leave_log_tables_and_memory_and_keep_their_facts() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    let keys = engine.keyspace("k").expect("there");
    let mut revisions = Vec::new();
    for round in 0..6 {
        for number in 0..40 {
            keys.put(format!("k{number:02}"), format!("{round}")).expect("puts");
        }
        // Small values lie in tables, large ones in the log alone.
        let value = if round % 2 == 0 { CANARY.to_owned() } else { big() };
        revisions.push(keys.put("k07", value).expect("puts").revision);
        engine.keys().flush().expect("flushes");
        if round == 3 {
            engine.keys().merge_tables().expect("merges");
        }
    }
    assert!(seen(&vfs).iter().any(|path| path.starts_with("tables/")), "tables hold values");
    let before: Vec<_> = keys.history("k07").expect("reads");
    let stats = engine.keys().tree_stats();

    // One version, the others stay.
    let versions = Versions::At(revisions[2]);
    let one = engine
        .erase(&EraseTarget::Key { keyspace: "k", key: b"k07", versions }, "one")
        .expect("erases");
    assert_eq!(one.records.len(), 1);
    let read = keys.get_at("k07", revisions[2]).expect("reads").expect("there");
    assert_eq!(read.value, "");
    assert_eq!(read.erased.and_then(|erased| erased.by), Some(one.by));
    assert_eq!(keys.get_at("k07", revisions[3]).expect("reads").expect("there").value, big());

    // All of them.
    let all = EraseTarget::Key { keyspace: "k", key: b"k07", versions: Versions::All };
    let done = engine.erase(&all, "all").expect("erases");
    assert_eq!(done.records.len(), 11, "five canaries and six numbers");
    assert!(done.table_count > 0);
    assert_eq!(seen(&vfs), Vec::<String>::new());
    assert!(is_erased_by(keys.get("k07"), done.by));
    let after = keys.history("k07").expect("reads");
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(&before) {
        assert!(after.erased.is_some() && after.value.is_empty());
        let facts = |kv: &cairn_mvcc::KeyValue| (kv.mod_revision, kv.create_revision, kv.version);
        assert_eq!(facts(after), facts(before));
    }
    assert_eq!(keys.get("k08").expect("reads").as_deref(), Some(&b"5"[..]));
    assert_eq!(keys.key_count().expect("counts"), 40);
    assert_eq!(engine.keys().tree_stats().table_version_count, stats.table_version_count);
    engine.keys().verify_tables().expect("whole");

    // A later version is an ordinary one.
    keys.put("k07", "new").expect("puts");
    assert_eq!(keys.get("k07").expect("reads").as_deref(), Some(&b"new"[..]));
    assert_eq!(keys.history("k07").expect("reads").len(), before.len() + 1);
}

#[test]
fn what_is_erased_is_marked_in_every_way_of_reading_and_is_nothing_to_build_on() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    let keys = engine.keyspace("k").expect("there");
    let first = keys.put("a", CANARY).expect("puts").revision;
    keys.put("b", "b").expect("puts");
    let done = engine
        .erase(&EraseTarget::Key { keyspace: "k", key: b"a", versions: Versions::At(0) }, "r")
        .expect("erases");
    let marked = |kv: &cairn_mvcc::KeyValue| {
        assert_eq!((&kv.key[..], kv.erased.is_some()), (&kv.key[..], kv.key == "a"));
        assert_eq!(kv.value.is_empty(), kv.key == "a");
    };
    let found = keys.range(&RangeRequest::new(keys.stream(), Range::all())).expect("reads");
    found.kvs.iter().for_each(marked);
    let scanned: Vec<_> = keys.scan(Range::all(), 0).expect("scans").collect();
    assert_eq!(scanned.len(), 2);
    scanned.iter().for_each(|kv| marked(kv.as_ref().expect("reads")));
    let visited = keys.visit(&Range::all(), 0, |kv| {
        marked(&kv.to_owned());
        ControlFlow::<()>::Continue(())
    });
    assert!(visited.expect("reads").is_continue());
    let request = WatchRequest::new(keys.stream(), Range::all()).from(first);
    let mut watcher = keys.watch(request).expect("watches");
    let batch = watcher.try_next().expect("reads").expect("there");
    marked(&batch.changes[0].kv);
    let mut transaction = engine.begin(cairn_mvcc::Isolation::Serializable);
    assert!(is_erased_by(transaction.get(&keys, "a"), done.by));
    let again =
        cairn_mvcc::Put { ignore_value: true, ..cairn_mvcc::Put::new(keys.stream(), "a", "") };
    assert!(is_erased_by(keys.put_with(again), done.by));
    keys.delete("a").expect("deletes");
    assert_eq!(keys.get("a").expect("reads"), None);
}

#[test]
fn views_rebuilt_from_the_log_are_those_that_live() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    let keys = engine.keyspace("k").expect("there");
    for round in 0..3 {
        for number in 0..20 {
            keys.put(format!("k{number}"), format!("{CANARY} {round} {number}")).expect("puts");
        }
        engine.keys().flush().expect("flushes");
        let key = format!("k{}", round * 3);
        let target =
            EraseTarget::Key { keyspace: "k", key: key.as_bytes(), versions: Versions::All };
        engine.erase(&target, "r").expect("erases");
    }
    let state = |engine: &Engine| {
        let keys = engine.keyspace("k").expect("there");
        let histories = (0..20).map(|n| keys.history(format!("k{n}")).expect("reads"));
        histories.collect::<Vec<_>>()
    };
    let live = state(&engine);
    let (_, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    drop((keys, engine));
    for path in vfs.paths() {
        let is_truth = path == "CAIRN" || path.starts_with("log/s") && !path.ends_with(".idx");
        if !is_truth {
            vfs.remove(&path).expect("removes");
        }
    }
    let engine = open(&vfs);
    assert_eq!(state(&engine), live);
    let again = engine.verify_erasures(&VerifyOptions::default()).expect("verifies").1;
    assert_eq!(again, erasures);
}

#[test]
fn a_repeat_of_an_erased_event_is_known_for_one_also_after_a_restart() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    let id = cairn_types::EventId::from_bytes([9; 16]);
    let first = engine.append("t", NewEvent::text(CANARY).with_id(id)).expect("appends");
    let target = EraseTarget::Event { topic: "t", partition: 0, offset: first.offset.get() };
    engine.erase(&target, "r").expect("erases");
    drop(engine);
    let engine = open(&vfs);
    let again = engine.append("t", NewEvent::text(CANARY).with_id(id)).expect("appends");
    assert_eq!((again.lsn, again.duplicate), (first.lsn, true));
    assert_eq!(seen(&vfs), Vec::<String>::new());
}

#[test]
fn a_salted_record_leaves_neither_payload_nor_salt() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    let salt = *b"salt-of-16-bytes";
    let mut draft = Draft::new();
    let record =
        RecordDraft { salted: true, ..RecordDraft::new(RecordKind::USER, StreamId::new(77)) };
    draft.push(record, &[&salt[..], CANARY.as_bytes()].concat()).expect("fits");
    let lsn = engine.log().append(&draft).expect("appends").first_lsn;
    let needles = [&salt[..], CANARY.as_bytes()];
    assert!(needles.iter().all(|needle| !holders(&vfs, &vfs.paths(), needle).is_empty()));
    let done = engine.erase(&EraseTarget::Record(lsn), "r").expect("erases");
    assert_eq!(done.records, [lsn]);
    for needle in needles {
        assert_eq!(holders(&vfs, &vfs.paths(), needle), Vec::<String>::new());
    }
    assert!(engine.verify(&VerifyOptions::default()).expect("verifies").is_intact());
}

#[test]
fn what_the_store_needs_is_not_erased_and_nothing_is_logged_for_nothing() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    let end = engine.log().visible_end();
    let system = engine.erase(&EraseTarget::Record(Lsn::ZERO), "r");
    assert!(matches!(system, Err(Error::NotErasable { .. })), "{system:?}");
    let beyond = engine.erase(&EraseTarget::Record(Lsn::new(999)), "r");
    assert!(matches!(beyond, Err(Error::NothingToErase)), "{beyond:?}");
    let no_key = EraseTarget::Key { keyspace: "k", key: b"x", versions: Versions::All };
    assert!(matches!(engine.erase(&no_key, "r"), Err(Error::NothingToErase)));
    let event = EraseTarget::Event { topic: "t", partition: 0, offset: 3 };
    assert!(engine.erase(&event, "r").is_err());
    engine.append("t", NewEvent::text("x")).expect("appends");
    let event = EraseTarget::Event { topic: "t", partition: 0, offset: 0 };
    let long = "r".repeat(erasure::REASON_LEN_MAX + 1);
    assert!(matches!(engine.erase(&event, &long), Err(Error::TooLarge { .. })));
    assert_eq!(engine.log().visible_end().get(), end.get() + 1);
}

#[test]
fn payloads_that_nobody_had_erased_are_named_as_missing() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    for number in 0..10 {
        engine.append("t", NewEvent::text(number.to_string())).expect("appends");
    }
    engine.log().roll().expect("rolls");
    let gone = engine.event("t", 0, 4).expect("reads").lsn;
    let target = EraseTarget::Event { topic: "t", partition: 0, offset: 5 };
    let done = engine.erase(&target, "r").expect("erases");
    let mut fate = |lsn: Lsn, _: &RecordView<'_>| {
        if lsn == gone { cairn_segment::Fate::Erase } else { cairn_segment::Fate::Keep }
    };
    engine.log().clean(&mut fate, &Default::default()).expect("cleans");
    let (report, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "the hashes hold");
    assert_eq!(erasures.missing, [gone]);
    assert_eq!(erasures.authorised.len(), 1);
    assert_eq!(erasures.authorised[0].by, done.by);
    assert!(matches!(engine.event("t", 0, 4), Err(Error::Erased { by: None, .. })));
}

#[test]
fn nothing_comes_back_while_others_write_flush_merge_and_read() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    let keys = engine.keyspace("k").expect("there");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let goes_on = || !stop.load(std::sync::atomic::Ordering::Relaxed);
    let name = |number: u64| format!("needle {number:04}!");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..5_000 {
                if !goes_on() {
                    break;
                }
                keys.put(format!("k{}", number % 50), "another value").expect("puts");
            }
        });
        scope.spawn(|| {
            while goes_on() {
                engine.keys().flush().expect("flushes");
                engine.keys().merge_tables().expect("merges");
            }
        });
        scope.spawn(|| {
            while goes_on() {
                for number in 0..15 {
                    let found = keys.get_at(format!("n{number}"), 0).expect("reads");
                    assert!(found.is_none_or(|kv| kv.erased.is_some() || !kv.value.is_empty()));
                }
            }
        });
        for number in 0..15 {
            let key = format!("n{number}");
            keys.put(key.clone(), name(number)).expect("puts");
            let (keyspace, versions) = ("k", Versions::All);
            let target = EraseTarget::Key { keyspace, key: key.as_bytes(), versions };
            engine.erase(&target, "r").expect("erases");
            assert!(matches!(keys.get(&key), Err(Error::Erased { .. })));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    engine.keys().flush().expect("flushes");
    engine.keys().merge_tables().expect("merges");
    for number in 0..15 {
        let found = holders(&vfs, &vfs.paths(), name(number).as_bytes());
        assert_eq!(found, Vec::<String>::new(), "{number}");
    }
    engine.keys().verify_tables().expect("whole");
}

#[test]
fn erasures_go_with_retention_only_after_what_they_name() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    engine.append("t", NewEvent::text(CANARY)).expect("appends");
    let target = EraseTarget::Event { topic: "t", partition: 0, offset: 0 };
    engine.erase(&target, "r").expect("erases");
    for _ in 0..400 {
        engine.append("t", NewEvent::binary(vec![1; 1000])).expect("appends");
    }
    let retention = Retention { max_len: Some(1), ..Retention::default() };
    assert!(engine.retain(&retention).expect("retains").segment_count > 0);
    drop(engine);
    let engine = open(&vfs);
    let (report, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact());
    assert_eq!((erasures.missing, erasures.pending), (vec![], vec![]));
}

#[test]
fn a_full_disk_stops_the_cleaning_and_not_the_hiding() {
    let vfs = MemVfs::new();
    let engine = world(&vfs);
    engine.append("t", NewEvent::text(CANARY)).expect("appends");
    for _ in 0..30 {
        engine.append("t", NewEvent::binary(vec![1; 1000])).expect("appends");
    }
    engine.log().roll().expect("rolls");
    let used: u64 = vfs
        .paths()
        .iter()
        .map(|path| vfs.open(path, OpenMode::Read).expect("opens").len().expect("a length"))
        .sum();
    vfs.set_capacity(Some(used + 9_000));
    let target = EraseTarget::Event { topic: "t", partition: 0, offset: 0 };
    let refused = engine.erase(&target, "r").expect_err("no room");
    assert_eq!(refused.kind(), cairn_types::ErrorKind::Full, "{refused}");
    assert!(matches!(engine.event("t", 0, 0), Err(Error::Erased { by: Some(_), .. })));
    let pending = engine.verify_erasures(&VerifyOptions::default()).expect("verifies").1.pending;
    assert_eq!(pending.len(), 1);
    vfs.set_capacity(None);
    assert_eq!(engine.finish_erasures().expect("finishes").0, 1);
    assert_eq!(seen(&vfs), Vec::<String>::new());
}

// --- crashes ----------------------------------------------------------------------------------

const LIVES_PER_CRASHES: u64 = 400;
const CRASHES_A_LIFE: u32 = 6;

fn lives() -> u64 {
    let crashes = std::env::var("CAIRN_CRASHES").ok().and_then(|text| text.parse().ok());
    (crashes.unwrap_or(100_000_u64) / LIVES_PER_CRASHES).clamp(1, 1000)
}

/// What was acknowledged.
#[derive(Default)]
struct Known {
    heads: Vec<TreeHead>,
    /// Needles whose erasure was acknowledged.
    erased: Vec<String>,
    /// Needles whose erasure was begun: it may have happened.
    begun: Vec<String>,
    next: u32,
}

fn work(engine: &Engine, rng: &SeededRng, known: &mut Known) -> Result<()> {
    engine.create_topic("t", TopicConfig::default())?;
    engine.create_keyspace("k")?;
    let keys = engine.keyspace("k")?;
    loop {
        let number = known.next;
        known.next += 1;
        let needle = format!("needle {number:06}!");
        let key = format!("key{number}");
        match rng.below(8) {
            0 => {
                let long = format!("{needle}{}", "y".repeat(200));
                let offset = engine.append("t", NewEvent::text(long))?.offset.get();
                known.begun.push(needle.clone());
                let target = EraseTarget::Event { topic: "t", partition: 0, offset };
                engine.erase(&target, "crash test")?;
                known.erased.push(needle);
            }
            1 | 2 => {
                let len = rng.below(300) as usize;
                keys.put(key.clone(), format!("{needle}{}", "y".repeat(len)))?;
                if rng.below(2) == 0 {
                    engine.keys().flush()?;
                }
                keys.put(key.clone(), format!("{needle} again"))?;
                known.begun.push(needle.clone());
                let versions = Versions::All;
                let target = EraseTarget::Key { keyspace: "k", key: key.as_bytes(), versions };
                engine.erase(&target, "crash test")?;
                known.erased.push(needle);
            }
            3 => engine.keys().flush()?,
            4 => engine.keys().merge_tables()?,
            5 => match engine.proofs().and_then(|proofs| proofs.checkpoint()) {
                Ok(signed) => known.heads.push(signed.head),
                Err(proof::Error::Engine(error)) => return Err(error),
                Err(error) => return Err(Error::Proof(Arc::new(error))),
            },
            _ => {
                keys.put(format!("k{}", rng.below(9)), needle)?;
            }
        }
    }
}

fn judge(engine: &Engine, disk: &SimVfs, known: &Known, seed: u64) {
    let paths = disk.paths();
    for needle in &known.erased {
        let found = holders(disk, &paths, needle.as_bytes());
        assert!(found.is_empty(), "seed {seed}: {needle} is in {found:?}");
    }
    for needle in &known.begun {
        let found = holders(disk, &paths, needle.as_bytes());
        let of_log = found.iter().any(|path| path.starts_with("log/"));
        assert!(of_log || found.is_empty(), "seed {seed}: {needle} is only in {found:?}");
    }
    // What was begun is done whole or not at all.
    let (report, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "seed {seed}: {report:?}");
    assert!(erasures.missing.is_empty(), "seed {seed}: {erasures:?}");
    assert!(erasures.pending.is_empty(), "seed {seed}: {erasures:?}");
    let names: u64 = erasures.authorised.iter().map(|one| one.erased_count).sum();
    assert_eq!(names, report.erased_count, "seed {seed}");
    assert!(erasures.authorised.len() >= known.erased.len(), "seed {seed}");
    assert!(erasures.authorised.len() <= known.begun.len(), "seed {seed}");
    engine.keys().verify_tables().expect("whole");
    let proofs = engine.proofs().expect("opens");
    proofs.catch_up().expect("catches up");
    let head = proofs.head().expect("head");
    assert_eq!(head, rebuilt(engine, head.size), "seed {seed}");
    for old in &known.heads {
        let proof = proofs.consistency(old.size, head.size).expect("proves");
        consistency::verify(old, &head, &proof).expect("what was signed is what there is");
    }
    if head.size > 8 && engine.keyspace("k").is_ok() {
        let shown = proofs.prove_map("k", b"key1", Question::History).expect("proves");
        shown.file.check(&[proofs.verifier().expect("key")]).expect("holds");
    }
}

#[test]
fn after_a_crash_at_any_step_what_was_erased_is_in_no_file_and_old_heads_hold() {
    let (mut acknowledged, mut only_logged, mut crashes) = (0, 0, 0);
    for seed in seeds(0..lives()) {
        println!("seed {seed}");
        let (disk, rng) = (SimVfs::new(seed, SimConfig::default()), SeededRng::new(seed));
        let mut known = Known::default();
        for _ in 0..CRASHES_A_LIFE {
            disk.crash_after(10 + rng.below(500));
            let outcome = options(Arc::new(disk.clone()), seed)
                .open()
                .and_then(|engine| work(&engine, &rng, &mut known));
            let error = outcome.expect_err("it ends when the disk does");
            assert!(disk.is_down(), "seed {seed}: {error}");
            match rng.below(4) {
                0 => disk.process_crash(),
                _ => disk.power_crash(),
            }
            let engine = options(Arc::new(disk.clone()), seed).open().expect("recovers");
            judge(&engine, &disk, &known, seed);
            crashes += 1;
            let (_, erasures) =
                engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
            only_logged +=
                erasures.authorised.len() - known.erased.len().min(erasures.authorised.len());
        }
        acknowledged += known.erased.len();
    }
    println!("total: crashes={crashes} erasures={acknowledged} violations=0");
    let few = is_soak() || lives() < 10;
    assert!(few || (acknowledged > 0 && only_logged > 0), "the crashes never met an erasure");
}
