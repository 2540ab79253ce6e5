//! kimberlite-storage: a hash chain in segments. There, a torn tail wedged the stream, the
//! chain's head was wrong after rotation and restart, one flipped bit destroyed ninety good
//! records, and a renumbered record verified.

use super::log_options;
use cairn_codec::{BATCH_HEADER_LEN, BatchHeader, CodecRegistry};
use cairn_segment::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use cairn_segment::{
    CheckpointPolicy, Draft, Log, LogConfig, RecordDraft, RecordKind, VerifyOptions, verify_store,
};
use cairn_types::StreamId;
use cairn_vfs::{MemVfs, OpenMode, Vfs};

fn append(log: &Log, text: &str) {
    let mut draft = Draft::new();
    let record = RecordDraft::new(RecordKind::USER, StreamId::new(1));
    draft.push(record, text.as_bytes()).expect("fits");
    log.append(&draft).expect("appends");
}

fn texts(log: &Log) -> Vec<String> {
    let mut scan = log.scan_stream(StreamId::new(1), 0);
    let mut found = Vec::new();
    while let Some(record) = scan.next_record().expect("reads") {
        let payload = record.payload().expect("there");
        found.push(String::from_utf8_lossy(payload).into_owned());
    }
    found
}

fn len_of(vfs: &MemVfs, path: &str) -> usize {
    let file = vfs.open(path, OpenMode::Read).expect("opens");
    usize::try_from(file.len().expect("len")).expect("small")
}

