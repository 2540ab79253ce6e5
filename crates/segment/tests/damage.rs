//! Torn tails, flipped bits, lost, foreign and reordered files: reported with their place,
//! never a wrong answer, never a panic.

use crate::store::*;
use cairn_codec::{BATCH_HEADER_LEN, BatchHeader, CodecRegistry};
use cairn_segment::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use cairn_segment::*;
use cairn_types::ErrorKind;
use cairn_vfs::{MemVfs, OpenMode, Vfs};

/// A store with three segments, closed cleanly.
fn sample() -> (MemVfs, Vec<Vec<u8>>) {
    let vfs = MemVfs::new();
    let mut expected = Vec::new();
    for round in 0..3_u8 {
        let log = open(&vfs);
        for number in 0..3_u8 {
            let payload = vec![round * 16 + number; 20];
            log.append(&draft(1, &[&payload, b"y"])).expect("appends");
            expected.extend([payload, b"y".to_vec()]);
        }
    }
    (vfs, expected)
}

fn verify(vfs: &MemVfs) -> VerifyReport {
    verify_store(vfs, &CodecRegistry::standard(), &VerifyOptions::default()).expect("readable")
}

#[test]
fn every_flipped_bit_is_reported_with_its_place_or_lies_in_unused_bytes() {
    let (vfs, expected) = sample();
    assert!(verify(&vfs).is_intact());
    let mut unused = 0;
    for path in vfs.paths() {
        let len = vfs.open(&path, OpenMode::Read).expect("opens").len().expect("len");
        for bit in 0..len * 8 {
            let damaged = vfs.fork();
            let byte = usize::try_from(bit / 8).expect("small");
            damaged.tamper(&path, |bytes| bytes[byte] ^= 1 << (bit % 8));
            let report = verify(&damaged);
            let derived = path.ends_with(".idx");
            let found = if derived { &report.derived_damage } else { &report.damage };
            // Between the slots of the superblock lies padding that nobody reads.
            let padding = path == "log/superblock" && (128..4096).contains(&byte);
            if padding {
                unused += 1;
                assert!(found.is_empty());
            } else {
                assert!(!found.is_empty(), "{path} bit {bit} not reported");
                assert!(found.iter().any(|finding| finding.file == path), "{path} {found:?}");
            }
            if bit % 37 == 0
                && let Ok(log) = open_with(&damaged, config())
            {
                read_all_or_report(&log, &expected, &path, bit);
            }
        }
    }
    assert_eq!(unused, (4096 - 128) * 8);
}

/// Reads everything: right answers, or an error.
fn read_all_or_report(log: &Log, expected: &[Vec<u8>], path: &str, bit: u64) {
    let mut scan = log.scan(log.start_lsn());
    let mut count = 0;
    loop {
        match scan.next_record() {
            Ok(Some(record)) => {
                let payload = record.payload().expect("there");
                assert_eq!(payload, expected[count], "{path} bit {bit}: wrong answer");
                count += 1;
            }
            Ok(None) => {
                assert_eq!(count, expected.len(), "{path} bit {bit}: records lost in silence");
                return;
            }
            Err(_) => return,
        }
    }
}

/// A store whose process died: the last segment is not sealed.
fn killed() -> (MemVfs, Vec<Vec<u8>>, String) {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    let mut expected = Vec::new();
    for number in 0..4_u8 {
        let payload = vec![number; 40];
        log.append(&draft(1, &[&payload])).expect("appends");
        expected.push(payload);
    }
    (vfs.fork(), expected, "log/segment_000000.log".to_owned())
}

fn end_of_batches(vfs: &MemVfs) -> usize {
    let log = Log::options().vfs(std::sync::Arc::new(vfs.clone())).open_read_only().expect("opens");
    usize::try_from(log.stats().expect("stats").stored_len).expect("small")
}

#[test]
fn a_tail_torn_at_every_byte_opens_appends_reopens_and_verifies() {
    let (vfs, expected, path) = killed();
    let end = end_of_batches(&vfs);
    let start_of_last = {
        let shorter = vfs.fork();
        shorter.tamper(&path, |bytes| bytes.truncate(end - 1));
        end_of_batches(&shorter)
    };
    for cut in start_of_last..=end {
        for zeroed in [false, true] {
            let torn = vfs.fork();
            torn.tamper(
                &path,
                |bytes| {
                    if zeroed { bytes[cut..].fill(0) } else { bytes.truncate(cut) }
                },
            );
            let log = open(&torn);
            let mut kept = expected.clone();
            if cut < end {
                kept.pop();
            }
            assert_eq!(all(&log), kept, "cut at {cut}");
            log.append(&draft(1, &[b"after"])).expect("appends");
            drop(log);
            kept.push(b"after".to_vec());
            let log = open(&torn);
            assert_eq!(all(&log), kept, "cut at {cut}");
            assert!(verify(&torn).is_intact(), "cut at {cut}");
        }
    }
}

