//! Backups: whole, incremental, of a log that is being written; and cut to a place.

use crate::store::*;
use cairn_codec::CodecRegistry;
use cairn_segment::*;
use cairn_types::Lsn;
use cairn_vfs::{ManualClock, MemVfs, Vfs};
use std::sync::Arc;

#[test]
fn a_backup_opens_as_what_was_there_and_the_next_one_copies_only_what_is_new() {
    let (vfs, target) = (MemVfs::new(), MemVfs::new());
    let log = open(&vfs);
    for number in 0..30_u8 {
        log.append(&draft(1, &[&[number; 50]])).expect("appends");
        if number % 10 == 9 {
            log.roll().expect("rolls");
        }
    }
    log.append(&draft(1, &[b"unsealed"])).expect("appends");
    let first = log.backup(&target, None).expect("backs up");
    assert_eq!((first.copied_count, first.kept_count, first.end_lsn.get()), (4, 0, 31));
    let copy = target.fork();
    let restored = open(&copy);
    assert_eq!((all(&restored), restored.head()), (all(&log), log.head()));
    restored.append(&draft(1, &[b"goes its own way"])).expect("appends");
    assert!(restored.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    // Incremental, after more was written and a segment was cleaned.
    log.roll().expect("rolls");
    log.append(&draft(1, &[b"newer"])).expect("appends");
    let mut erase = |lsn: Lsn, _: &cairn_codec::RecordView<'_>| {
        if lsn.get() == 3 { Fate::Erase } else { Fate::Keep }
    };
    log.clean(&mut erase, &CleanOptions::default()).expect("cleans");
    let second = log.backup(&target, None).expect("backs up");
    assert_eq!((second.copied_count, second.kept_count), (3, 2), "{second:?}");
    let restored = open(&target);
    assert_eq!(restored.head(), log.head());
    assert_eq!(restored.read(Lsn::new(3)).expect("reads").payload, None);
}

#[test]
fn a_backup_into_another_store_is_refused() {
    let (vfs, other) = (MemVfs::new(), MemVfs::new());
    let options = Log::options().vfs(Arc::new(other.clone())).config(config());
    options.open().expect("opens").append(&draft(1, &[b"x"])).expect("appends");
    let refused = open(&vfs).backup(&other, None).expect_err("another store");
    assert!(matches!(refused, Error::ForeignSegment { .. }), "{refused}");
}

#[test]
fn a_backup_that_was_opened_is_brought_up_and_one_that_is_ahead_is_not_touched() {
    let (vfs, target) = (MemVfs::new(), MemVfs::new());
    let log = open(&vfs);
    let write = |numbers: std::ops::Range<u8>| {
        for number in numbers {
            log.append(&draft(1, &[&[number; 50]])).expect("appends");
        }
    };
    write(0..10);
    let older = vfs.fork();
    log.backup(&target, None).expect("backs up");
    // Who only looks at it has its tail recovered, into a segment of its own.
    drop(open(&target));
    write(10..20);
    log.backup(&target, None).expect("backs up");
    let restored = open(&target.fork());
    assert_eq!((all(&restored), restored.head()), (all(&log), log.head()));

    for round in 2..5 {
        log.roll().expect("rolls");
        write(round * 10..round * 10 + 10);
    }
    log.backup(&target, None).expect("backs up");
    let refused = open(&older).backup(&target, None).expect_err("it would go back");
    assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    let restored = open(&target.fork());
    assert_eq!((all(&restored), restored.head()), (all(&log), log.head()));
}

#[test]
fn a_backup_while_others_write_is_a_prefix_of_the_log() {
    let (vfs, target) = (MemVfs::new(), MemVfs::new());
    let log = open(&vfs);
    std::thread::scope(|scope| {
        let writer = log.clone();
        scope.spawn(move || {
            for number in 0..2000_u32 {
                writer.append(&draft(1, &[&number.to_le_bytes()])).expect("appends");
                if number % 300 == 0 {
                    writer.roll().expect("rolls");
                }
            }
        });
        for _ in 0..5 {
            log.backup(&target, None).expect("backs up");
            let copy = open(&target.fork());
            for (number, payload) in all(&copy).iter().enumerate() {
                assert_eq!(payload[..], u32::try_from(number).expect("small").to_le_bytes());
            }
            assert!(copy.verify(&VerifyOptions::default()).expect("verifies").is_intact());
        }
    });
}

#[test]
fn a_copy_is_cut_to_any_batch() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    for number in 0..12_u8 {
        log.append(&draft(1, &[&[number; 9], b"second"])).expect("appends");
        if number % 5 == 4 {
            log.roll().expect("rolls");
        }
    }
    let expected = all(&log);
    for until in 0..=24_u64 {
        let copy = MemVfs::new();
        log.backup(&copy, None).expect("backs up");
        let vfs: Arc<dyn Vfs> = Arc::new(copy.clone());
        let registry = CodecRegistry::standard();
        cut(vfs, &registry, &ManualClock::default(), Lsn::new(until)).expect("cuts");
        let restored = open(&copy);
        // Never half a batch.
        let kept = usize::try_from(until / 2 * 2).expect("small");
        assert_eq!(all(&restored), expected[..kept], "until {until}");
        restored.append(&draft(1, &[b"goes on"])).expect("appends");
        assert!(restored.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
}
