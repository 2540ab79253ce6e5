//! Reading by LSN, by stream, by time, compressed and not, and while another process writes.

use crate::store::*;
use cairn_segment::*;
use cairn_types::{Lsn, StreamId, Timestamp};
use cairn_vfs::{MemVfs, StdVfs};
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_log_reads_like_a_list(
        batches in proptest::collection::vec(
            proptest::collection::vec((0_u32..3, 0_usize..3000, -50_i64..50), 1..20), 1..40),
        compress: bool,
        reopen in 0_usize..40,
    ) {
        let vfs = MemVfs::new();
        let compression = if compress { Compression::Lz4 } else { Compression::None };
        let config = LogConfig { compression, ..config() };
        let mut log = open_with(&vfs, config.clone()).expect("opens");
        let mut model: Vec<(u32, u64, usize, i64)> = Vec::new();
        let mut next = [0_u64; 3];
        for (number, batch) in batches.iter().enumerate() {
            if number == reopen {
                drop(log);
                log = open_with(&vfs, config.clone()).expect("opens");
            }
            let mut draft = Draft::new();
            for (stream, len, time) in batch {
                let record = RecordDraft {
                    timestamp: Some(Timestamp::from_micros(*time)),
                    ..RecordDraft::new(RecordKind::USER, StreamId::new(*stream))
                };
                draft.push(record, &vec![b'p'; *len]).expect("fits");
                model.push((*stream, next[*stream as usize], *len, *time));
                next[*stream as usize] += 1;
            }
            log.prepare(&mut draft).expect("compresses");
            log.append(&draft).expect("appends");
        }
        for (lsn, (stream, sequence, len, _)) in model.iter().enumerate() {
            let record = log.read(Lsn::new(lsn as u64)).expect("reads");
            prop_assert_eq!(record.stream.get(), *stream);
            prop_assert_eq!(record.sequence, *sequence);
            prop_assert_eq!(record.payload.map(|payload| payload.len()), Some(*len));
            let again = log.read_stream(StreamId::new(*stream), *sequence).expect("reads");
            prop_assert_eq!(again.lsn.get(), lsn as u64);
        }
        for stream in 0..3_u32 {
            let of_stream: Vec<_> = model.iter().filter(|record| record.0 == stream).collect();
            let mut scan = log.scan_stream(StreamId::new(stream), 2);
            let mut expected = of_stream.iter().skip(2);
            while let Some(record) = scan.next_record().expect("reads") {
                let (_, sequence, len, time) = expected.next().expect("no more than expected");
                prop_assert_eq!(record.view.sequence, *sequence);
                prop_assert_eq!(record.payload().map(<[u8]>::len), Some(*len));
                prop_assert_eq!(record.view.timestamp.as_micros(), *time);
            }
            prop_assert!(expected.next().is_none());
            for time in [-60, -10, 0, 10, 60] {
                let first = of_stream.iter().find(|record| record.3 >= time).map(|record| record.1);
                let at = Timestamp::from_micros(time);
                let found = log.sequence_at_time(StreamId::new(stream), at).expect("seeks");
                prop_assert_eq!(found, first);
            }
        }
        prop_assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
}

#[test]
fn a_reader_follows_a_writer_in_other_hands() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store");
    assert!(matches!(Log::open_read_only(dir.path()), Err(Error::NoStore)));
    let config = LogConfig { segment_size: 64 << 10, ..LogConfig::default() };
    let vfs = Arc::new(StdVfs::create(&path).expect("creates"));
    let log = Log::options().vfs(vfs).config(config).open().expect("opens");
    let reader = Log::open_read_only(&path).expect("opens beside the writer");
    assert!(matches!(reader.append(&draft(1, &[b"x"])), Err(Error::ReadOnly)));
    let mut seen = 0;
    for round in 0..40_u64 {
        for _ in 0..10 {
            log.append(&draft(1, &[&[9; 700]])).expect("appends");
        }
        assert!(reader.refresh().expect("reads on"));
        let mut scan = reader.scan_stream(StreamId::new(1), seen);
        while let Some(record) = scan.next_record().expect("reads") {
            assert_eq!(record.view.sequence, seen);
            seen += 1;
        }
        assert_eq!(seen, (round + 1) * 10);
    }
    assert_eq!(reader.head(), log.head());
    assert!(reader.stats().expect("stats").segment_count > 3);
}