#[test]
fn damage_below_the_watermark_is_never_cut() {
    let (vfs, _, path) = killed();
    let end = end_of_batches(&vfs);
    let before = vfs.fork();
    // The last header proves the first three batches durable.
    for byte in (256..end - 300).step_by(7) {
        let damaged = before.fork();
        damaged.tamper(&path, |bytes| bytes[byte] ^= 1);
        let Err(error) = open_with(&damaged, config()) else { panic!("byte {byte} was cut") };
        let Error::Corrupt(corruption) = error else { panic!("byte {byte}: {error}") };
        assert_eq!(corruption.file, path);
        assert!(corruption.position <= byte as u64, "{corruption}");
    }
}

#[test]
fn missing_duplicated_and_foreign_segments_are_named() {
    let (vfs, _) = sample();
    let path = |number| format!("log/segment_{number:06}.log");
    let copy = |vfs: &MemVfs, from: &str| {
        let file = vfs.open(from, OpenMode::Read).expect("opens");
        let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
        file.read_exact_at(0, &mut bytes).expect("reads");
        bytes
    };
    for number in 0..3 {
        let damaged = vfs.fork();
        damaged.remove(&path(number)).expect("removes");
        let refused = open_with(&damaged, config()).expect_err("a segment is missing");
        let Error::MissingSegment { segment } = refused else { panic!("{refused}") };
        assert_eq!(segment.get(), number);
    }
    let swapped = vfs.fork();
    let second = copy(&vfs, &path(1));
    swapped.tamper(&path(0), |bytes| *bytes = second);
    assert!(matches!(open_with(&swapped, config()), Err(Error::DuplicateSegment { .. })));
    // Another store's segment of the same number.
    let other = MemVfs::new();
    let options = Log::options().vfs(std::sync::Arc::new(other.clone())).config(config());
    options.open().expect("opens").append(&draft(1, &[b"x"])).expect("appends");
    let foreign = copy(&other, &path(0));
    let mixed = vfs.fork();
    mixed.tamper(&path(0), |bytes| *bytes = foreign);
    assert!(matches!(open_with(&mixed, config()), Err(Error::ForeignSegment { .. })));
    let headless = vfs.fork();
    headless.remove("CAIRN").expect("removes");
    assert!(matches!(open_with(&headless, config()), Err(Error::Corrupt(_))));
}

#[test]
fn views_are_rebuilt_when_only_the_truth_is_left() {
    let (vfs, expected) = sample();
    for path in vfs.paths() {
        if path.ends_with(".idx") {
            vfs.remove(&path).expect("removes");
        }
    }
    let log = open(&vfs);
    assert_eq!(all(&log), expected);
    assert_eq!(log.next_sequence(cairn_types::StreamId::new(1)), 18);
}

/// Changes the second batch of the first segment; its checksums are those of the change.
fn rewrite_header(vfs: &MemVfs, change: impl Fn(&mut [u8])) {
    vfs.tamper("log/segment_000000.log", |bytes| {
        let head = bytes.first_chunk::<SEGMENT_HEADER_LEN>().expect("a header");
        let crc = SegmentHeader::decode(head).expect("valid").crc();
        let first = BatchHeader::decode(&bytes[SEGMENT_HEADER_LEN..], &crc).expect("valid");
        let batch = &mut bytes[SEGMENT_HEADER_LEN + first.total_len()..][..BATCH_HEADER_LEN];
        change(batch);
        let check = crc.checksum(&batch[..BATCH_HEADER_LEN - 4]);
        batch[BATCH_HEADER_LEN - 4..].copy_from_slice(&check.to_le_bytes());
    });
}

#[test]
fn what_a_newer_program_wrote_is_no_damage_and_stays_as_it_is() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    for payload in [b"a", b"b", b"c"] {
        log.append(&draft(1, &[payload])).expect("appends");
    }
    let content = |vfs: &MemVfs| {
        let mut content = Vec::new();
        vfs.tamper("log/segment_000000.log", |bytes| content.clone_from(bytes));
        content
    };
    // A version, a flag and a codec that this program does not know, in the tail of a log whose
    // machine lost power, and below its end.
    for (at, byte, closed) in
        [(4, 2, false), (6, 4, false), (5, 70, false), (4, 2, true), (6, 4, true), (5, 70, true)]
    {
        let newer = vfs.fork();
        if closed {
            open(&newer).close().expect("closes");
        }
        rewrite_header(&newer, |header| header[at] = byte);
        let before = content(&newer);
        let registry = CodecRegistry::standard();
        let verified = verify_store(&newer, &registry, &VerifyOptions::default());
        assert_eq!(verified.expect_err("unknown").kind(), ErrorKind::Unsupported, "{at} {closed}");
        let plan = Repair::plan(std::sync::Arc::new(newer.clone()), &registry);
        assert_eq!(plan.expect_err("unknown").kind(), ErrorKind::Unsupported, "{at} {closed}");
        let (opened, read) = match open_with(&newer, config()) {
            Ok(log) => (true, log.read(cairn_types::Lsn::new(1)).map(drop)),
            Err(error) => (false, Err(error)),
        };
        assert_eq!(read.expect_err("unknown").kind(), ErrorKind::Unsupported, "{at} {closed}");
        // A recovery that knows the format moves the tail behind it.
        assert!(opened || content(&newer) == before, "{at} {closed}");
    }
}
