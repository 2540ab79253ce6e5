//! Logs whose batches are encrypted: nothing in the clear, everything still found, and no key, no
//! change.

use std::sync::Arc;

use cairn_codec::{CodecRegistry, RecordView};
use cairn_segment::*;
use cairn_types::{Durability, Lsn};
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, SimConfig, SimVfs, Vfs};

use crate::store::{all, draft};

const CANARY: &[u8] = b"canary-that-must-not-be-seen";
const KEY: [u8; 32] = [42; 32];

fn options(vfs: Arc<dyn Vfs>, seed: u64, durability: Durability) -> LogOptions {
    let config =
        LogConfig { segment_size: 64 << 10, background: false, durability, ..LogConfig::default() };
    let clock = Arc::new(ManualClock::default());
    Log::options().vfs(vfs).clock(clock).rng(Arc::new(SeededRng::new(seed))).config(config)
}

fn open(vfs: &MemVfs, seed: u64) -> Log {
    let options = options(Arc::new(vfs.clone()), seed, Durability::Sync);
    options.sealing_key(&KEY).open().expect("opens")
}

fn payload(number: u64) -> Vec<u8> {
    [CANARY, number.to_string().as_bytes()].concat()
}

fn append(log: &Log, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let payload = payload(number);
        let mut draft = draft(1, &[&payload, b"beside it"]);
        let keyed = RecordDraft {
            key: Some(CANARY),
            ..RecordDraft::new(RecordKind::USER, cairn_types::StreamId::new(2))
        };
        draft.push(keyed, b"under a key").expect("fits");
        log.append(&draft).expect("appends");
    }
}

/// Bytes of every file.
fn files(vfs: &MemVfs) -> Vec<(String, Vec<u8>)> {
    let read = |path: String| {
        let file = vfs.open(&path, OpenMode::Read).expect("opens");
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
        file.read_exact_at(0, &mut bytes).expect("reads");
        (path, bytes)
    };
    vfs.paths().into_iter().map(read).collect()
}

fn assert_unseen(vfs: &MemVfs, when: &str) {
    for (path, bytes) in files(vfs) {
        let seen = bytes.windows(CANARY.len()).any(|window| window == CANARY);
        assert!(!seen, "{when}: the canary is in {path}");
    }
}

fn payloads(log: &Log) -> Vec<Vec<u8>> {
    all(log).into_iter().filter(|payload| payload.starts_with(CANARY)).collect()
}

#[test]
fn a_canary_is_in_no_file_while_written_rolled_recovered_cleaned_and_backed_up() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1);
    append(&log, 0..50);
    assert_unseen(&vfs, "written");
    log.roll().expect("rolls");
    append(&log, 50..60);
    let copy = vfs.fork();
    drop(log);
    // A process that died: the tail is copied into another segment, under another key.
    let log = open(&copy, 2);
    assert!(log.recovery_report().copied_records > 0 || log.visible_end() > Lsn::new(0));
    assert_unseen(&copy, "recovered");
    let expected: Vec<Vec<u8>> = (0..60).map(payload).collect();
    assert_eq!(payloads(&log), expected);
    log.roll().expect("rolls");
    let mut fate = |lsn: Lsn, _: &RecordView<'_>| match lsn.get() {
        0..30 => Fate::Erase,
        _ => Fate::Keep,
    };
    log.clean(&mut fate, &CleanOptions::default()).expect("cleans");
    assert_unseen(&copy, "cleaned");
    assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    let backup = MemVfs::new();
    log.backup(&backup, None).expect("backs up");
    assert_unseen(&backup, "backed up");
    assert_eq!(log.read_verified(Lsn::new(100)).expect("reads").record.lsn, Lsn::new(100));
    log.close().expect("closes");
    drop(log);
    assert_unseen(&copy, "closed");
    let reopened = open(&copy, 3);
    assert!(reopened.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    let follower = options(Arc::new(copy.clone()), 4, Durability::Sync);
    let follower = follower.sealing_key(&KEY).open_read_only().expect("opens");
    append(&reopened, 60..62);
    follower.refresh().expect("refreshes");
    assert_eq!(follower.visible_end(), reopened.visible_end());
}

