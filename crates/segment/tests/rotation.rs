//! Rotation of keys: nothing is lost whenever it is cut off, the old key is needed no longer
//! once it is done, and a ring that is damaged is brought up from its other copy.

use std::sync::Arc;

use cairn_codec::CodecRegistry;
use cairn_segment::*;
use cairn_types::Durability;
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, SimConfig, SimVfs, Vfs};

use crate::store::{all, draft};

const OLD: [u8; 32] = [42; 32];
const NEW: [u8; 32] = [43; 32];
const RING: [&str; 2] = ["KEYRING", "log/keyring"];

fn options(vfs: Arc<dyn Vfs>, seed: u64, keys: &[&[u8; 32]]) -> LogOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let config = LogConfig { durability: Durability::Sync, ..config };
    let (clock, rng) = (Arc::new(ManualClock::default()), Arc::new(SeededRng::new(seed)));
    let options = Log::options().vfs(vfs).clock(clock).rng(rng).config(config);
    keys.iter().fold(options, |options, key| options.sealing_key(&key[..]))
}

fn open(vfs: &MemVfs, seed: u64, keys: &[&[u8; 32]]) -> Result<Log> {
    options(Arc::new(vfs.clone()), seed, keys).open()
}

fn payload(number: u64) -> Vec<u8> {
    format!("payload {number}").into_bytes()
}

fn append(log: &Log, numbers: std::ops::Range<u64>) -> Result<()> {
    for number in numbers {
        log.append(&draft(1, &[&payload(number)]))?;
        if number % 4 == 3 {
            log.roll()?;
        }
    }
    Ok(())
}

fn payloads(log: &Log) -> Vec<Vec<u8>> {
    all(log).into_iter().filter(|payload| payload.starts_with(b"payload")).collect()
}

fn expected(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(payload).collect()
}

fn assert_intact(log: &Log) {
    let report = log.verify(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "{:?}", report.damage);
}

fn flip(vfs: &dyn Vfs, path: &str, at: u64) {
    let file = vfs.open(path, OpenMode::ReadWrite).expect("opens");
    let mut byte = [0];
    file.read_exact_at(at, &mut byte).expect("reads");
    file.write_all_at(at, &[byte[0] ^ 1]).expect("writes");
}

fn files(vfs: &MemVfs) -> Vec<(String, Vec<u8>)> {
    let read = |path: String| {
        let file = vfs.open(&path, OpenMode::Read).expect("opens");
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
        file.read_exact_at(0, &mut bytes).expect("reads");
        (path, bytes)
    };
    vfs.paths().into_iter().filter(|path| path != "LOCK").map(read).collect()
}

#[test]
fn after_a_rotation_only_the_new_key_opens_and_resealing_frees_the_old_data_keys() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1, &[&OLD]).expect("opens");
    append(&log, 0..10).expect("appends");
    let before = log.key_status(&[]).expect("a status");
    assert_eq!((before.keys.len(), before.outer_keys().len()), (1, 1));
    assert!(before.is_settled());
    log.rotate_keys(Some(&NEW)).expect("rotates");
    let status = log.key_status(&[]).expect("a status");
    assert_eq!(status.keys.len(), 2);
    assert_eq!(status.outer_keys().len(), 1, "all under the new key");
    assert_ne!(status.outer_keys(), before.outer_keys());
    assert!(!status.is_settled(), "old segments are still sealed with the old data key");
    assert_eq!(log.drop_unneeded_keys(&[]).expect("looks"), 0, "it is still needed");
    append(&log, 10..20).expect("appends");
    log.close().expect("closes");
    drop(log);

    let refused = open(&vfs, 2, &[&OLD]).expect_err("the old key opens nothing");
    assert!(matches!(refused, Error::Sealed { .. }), "{refused}");
    let log = open(&vfs, 3, &[&NEW]).expect("opens");
    assert_eq!(payloads(&log), expected(20));
    let resealed = log.reseal(usize::MAX, None).expect("reseals");
    assert!(resealed.replaced_count > 2, "{resealed:?}");
    let status = log.key_status(&[]).expect("a status");
    assert!(status.is_settled(), "{status:?}");
    assert_eq!(log.drop_unneeded_keys(&[]).expect("drops"), 1);
    assert_eq!(payloads(&log), expected(20));
    assert_intact(&log);
    log.close().expect("closes");
    drop(log);
    let log = open(&vfs, 4, &[&NEW]).expect("opens");
    assert_eq!(payloads(&log), expected(20));
    assert_eq!(log.key_status(&[]).expect("a status").keys.len(), 1);
    assert_intact(&log);
}

