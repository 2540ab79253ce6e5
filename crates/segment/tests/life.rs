//! Append, close, reopen, roll, retain.

use crate::store::*;
use cairn_segment::*;
use cairn_types::{Durability, Lsn, StreamId};
use cairn_vfs::{FaultKind, MemVfs, StdVfs};
use std::sync::Arc;

#[test]
fn records_survive_a_clean_stop_and_sequences_go_on() {
    let vfs = MemVfs::new();
    let mut expected = Vec::new();
    for round in 0..5_u64 {
        let log = open(&vfs);
        assert_eq!(log.recovery_report().created, round == 0);
        assert_eq!(log.recovery_report().clean, round > 0);
        assert_eq!(log.next_sequence(StreamId::new(1)), round * 2);
        assert_eq!(all(&log), expected);
        let payload = format!("round {round}").into_bytes();
        let appended = log.append(&draft(1, &[&payload, b"x"])).expect("appends");
        assert_eq!(appended.sequences, Sequences::Consecutive { first: round * 2, count: 2 });
        expected.extend([payload, b"x".to_vec()]);
        assert_eq!(all(&log), expected);
        assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
}

#[test]
fn the_chain_goes_on_over_rotation_and_restart() {
    let vfs = MemVfs::new();
    let mut head = None;
    for _ in 0..4 {
        let log = open(&vfs);
        if let Some(head) = head {
            assert_eq!(log.head(), head);
        }
        for number in 0..100_u32 {
            log.append(&draft(number % 3, &[&[7; 3000]])).expect("appends");
        }
        head = Some(log.head());
    }
    let log = open(&vfs);
    let report = log.verify(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.chain, Some(log.head().chain));
    assert!(report.segment_count >= 16, "{}", report.segment_count);
}

#[test]
fn a_log_without_writes_leaves_no_empty_segments() {
    let vfs = MemVfs::new();
    open(&vfs).append(&draft(1, &[b"x"])).expect("appends");
    let before = vfs.paths();
    for _ in 0..3 {
        drop(open(&vfs));
    }
    assert_eq!(vfs.paths(), before);
}

#[test]
fn two_openers_are_refused() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    let Err(Error::Vfs(error)) = open_with(&vfs, config()) else { panic!("opened twice") };
    assert_eq!(error.kind, FaultKind::Locked);
    drop(log);
    open(&vfs);
}

#[test]
fn a_wrong_expectation_changes_nothing() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    log.append(&draft(4, &[b"a"])).expect("appends");
    let expect = |next_sequence| [Expect { stream: StreamId::new(4), next_sequence }];
    let refused = log.append_expecting(&draft(4, &[b"b"]), &expect(0)).expect_err("conflict");
    assert!(matches!(refused, Error::SequenceConflict { expected: 0, actual: 1, .. }));
    log.append_expecting(&draft(4, &[b"b"]), &expect(1)).expect("appends");
    assert_eq!(all(&log), [b"a".to_vec(), b"b".to_vec()]);
}

#[test]
fn a_full_disk_refuses_cleanly_and_goes_on_after_space_is_freed() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    log.append(&draft(1, &[b"first"])).expect("appends");
    vfs.set_capacity(Some(100 << 10));
    let mut accepted = 1;
    let refused = loop {
        match log.append(&draft(1, &[&[1; 5000]])) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "the disk is never full");
    };
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused}");
    assert_eq!(all(&log).len(), accepted);
    vfs.set_capacity(None);
    log.append(&draft(1, &[b"again"])).expect("appends");
    assert_eq!(all(&log).len(), accepted + 1);
    drop(log);
    assert_eq!(all(&open(&vfs)).len(), accepted + 1);
}