#[test]
fn a_wrong_or_missing_key_is_a_clear_error_and_changes_nothing() {
    let vfs = MemVfs::new();
    let log = open(&vfs, 1);
    append(&log, 0..5);
    let torn = vfs.fork();
    log.close().expect("closes");
    drop(log);
    for store in [vfs, torn] {
        let before = files(&store);
        let with = |key: Option<&[u8]>| {
            let options = options(Arc::new(store.clone()), 9, Durability::Sync);
            match key {
                Some(key) => options.sealing_key(key),
                None => options,
            }
        };
        for key in [None, Some([43; 32])] {
            let key = key.as_ref().map(|key| &key[..]);
            let refused = |result: Result<Log>| {
                let error = result.expect_err("refused");
                assert!(matches!(error, Error::Sealed { .. }), "{error}");
                assert!(error.to_string().contains("encrypted"), "{error}");
            };
            refused(with(key).open());
            refused(with(key).open_read_only());
            let mut registry = CodecRegistry::standard();
            if let Some(key) = key {
                registry = registry.with_sealing_key(key).expect("a key");
            }
            let verified = verify_store(&store, &registry, &VerifyOptions::default());
            assert!(matches!(verified, Err(Error::Sealed { .. })));
            let repaired = Repair::plan(Arc::new(store.clone()), &registry);
            assert!(matches!(repaired, Err(Error::Sealed { .. }) | Ok(None)), "{repaired:?}");
        }
        assert!(matches!(with(Some(&[0; 32])).open(), Err(Error::Invalid { .. })));
        let mut after = files(&store);
        after.retain(|(path, _)| path != "LOCK");
        let mut before = before;
        before.retain(|(path, _)| path != "LOCK");
        assert_eq!(after, before);
        assert_eq!(payloads(&with(Some(&KEY)).open().expect("opens")).len(), 5);
    }
}

#[test]
fn a_log_is_encrypted_from_the_next_segment_on_and_what_was_before_still_reads() {
    let vfs = MemVfs::new();
    let log = options(Arc::new(vfs.clone()), 1, Durability::Sync).open().expect("opens");
    append(&log, 0..3);
    log.close().expect("closes");
    drop(log);
    let log = open(&vfs, 2);
    append(&log, 3..6);
    log.close().expect("closes");
    drop(log);
    let without = options(Arc::new(vfs.clone()), 3, Durability::Sync).open();
    assert!(matches!(without, Err(Error::Sealed { .. })));
    let log = open(&vfs, 4);
    assert_eq!(payloads(&log), (0..6).map(payload).collect::<Vec<_>>());
}

#[test]
fn the_chain_is_the_same_with_and_without_encryption() {
    let chain = |key: Option<&[u8]>| {
        let options = options(Arc::new(MemVfs::new()), 1, Durability::Sync);
        let options = match key {
            Some(key) => options.sealing_key(key),
            None => options,
        };
        let log = options.open().expect("opens");
        append(&log, 0..10);
        log.append(&draft(1, &[b"last"])).expect("appends").chain
    };
    assert_eq!(chain(None), chain(Some(&KEY)));
}

#[test]
fn acknowledged_encrypted_batches_survive_a_crash_at_any_step() {
    let mut crashes = 0;
    for operations in 1..400 {
        let vfs = SimVfs::new(operations, SimConfig::default());
        vfs.crash_after(operations);
        let mut acknowledged = 0;
        let open = |seed| {
            let options = options(Arc::new(vfs.clone()), seed, Durability::Sync);
            options.sealing_key(&KEY).open()
        };
        if let Ok(log) = open(operations * 10) {
            for number in 0..40 {
                if number % 15 == 14 && log.roll().is_err() {
                    break;
                }
                if log.append(&draft(1, &[&payload(number)])).is_err() {
                    break;
                }
                acknowledged = number + 1;
            }
        }
        if !vfs.is_down() {
            break;
        }
        crashes += 1;
        vfs.power_crash();
        let log = open(operations * 10 + 1).unwrap_or_else(|error| panic!("{operations}: {error}"));
        let found = payloads(&log);
        assert!(found.len() as u64 >= acknowledged, "{operations}");
        assert!(found.iter().zip(0..).all(|(found, number)| *found == payload(number)));
        assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
    assert!(crashes > 50, "{crashes}");
}