#[test]
fn what_was_written_before_there_was_a_key_is_sealed_by_resealing() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1, &[]).expect("opens");
    append(&log, 0..6).expect("appends");
    assert!(log.rotate_keys(Some(&NEW)).is_err(), "it is not encrypted");
    log.close().expect("closes");
    drop(log);
    let log = open(&vfs, 2, &[&OLD]).expect("opens");
    assert!(log.key_status(&[]).expect("a status").plain.segment_count > 0);
    log.rotate_keys(None).expect("rotates under the same key");
    log.reseal(usize::MAX, None).expect("reseals");
    assert!(log.key_status(&[]).expect("a status").is_settled());
    for (path, bytes) in files(&vfs) {
        assert!(!bytes.windows(7).any(|window| window == b"payload"), "{path}");
    }
    assert_eq!(payloads(&log), expected(6));
}

#[test]
fn a_crash_at_any_step_of_a_rotation_leaves_a_log_that_opens_with_both_keys() {
    let mut crashes = 0;
    for operations in 1..1000 {
        let vfs = SimVfs::new(operations, SimConfig::default());
        let open = |seed, keys: &[&[u8; 32]]| options(Arc::new(vfs.clone()), seed, keys).open();
        let log = open(operations, &[&OLD]).expect("opens");
        append(&log, 0..10).expect("appends");
        vfs.crash_after(operations);
        let rotated = (|| -> Result<u64> {
            log.rotate_keys(Some(&NEW))?;
            append(&log, 10..12)?;
            log.reseal(usize::MAX, None)?;
            log.drop_unneeded_keys(&[])?;
            append(&log, 12..14)?;
            Ok(14)
        })();
        drop(log);
        let done = !vfs.is_down();
        crashes += u64::from(!done);
        vfs.power_crash();
        let log = open(operations + 5000, &[&OLD, &NEW])
            .unwrap_or_else(|error| panic!("{operations}: {error}"));
        let found = payloads(&log);
        let acknowledged = rotated.as_ref().copied().unwrap_or(10);
        assert!(found.len() as u64 >= acknowledged, "{operations}: {}", found.len());
        assert_eq!(found, expected(found.len() as u64), "{operations}");
        assert_intact(&log);
        // What was cut off can be done again, and then the old key is needed no longer.
        log.rotate_keys(Some(&NEW)).expect("rotates");
        log.reseal(usize::MAX, None).expect("reseals");
        log.drop_unneeded_keys(&[]).expect("drops");
        assert!(log.key_status(&[]).expect("a status").is_settled(), "{operations}");
        log.close().expect("closes");
        drop(log);
        let log = open(operations + 9000, &[&NEW]).expect("opens with the new key");
        assert_eq!(payloads(&log), found, "{operations}");
        if done {
            break;
        }
    }
    assert!(crashes > 40, "{crashes}");
}

#[test]
fn every_flipped_bit_of_one_copy_of_the_ring_is_noticed_and_brought_up_from_the_other() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1, &[&OLD]).expect("opens");
    append(&log, 0..3).expect("appends");
    log.close().expect("closes");
    drop(log);
    let len = vfs.open(RING[0], OpenMode::Read).expect("opens").len().expect("a length");
    let registry = CodecRegistry::standard().with_sealing_key(&OLD).expect("a key");
    for place in RING {
        for at in 0..len {
            let damaged = vfs.fork();
            flip(&damaged, place, at);
            let report = verify_store(&damaged, &registry, &VerifyOptions::default());
            let report = report.unwrap_or_else(|error| panic!("{place} {at}: {error}"));
            assert!(report.damage.iter().any(|damage| damage.file == place), "{place} {at}");
            let log = open(&damaged, 2, &[&OLD]).expect("opens from the other copy");
            assert_eq!(log.recovery_report().damaged_copies.len(), 1);
            assert_eq!(payloads(&log), expected(3));
            assert_intact(&log);
        }
    }
}