#[test]
fn retention_drops_whole_segments_and_the_rest_still_verifies() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    for number in 0..100_u32 {
        log.append(&draft(1, &[&number.to_le_bytes(), &[7; 3000]])).expect("appends");
    }
    let retention = Retention { max_len: Some(150 << 10), ..Retention::default() };
    let dropped = log.retain(&retention).expect("retains");
    assert!(dropped.segment_count > 0);
    assert_eq!(log.start_lsn(), Lsn::new(dropped.record_count));
    assert!(matches!(log.read(Lsn::new(0)), Err(Error::OutOfRange { .. })));
    assert_eq!(log.first_sequence(StreamId::new(1)).expect("finds"), Some(dropped.record_count));
    assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    drop(log);
    let log = open(&vfs);
    assert_eq!(log.start_lsn(), Lsn::new(dropped.record_count));
    assert_eq!(log.next_sequence(StreamId::new(1)), 200);
    vfs.tamper("log/segment_000000.log", |_| panic!("the file is gone"));
}

#[test]
fn checkpoints_are_written_by_policy_and_on_demand() {
    let vfs = MemVfs::new();
    let policy = CheckpointPolicy { records: Some(10), interval: None };
    let log = open_with(&vfs, LogConfig { checkpoint: policy, ..config() }).expect("opens");
    for _ in 0..35 {
        log.append(&draft(1, &[b"x"])).expect("appends");
    }
    assert_eq!(log.stats().expect("stats").checkpoint_count, 3);
    let before = log.head();
    let appended = log.checkpoint().expect("appends");
    let record = log.read(appended.first_lsn).expect("reads");
    let checkpoint = checkpoint::Checkpoint::decode(&record.payload.expect("there"));
    let checkpoint = checkpoint.expect("valid");
    assert_eq!(checkpoint.chain, before.chain);
    assert_eq!(checkpoint.tree_size, before.next_lsn.get());
    let found = log.checkpoint_before(Lsn::new(25)).expect("finds").expect("there is one");
    assert!(found <= Lsn::new(25) && found >= Lsn::new(15), "{found}");
}

#[test]
fn many_threads_share_their_syncs_and_lose_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    for durability in [Durability::Sync, Durability::Buffered] {
        let path = dir.path().join(durability.to_string());
        let config = LogConfig { durability, segment_size: 1 << 20, ..LogConfig::default() };
        let vfs = Arc::new(StdVfs::create(&path).expect("creates"));
        let log = Log::options().vfs(vfs).config(config.clone()).open().expect("opens");
        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let log = log.clone();
                scope.spawn(move || {
                    for number in 0..200_u32 {
                        let payload = [thread.to_le_bytes(), number.to_le_bytes()].concat();
                        let appended = log.append(&draft(thread, &[&payload])).expect("appends");
                        assert_eq!(appended.sequences.get(0), Some(u64::from(number)));
                        assert!(log.visible_end() > appended.first_lsn);
                    }
                });
            }
        });
        assert_eq!(all(&log).len(), 1600);
        log.close().expect("closes");
        assert!(matches!(log.append(&draft(1, &[b"x"])), Err(Error::Closed)));
        drop(log);
        let log = Log::open(&path).expect("opens");
        assert_eq!(all(&log).len(), 1600);
        assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
}

#[test]
fn a_chosen_sequence_does_not_go_back() {
    let log = open(&MemVfs::new());
    let stream = StreamId::new(1);
    let chosen = |sequences: &[SequenceRule]| {
        let mut draft = Draft::new();
        for sequence in sequences {
            let record =
                RecordDraft { sequence: *sequence, ..RecordDraft::new(RecordKind::USER, stream) };
            draft.push(record, b"x").expect("fits");
        }
        log.append(&draft).map(|appended| appended.sequences)
    };
    let (at, next) = (SequenceRule::At, SequenceRule::Next);
    assert_eq!(
        chosen(&[at(5), next]).expect("a gap"),
        Sequences::Consecutive { first: 5, count: 2 }
    );
    for refused in [&[at(6)][..], &[at(9), at(9)], &[next, at(7)]] {
        let refused = chosen(refused).expect_err("goes back");
        assert!(matches!(refused, Error::SequenceConflict { .. }), "{refused}");
    }
    let refused = chosen(&[at(u64::MAX >> 1), at(u64::MAX - 1)]).expect_err("leaves no room");
    assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    assert_eq!(log.next_sequence(stream), 7, "nothing was changed");
    assert_eq!(log.read_stream(stream, 6).expect("reads").lsn, Lsn::new(1));
}