#[test]
fn a_waiter_wakes_when_the_record_is_there() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    let advanced = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let seen = advanced.clone();
    let guard = log.on_advance(Box::new(move |end| {
        seen.store(end.get(), std::sync::atomic::Ordering::SeqCst);
    }));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| log.wait_for(Lsn::new(0), std::time::Duration::from_secs(30)));
        log.append(&draft(1, &[b"x"])).expect("appends");
        assert!(waiter.join().expect("ends"));
    });
    assert_eq!(advanced.load(std::sync::atomic::Ordering::SeqCst), 1);
    drop(guard);
    log.append(&draft(1, &[b"x"])).expect("appends");
    assert_eq!(advanced.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(!log.wait_for(Lsn::new(9), std::time::Duration::from_millis(1)));
}

#[test]
fn records_of_a_batch_larger_than_the_cache_do_not_load_it_each() {
    use cairn_vfs::{SimConfig, SimVfs};
    let disk = SimVfs::new(1, SimConfig::default());
    let config = LogConfig { batch_cache_len: 1 << 10, ..config() };
    let log = Log::options().vfs(Arc::new(disk.clone())).config(config).open().expect("opens");
    let mut draft = Draft::new();
    for _ in 0..200 {
        draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), &[7; 200]).expect("fits");
    }
    let first = log.append(&draft).expect("appends").first_lsn.get();
    let before = disk.stats().operations;
    for n in 0..200 {
        let record = log.read(Lsn::new(first + n * 77 % 200)).expect("reads");
        assert_eq!(record.payload.expect("there").len(), 200);
    }
    let operations = disk.stats().operations - before;
    assert!(operations < 20, "{operations} operations for 200 records of one batch");
}

#[test]
fn a_stream_does_not_end_behind_what_readers_see() {
    let config = LogConfig { buffer_len_max: 1, ..config() };
    let log = open_with(&MemVfs::new(), config).expect("opens");
    let stream = StreamId::new(1);
    log.append(&draft(1, &[b"seen"])).expect("appends");
    // Each batch makes the one before it be written, and nothing is synced.
    let tickets: Vec<_> =
        (0..3).map(|_| log.submit(&draft(1, &[b"not yet"]), &[]).expect("submits")).collect();
    assert_eq!(log.visible_end(), Lsn::new(1));
    assert_eq!(log.sequence_at_or_before(stream, u64::MAX).expect("looks"), Some(0));
    assert_eq!(log.sequence_at_or_before(stream, 2).expect("looks"), Some(0));
    log.wait(tickets.last().expect("three")).expect("waits");
    assert_eq!(log.sequence_at_or_before(stream, u64::MAX).expect("looks"), Some(3));
    assert_eq!(log.sequence_at_or_before(stream, 2).expect("looks"), Some(2));
}

#[test]
fn a_reader_follows_over_segments_that_were_cleaned_meanwhile() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    log.append(&draft(1, &[b"first"])).expect("appends");
    let reader = Log::options().vfs(Arc::new(vfs.clone())).open_read_only().expect("opens");
    for _ in 0..3 {
        log.roll().expect("rolls");
        log.append(&draft(1, &[b"erased", b"kept"])).expect("appends");
    }
    let mut odd = |_: Lsn, record: &cairn_codec::RecordView<'_>| {
        if record.sequence % 2 == 1 { Fate::Erase } else { Fate::Keep }
    };
    let cleaned = log.clean(&mut odd, &CleanOptions::default()).expect("cleans");
    assert_eq!(cleaned.replaced_count, 2);
    assert!(reader.refresh().expect("reads on"));
    assert_eq!((reader.head(), reader.visible_end()), (log.head(), log.visible_end()));
    assert!(reader.durable_end() >= Lsn::new(5), "all but the last segment");
    let payload = |sequence| reader.read_stream(StreamId::new(1), sequence).expect("reads").payload;
    assert_eq!((payload(1), payload(3)), (None, None));
    assert_eq!(payload(4).as_deref(), Some(&b"kept"[..]));
}

#[test]
fn a_reader_is_told_when_retention_has_dropped_what_comes_next() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    log.append(&draft(1, &[b"x"])).expect("appends");
    let read_only = || Log::options().vfs(Arc::new(vfs.clone())).open_read_only().expect("opens");
    let reader = read_only();
    for _ in 0..3 {
        log.roll().expect("rolls");
        log.append(&draft(1, &[b"x"])).expect("appends");
    }
    let all_before = Retention { before: Some(log.visible_end()), ..Retention::default() };
    assert_eq!(log.retain(&all_before).expect("drops").segment_count, 3);
    let error = reader.refresh().expect_err("a gap");
    assert!(
        matches!(error, Error::OutOfRange { start, .. } if start == log.start_lsn()),
        "{error}"
    );
    assert_eq!(reader.visible_end(), Lsn::new(1), "what was read before stays");
    assert_eq!(read_only().head(), log.head());
}