#[test]
fn without_a_ring_or_with_two_damaged_copies_nothing_opens_and_nothing_changes() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1, &[&OLD]).expect("opens");
    append(&log, 0..3).expect("appends");
    log.close().expect("closes");
    drop(log);
    let (missing, damaged) = (vfs.fork(), vfs.fork());
    RING.iter().for_each(|place| missing.remove(place).expect("removes"));
    RING.iter().for_each(|place| flip(&damaged, place, 60));
    for store in [missing, damaged] {
        let before = files(&store);
        for keys in [&[&OLD][..], &[]] {
            let error = open(&store, 2, keys).expect_err("refused");
            assert!(error.to_string().contains("KEYRING"), "{error}");
        }
        let repaired = Repair::plan(
            Arc::new(store.clone()),
            &CodecRegistry::standard().with_sealing_key(&OLD).expect("a key"),
        );
        assert!(repaired.is_err());
        assert_eq!(files(&store), before);
    }
    assert_eq!(payloads(&open(&vfs, 3, &[&OLD]).expect("opens")), expected(3));
}

#[test]
fn a_rotation_to_no_key_or_without_the_key_changes_nothing() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1, &[&OLD]).expect("opens");
    append(&log, 0..3).expect("appends");
    let before = files(&vfs);
    for weak in [&[0; 32][..], &[1; 31], &[]] {
        assert!(matches!(log.rotate_keys(Some(weak)), Err(Error::Invalid { .. })));
    }
    let reader = options(Arc::new(vfs.clone()), 2, &[&OLD]).open_read_only().expect("opens");
    assert!(matches!(reader.rotate_keys(Some(&NEW)), Err(Error::ReadOnly)));
    assert_eq!(files(&vfs), before);
}

#[test]
fn backups_and_snapshots_carry_the_ring_through_rotations() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1, &[&OLD]).expect("opens");
    append(&log, 0..10).expect("appends");
    let backup = MemVfs::new();
    log.backup(&backup, None).expect("backs up");
    let before = backup.fork();
    let snapshot = |log: &Log| {
        let mut stream = Vec::new();
        let options = SnapshotOptions { chunk_len: 512, ..SnapshotOptions::default() };
        log.snapshot(&options).expect("takes").write_to(&mut stream, 0, None).expect("writes");
        stream
    };
    let old_stream = snapshot(&log);
    log.rotate_keys(Some(&NEW)).expect("rotates");
    log.backup(&backup, None).expect("backs up again");
    let between = backup.fork();
    log.reseal(usize::MAX, None).expect("reseals");
    log.drop_unneeded_keys(&[]).expect("drops");
    append(&log, 10..12).expect("appends");
    log.backup(&backup, None).expect("backs up once more");
    let cases = [(before, OLD, 10), (between, NEW, 10), (backup, NEW, 12)];
    for (store, key, count) in cases {
        let copy = open(&store, 5, &[&key]).expect("opens");
        assert_eq!(payloads(&copy), expected(count));
        assert_intact(&copy);
    }
    for (stream, key, count) in [(old_stream, OLD, 10), (snapshot(&log), NEW, 12)] {
        let target = MemVfs::new();
        let mut import = SnapshotImport::open(Arc::new(target.clone())).expect("begins");
        import.read_from(&mut stream.as_slice(), None).expect("reads");
        let registry = CodecRegistry::standard().with_sealing_key(&key).expect("a key");
        import.finish(&registry).expect("verifies");
        let copy = open(&target, 6, &[&key]).expect("opens");
        assert_eq!(payloads(&copy), expected(count));
    }
}

#[test]
fn a_reader_beside_follows_a_rotation_and_is_told_of_another_outer_key() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1, &[&OLD]).expect("opens");
    append(&log, 0..3).expect("appends");
    let reader = options(Arc::new(vfs.clone()), 2, &[&OLD]).open_read_only().expect("opens");
    let both = options(Arc::new(vfs.clone()), 2, &[&NEW, &OLD]).open_read_only().expect("opens");
    log.rotate_keys(None).expect("rotates under the same outer key");
    append(&log, 3..5).expect("appends");
    reader.refresh().expect("follows");
    assert_eq!(payloads(&reader), expected(5));
    log.rotate_keys(Some(&NEW)).expect("rotates");
    append(&log, 5..7).expect("appends");
    let error = reader.refresh().expect_err("it lacks the new key");
    assert!(matches!(error, Error::Sealed { .. }), "{error}");
    both.refresh().expect("follows");
    assert_eq!(payloads(&both), expected(7));
}
