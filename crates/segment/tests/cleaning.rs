//! Cleaning: payloads go, leaves and chain stay.

use crate::store::*;
use std::ops::ControlFlow;

use cairn_codec::RecordView;
use cairn_segment::*;
use cairn_types::{Lsn, SegmentId, StreamId};
use cairn_vfs::{MemVfs, OpenMode, Vfs};

/// Erases every record with this LSN.
fn erase(wanted: u64) -> impl FnMut(Lsn, &RecordView<'_>) -> Fate {
    move |lsn, _| if lsn.get() == wanted { Fate::Erase } else { Fate::Keep }
}

fn bytes_of(vfs: &MemVfs, path: &str) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::Read).expect("opens");
    let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
    file.read_exact_at(0, &mut bytes).expect("reads");
    bytes
}

fn contains(vfs: &MemVfs, needle: &[u8]) -> bool {
    vfs.paths().iter().any(|path| bytes_of(vfs, path).windows(needle.len()).any(|w| w == needle))
}

#[test]
fn erased_bytes_are_in_no_file_and_the_head_is_the_same() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    log.append(&draft(1, &[b"keep me", b"plaintext to forget"])).expect("appends");
    log.roll().expect("rolls");
    log.append(&draft(1, &[b"later"])).expect("appends");
    let head = log.head();
    let leaf = log.read(Lsn::new(1)).expect("reads").leaf;
    assert!(contains(&vfs, b"plaintext to forget"));
    let cleaned = log.clean(&mut erase(1), &CleanOptions::default()).expect("cleans");
    assert_eq!((cleaned.replaced_count, cleaned.erased_count), (1, 1));
    let record = log.read(Lsn::new(1)).expect("reads");
    assert_eq!((record.payload, record.leaf), (None, leaf));
    assert_eq!(log.read(Lsn::new(0)).expect("reads").payload.as_deref(), Some(&b"keep me"[..]));
    assert!(!contains(&vfs, b"plaintext to forget"));
    let report = log.verify(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.erased_count, 1);
    assert_eq!(log.head(), head);
    drop(log);
    let log = open(&vfs);
    assert_eq!(log.head(), head);
    assert_eq!(log.read(Lsn::new(1)).expect("reads").payload, None);
    // Again: nothing is left to do.
    let again = log.clean(&mut erase(1), &CleanOptions::default()).expect("cleans");
    assert_eq!(again.replaced_count, 0);
}

#[test]
fn dropping_keeps_sequences_and_never_takes_a_streams_newest_record() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    for number in 0..40_u8 {
        log.append(&draft(u32::from(number % 3) + 1, &[&[number; 200]])).expect("appends");
        if number % 10 == 9 {
            log.roll().expect("rolls");
        }
    }
    log.append(&draft(9, &[b"other stream"])).expect("appends");
    let next = log.next_sequence(StreamId::new(1));
    let mut all_go = |_: Lsn, _: &RecordView<'_>| Fate::Drop;
    let cleaned = log.clean(&mut all_go, &CleanOptions::default()).expect("cleans");
    assert_eq!((cleaned.dropped_count, cleaned.erased_count), (37, 3));
    assert!(cleaned.len_after < cleaned.len_before, "{cleaned:?}");
    assert_eq!(log.first_sequence(StreamId::new(1)).expect("index"), Some(next - 1));
    let mut scan = log.scan_stream(StreamId::new(1), 0);
    let record = scan.next_record().expect("reads").expect("the newest stays");
    assert_eq!((record.view.sequence, record.payload()), (next - 1, None));
    drop((scan, log));
    let log = open(&vfs);
    assert_eq!(log.next_sequence(StreamId::new(1)), next);
    assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    let appended = log.append(&draft(1, &[b"goes on"])).expect("appends");
    assert_eq!(appended.sequences.get(0), Some(next));
}

