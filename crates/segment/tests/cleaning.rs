//! Cleaning: payloads go, leaves and chain stay.

use crate::store::*;
use cairn_codec::RecordView;
use cairn_segment::*;
use cairn_types::{Lsn, StreamId};
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