#[test]
fn a_tail_torn_at_every_byte_opens_appends_reopens_and_verifies() {
    let vfs = MemVfs::new();
    let log = log_options(&vfs).open().expect("opens");
    append(&log, "first");
    let killed_early = vfs.fork();
    append(&log, "second, which is torn");
    let killed = vfs.fork();
    let path = "log/segment_000000.log";
    // Reserved space follows the batches; find where they end in both.
    let end_of = |vfs: &MemVfs| {
        let log = Log::options().vfs(std::sync::Arc::new(vfs.clone())).open_read_only();
        usize::try_from(log.expect("opens").stats().expect("stats").stored_len).expect("small")
    };
    let (first_end, end) = (end_of(&killed_early), end_of(&killed));
    for cut in first_end..end {
        let torn = killed.fork();
        torn.tamper(path, |bytes| bytes.truncate(cut));
        let log = log_options(&torn).open().expect("opens");
        assert_eq!(texts(&log), ["first"], "cut at {cut}");
        append(&log, "third");
        drop(log);
        let log = log_options(&torn).open().expect("opens again");
        assert_eq!(texts(&log), ["first", "third"], "cut at {cut}");
        assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
}

#[test]
fn the_head_is_right_after_every_rotation_and_restart() {
    let (one, many) = (MemVfs::new(), MemVfs::new());
    let log = log_options(&one).open().expect("opens");
    let mut rolled = log_options(&many).open().expect("opens");
    for number in 0..30 {
        append(&log, &format!("event {number}"));
        append(&rolled, &format!("event {number}"));
        if number % 3 == 0 {
            rolled.roll().expect("rolls");
        }
        if number % 5 == 0 {
            let head = rolled.head();
            drop(rolled);
            rolled = log_options(&many).open().expect("opens");
            assert_eq!(rolled.head(), head, "after {number}");
        }
        assert!(rolled.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
    assert_eq!(texts(&log), texts(&rolled));
}

#[test]
fn renumbered_reordered_dropped_and_doubled_records_are_refused() {
    let vfs = MemVfs::new();
    let log = log_options(&vfs).open().expect("opens");
    for number in 0..5 {
        append(&log, &format!("event {number}"));
    }
    drop(log);
    let path = "log/segment_000000.log";
    let file = vfs.open(path, OpenMode::Read).expect("opens");
    let mut bytes = vec![0; len_of(&vfs, path)];
    file.read_exact_at(0, &mut bytes).expect("reads");
    let head = bytes.first_chunk::<SEGMENT_HEADER_LEN>().expect("a header");
    let crc = SegmentHeader::decode(head).expect("valid").crc();
    let mut batches = Vec::new();
    let mut at = SEGMENT_HEADER_LEN;
    while let Ok(header) = BatchHeader::decode(&bytes[at..], &crc) {
        batches.push((header, bytes[at + BATCH_HEADER_LEN..at + header.total_len()].to_vec()));
        at += header.total_len();
    }
    let tail = bytes[at..].to_vec();
    assert_eq!(batches.len(), 5);
    // Whoever changes the file puts every checksum right again.
    let forged = |batches: &[(BatchHeader, Vec<u8>)]| {
        let copy = vfs.fork();
        copy.tamper(path, |content| {
            content.truncate(SEGMENT_HEADER_LEN);
            for (header, body) in batches {
                let header = BatchHeader { body_crc: crc.checksum(body), ..*header };
                content.extend_from_slice(&header.encode(&crc));
                content.extend_from_slice(body);
            }
            content.extend_from_slice(&tail);
        });
        let options = VerifyOptions::default();
        let report = verify_store(&copy, &CodecRegistry::standard(), &options).expect("readable");
        assert!(!report.is_intact(), "a forgery verified");
    };
    type Batches = Vec<(BatchHeader, Vec<u8>)>;
    let change = |edit: &dyn Fn(&mut Batches)| {
        let mut changed = batches.clone();
        edit(&mut changed);
        forged(&changed);
    };
    change(&|b| b.swap(1, 2));
    change(&|b| drop(b.remove(2)));
    change(&|b| b.insert(2, b[2].clone()));
    change(&|b| {
        // Reordered, with the numbers exchanged as well.
        b.swap(1, 2);
        let (first, second) = (b[1].0.first_lsn, b[2].0.first_lsn);
        b[1].0.first_lsn = second;
        b[2].0.first_lsn = first;
    });
    change(&|b| {
        // Renumbered: the sequence stands in the statement.
        let body = &mut b[3].1;
        let at = body.iter().position(|byte| *byte == 3).expect("the sequence");
        body[at] = 9;
    });
    change(&|b| {
        let body = &mut b[4].1;
        let last = body.len() - 1;
        body[last] ^= 1;
    });
}

#[test]
fn one_flipped_bit_costs_no_other_record() {
    let vfs = MemVfs::new();
    let log = log_options(&vfs).open().expect("opens");
    for number in 0..90 {
        append(&log, &format!("record {number}"));
    }
    drop(log);
    let len = len_of(&vfs, "log/segment_000000.log");
    vfs.tamper("log/segment_000000.log", |bytes| bytes[len / 2] ^= 1);
    // Also with the index gone, which had to be built again from the damaged segment.
    for path in vfs.paths().iter().filter(|path| path.ends_with(".idx")) {
        let with_index = vfs.fork();
        let log = log_options(&with_index).open().expect("opens");
        let readable = (0..90).filter(|lsn| log.read(cairn_types::Lsn::new(*lsn)).is_ok()).count();
        assert_eq!(readable, 89, "all but the damaged one");
        drop(log);
        vfs.remove(path).expect("removes");
    }
    let copy = vfs.fork();
    assert!(log_options(&vfs).open().is_err(), "damage below the watermark is never cut away");
    let vfs: std::sync::Arc<dyn Vfs> = std::sync::Arc::new(copy.clone());
    let repair = cairn_segment::Repair::plan(vfs, &CodecRegistry::standard());
    let repair = repair.expect("can be repaired").expect("is damaged");
    assert!(repair.end_lsn.get() > 30 && repair.lost_count() > 0);
    assert!(copy.paths().len() > 1, "nothing was removed by looking");
}

#[test]
fn the_checkpoint_policy_is_observed() {
    let vfs = MemVfs::new();
    let checkpoint = CheckpointPolicy { records: Some(10), interval: None };
    let config = LogConfig { checkpoint, background: false, ..LogConfig::default() };
    let log = log_options(&vfs).config(config).open().expect("opens");
    for number in 0..100 {
        append(&log, &number.to_string());
    }
    let stats = log.stats().expect("stats");
    assert!((9..=11).contains(&stats.checkpoint_count), "{}", stats.checkpoint_count);
}

#[test]
fn an_empty_or_missing_superblock_is_an_error_and_no_new_beginning() {
    let vfs = MemVfs::new();
    let log = log_options(&vfs).open().expect("opens");
    append(&log, "kept");
    drop(log);
    let empty = vfs.fork();
    empty.tamper("log/superblock", Vec::clear);
    let missing = vfs.fork();
    missing.remove("log/superblock").expect("removes");
    for damaged in [empty, missing] {
        assert!(log_options(&damaged).open().is_err());
        let shared: std::sync::Arc<dyn Vfs> = std::sync::Arc::new(damaged.clone());
        let repair = cairn_segment::Repair::plan(shared, &CodecRegistry::standard());
        let repair = repair.expect("can be repaired").expect("is damaged");
        repair.carry_out(&cairn_vfs::ManualClock::default()).expect("repairs");
        assert_eq!(texts(&log_options(&damaged).open().expect("opens")), ["kept"]);
    }
}