#[test]
fn what_a_second_cleaning_drops_is_what_was_asked_for() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    let payloads: Vec<[u8; 50]> = (0..8_u8).map(|number| [number; 50]).collect();
    let batch: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
    for _ in 0..2 {
        log.append(&draft(1, &batch)).expect("appends");
    }
    log.roll().expect("rolls");
    log.append(&draft(1, &[b"end"])).expect("appends");
    let mut gone: Vec<u64> = Vec::new();
    for wanted in [1, 2, 9, 5, 14] {
        let mut drop = |lsn: Lsn, _: &RecordView<'_>| {
            if lsn.get() == wanted { Fate::Drop } else { Fate::Keep }
        };
        let cleaned = log.clean(&mut drop, &CleanOptions::default()).expect("cleans");
        assert_eq!(cleaned.dropped_count, 1);
        gone.push(wanted);
        for lsn in 0..16 {
            let payload = log.read(Lsn::new(lsn)).expect("reads").payload;
            assert_eq!(payload.is_none(), gone.contains(&lsn), "{lsn} after {gone:?}");
        }
    }
    assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
}

#[test]
fn a_pace_is_told_every_byte_and_can_end_a_cleaning_that_changes_nothing_then() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    for number in 0..20_u8 {
        log.append(&draft(1, &[&[number; 300]])).expect("appends");
    }
    log.roll().expect("rolls");
    log.append(&draft(1, &[b"end"])).expect("appends");
    let told = std::cell::Cell::new(0);
    let pace = |stop: bool| {
        let told = &told;
        move |len| {
            told.set(told.get() + len);
            if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    };
    let stopped = pace(true);
    let options = CleanOptions { pace: Some(&stopped), ..CleanOptions::default() };
    assert!(matches!(log.clean(&mut erase(1), &options), Err(Error::Closed)));
    assert_eq!(log.read(Lsn::new(1)).expect("reads").payload.map(|p| p.len()), Some(300));
    assert!(!vfs.paths().iter().any(|path| path.ends_with(".tmp")));
    let (going, before) = (pace(false), told.replace(0));
    let options = CleanOptions { pace: Some(&going), ..CleanOptions::default() };
    assert_eq!(log.clean(&mut erase(1), &options).expect("cleans").erased_count, 1);
    assert!(before > 0 && told.get() >= 6000, "{before}, {}", told.get());
    let other = CleanOptions { segment: Some(SegmentId::new(1)), ..CleanOptions::default() };
    assert_eq!(log.clean(&mut erase(2), &other).expect("cleans").replaced_count, 0);
}

#[test]
fn a_reader_that_holds_the_old_file_reads_on() {
    let vfs = MemVfs::new();
    let log = open_with(&vfs, LogConfig { io: IoMode::Pread, ..config() }).expect("opens");
    for number in 0..20_u8 {
        log.append(&draft(1, &[&[number; 300]])).expect("appends");
    }
    log.roll().expect("rolls");
    log.append(&draft(1, &[b"end"])).expect("appends");
    let mut scan = log.scan(Lsn::new(0));
    for number in 0..5_u8 {
        let record = scan.next_record().expect("reads").expect("there");
        assert_eq!(record.payload(), Some(&[number; 300][..]));
    }
    let mut all_go = |_: Lsn, _: &RecordView<'_>| Fate::Drop;
    log.clean(&mut all_go, &CleanOptions::default()).expect("cleans");
    for number in 5..20_u8 {
        let record = scan.next_record().expect("reads").expect("there");
        // A new reader in between must not be served the old file's batches.
        let fresh = log.read(Lsn::new(u64::from(number))).expect("reads");
        assert_eq!(fresh.payload, None);
        if let Some(payload) = record.payload() {
            assert_eq!(payload, [number; 300]);
        }
    }
}

#[test]
fn a_full_disk_stops_cleaning_and_leaves_everything_readable() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    for number in 0..20_u8 {
        log.append(&draft(1, &[&[number; 300]])).expect("appends");
    }
    log.roll().expect("rolls");
    log.append(&draft(1, &[b"end"])).expect("appends");
    let used = vfs.paths().iter().map(|path| bytes_of(&vfs, path).len() as u64).sum::<u64>();
    vfs.set_capacity(Some(used + 500));
    let refused = log.clean(&mut erase(1), &CleanOptions::default()).expect_err("no room");
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused}");
    assert_eq!(all(&log).len(), 21);
    assert!(!vfs.paths().iter().any(|path| path.ends_with(".tmp")));
    vfs.set_capacity(None);
    assert_eq!(log.clean(&mut erase(1), &CleanOptions::default()).expect("cleans").erased_count, 1);
}
