//! Snapshots as streams: what comes out opens as what went in, and nothing else does.

use crate::store::*;
use cairn_codec::CodecRegistry;
use cairn_segment::format::snapshot::{CHUNK_HEADER_LEN, ChunkHeader, RUNNING_LEN};
use cairn_segment::*;
use cairn_types::Lsn;
use cairn_vfs::{CountdownVfs, Failure, FaultKind, MemVfs, StdVfs, Vfs};
use std::sync::Arc;

const SMALL: SnapshotOptions = SnapshotOptions { until: None, chunk_len: 512, revision: 7 };

/// A log of four segments, one of them cleaned, the last one active.
fn sample(vfs: &MemVfs) -> Log {
    let log = open(vfs);
    for number in 0..24_u8 {
        log.append(&draft(1, &[&[number; 40], b"second"])).expect("appends");
        if number % 7 == 6 {
            log.roll().expect("rolls");
        }
    }
    let mut erase = |lsn: Lsn, _: &cairn_codec::RecordView<'_>| {
        if lsn.get() == 20 { Fate::Erase } else { Fate::Keep }
    };
    log.clean(&mut erase, &CleanOptions::default()).expect("cleans");
    log
}

fn stream(log: &Log, options: &SnapshotOptions, from_chunk: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let snapshot = log.snapshot(options).expect("takes");
    let written = snapshot.write_to(&mut out, from_chunk, None).expect("writes");
    assert_eq!(written.len, out.len() as u64);
    out
}

/// The chunks of a stream.
fn chunks(stream: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut found) = (stream, Vec::new());
    while let Some(head) = rest.first_chunk::<CHUNK_HEADER_LEN>() {
        let header = ChunkHeader::decode(head).expect("whole");
        let (chunk, after) = rest.split_at(CHUNK_HEADER_LEN + header.len as usize + RUNNING_LEN);
        found.push(chunk);
        rest = after;
    }
    assert!(rest.is_empty());
    found
}

fn import(vfs: &Arc<MemVfs>, mut bytes: &[u8]) -> Result<Imported> {
    let mut import = SnapshotImport::open(vfs.clone())?;
    import.read_from(&mut bytes, None)?;
    assert!(bytes.is_empty(), "everything was read");
    import.finish(&CodecRegistry::standard())
}

fn refused(bytes: &[u8]) -> SnapshotError {
    let vfs = Arc::new(MemVfs::new());
    match import(&vfs, bytes).expect_err("not what was exported") {
        Error::Snapshot(error) => {
            assert!(Log::options().vfs(vfs.clone()).open_read_only().is_err(), "not openable");
            error
        }
        error => panic!("{error}"),
    }
}

/// Payloads of all records, erased ones included.
fn payloads(log: &Log) -> Vec<Option<Vec<u8>>> {
    let mut scan = log.scan(log.start_lsn());
    let mut payloads = Vec::new();
    while let Some(record) = scan.next_record().expect("reads") {
        payloads.push(record.payload().map(<[u8]>::to_vec));
    }
    payloads
}

#[test]
fn an_imported_snapshot_opens_as_the_log_at_any_place() {
    let vfs = MemVfs::new();
    let log = sample(&vfs);
    let expected = payloads(&log);
    for until in 0..=48_u64 {
        let options = SnapshotOptions { until: Some(Lsn::new(until)), ..SMALL };
        let copy = Arc::new(MemVfs::new());
        let done = import(&copy, &stream(&log, &options, 0)).expect("imports");
        let whole = until / 2 * 2;
        assert_eq!((done.end_lsn.get(), done.revision), (whole, 7), "never half a batch");
        let restored = open(&copy);
        assert_eq!(restored.store_id(), log.store_id());
        assert_eq!(payloads(&restored), expected[..usize::try_from(whole).expect("small")]);
        if until == 48 {
            assert_eq!(restored.head(), log.head());
        }
        // The copy lives on, also when the cleaned segment was its last.
        restored.append(&draft(1, &[b"goes on"])).expect("appends");
        drop(restored);
        let again = open(&copy);
        again.append(&draft(1, &[b"and on"])).expect("appends");
        assert!(again.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    }
}

#[test]
fn an_empty_log_has_a_snapshot_too() {
    let copy = Arc::new(MemVfs::new());
    import(&copy, &stream(&open(&MemVfs::new()), &SMALL, 0)).expect("imports");
    let restored = open(&copy);
    restored.append(&draft(1, &[b"first"])).expect("appends");
    assert_eq!(all(&restored), [b"first"]);
}

#[test]
fn the_same_place_gives_the_same_bytes_later_and_beside_the_writer() {
    let vfs = MemVfs::new();
    let log = sample(&vfs);
    let options = SnapshotOptions { until: Some(Lsn::new(46)), ..SMALL };
    let first = stream(&log, &options, 0);
    log.append(&draft(1, &[b"more"])).expect("appends");
    log.roll().expect("rolls");
    assert_eq!(stream(&log, &options, 0), first);
    let reader = Log::options().vfs(Arc::new(vfs.clone())).open_read_only().expect("opens");
    assert_eq!(stream(&reader, &options, 0), first);
    let list = chunks(&first);
    assert!(list.len() > 10);
    for (number, _) in list.iter().enumerate() {
        assert_eq!(stream(&log, &options, number as u64), list[number..].concat());
    }
    let beyond = log.snapshot(&options).expect("takes").write_to(&mut Vec::new(), 999, None);
    assert!(matches!(beyond, Err(Error::Snapshot(SnapshotError::NoSuchChunk { .. }))));
}

#[test]
fn appending_cleaning_and_retention_change_nothing_of_a_snapshot() {
    let vfs = MemVfs::new();
    let log = sample(&vfs);
    let expected = stream(&log, &SMALL, 0);
    let snapshot = log.snapshot(&SMALL).expect("takes");
    log.append(&draft(1, &[b"later"])).expect("appends");
    log.roll().expect("rolls");
    log.append(&draft(1, &[b"much later"])).expect("appends");
    let mut erase = |_: Lsn, _: &cairn_codec::RecordView<'_>| Fate::Erase;
    log.clean(&mut erase, &CleanOptions::default()).expect("cleans");
    log.retain(&Retention { before: Some(Lsn::new(40)), ..Retention::default() }).expect("drops");
    let mut out = Vec::new();
    snapshot.write_to(&mut out, 0, None).expect("writes");
    assert!(out == expected);
}

#[test]
fn every_flipped_bit_is_refused_and_nothing_can_be_opened() {
    let vfs = MemVfs::new();
    let bytes = stream(&sample(&vfs), &SMALL, 0);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = refused(&flipped);
        if at >= CHUNK_HEADER_LEN {
            let expected = place(&bytes, at);
            let named = match error {
                SnapshotError::Damaged { chunk, .. } | SnapshotError::Truncated { chunk } => chunk,
                error => panic!("byte {at}: {error}"),
            };
            assert_eq!(named, expected, "byte {at}");
        }
    }
}

/// The chunk that a byte belongs to.
fn place(bytes: &[u8], at: usize) -> u64 {
    let mut end = 0;
    let before = chunks(bytes).into_iter().take_while(|chunk| {
        end += chunk.len();
        end <= at
    });
    before.count() as u64
}

#[test]
fn a_stream_cut_anywhere_goes_on_at_the_last_whole_chunk() {
    let vfs = MemVfs::new();
    let log = sample(&vfs);
    let bytes = stream(&log, &SMALL, 0);
    for cut in (0..bytes.len()).step_by(97) {
        for whole in [true, false] {
            let copy = Arc::new(MemVfs::new());
            let mut first = SnapshotImport::open(copy.clone()).expect("opens");
            let error = first.read_from(&mut &bytes[..cut], None).expect_err("cut");
            let expected = place(&bytes, cut);
            assert!(
                matches!(error, Error::Snapshot(SnapshotError::Truncated { chunk }) if chunk == expected),
                "cut {cut}: {error}"
            );
            assert_eq!(first.next_chunk(), expected);
            drop(first);
            if expected > 0 {
                let error = Log::options().vfs(copy.clone()).open().expect_err("half a store");
                assert!(matches!(error, Error::Snapshot(SnapshotError::Unfinished)), "{error}");
            }
            let mut second = SnapshotImport::open(copy.clone()).expect("opens");
            assert_eq!(second.next_chunk(), expected);
            let rest = if whole { bytes.clone() } else { stream(&log, &SMALL, expected) };
            second.read_from(&mut rest.as_slice(), None).expect("reads");
            second.finish(&CodecRegistry::standard()).expect("finishes");
            assert_eq!(open(&copy).head(), log.head());
        }
    }
}

#[test]
fn chunks_out_of_order_missing_or_repeated_are_named() {
    let vfs = MemVfs::new();
    let bytes = stream(&sample(&vfs), &SMALL, 0);
    let list = chunks(&bytes);
    let mut swapped = list.clone();
    swapped.swap(3, 4);
    let mut missing = list.clone();
    missing.remove(3);
    let mut repeated = list.clone();
    repeated.insert(4, list[3]);
    for (broken, expected, found) in [(swapped, 3, 4), (missing, 3, 4), (repeated, 4, 3)] {
        let error = refused(&broken.concat());
        assert!(
            matches!(error, SnapshotError::OutOfOrder { expected: e, found: f } if (e, f) == (expected, found)),
            "{error}"
        );
    }
    let error = refused(&list[1..].concat());
    assert!(matches!(error, SnapshotError::OutOfOrder { expected: 0, found: 1 }), "{error}");
    assert!(matches!(refused(b"{\"json\": 1}".repeat(20).as_slice()), SnapshotError::NotASnapshot));
}

#[test]
fn chunks_of_another_snapshot_are_foreign() {
    let vfs = MemVfs::new();
    let log = sample(&vfs);
    let ours = stream(&log, &SMALL, 0);
    log.append(&draft(1, &[b"one more"])).expect("appends");
    let theirs = stream(&log, &SMALL, 0);
    let mut mixed = chunks(&ours);
    mixed[2] = chunks(&theirs)[2];
    let error = refused(&mixed.concat());
    assert!(matches!(error, SnapshotError::Foreign { chunk: 2, .. }), "{error}");
    // Also when an import of one goes on with the other.
    let copy = Arc::new(MemVfs::new());
    let mut first = SnapshotImport::open(copy.clone()).expect("opens");
    first.read_from(&mut &ours[..3000], None).expect_err("cut");
    drop(first);
    let mut second = SnapshotImport::open(copy).expect("opens");
    let error = second.read_from(&mut theirs.as_slice(), None).expect_err("another");
    assert!(matches!(error, Error::Snapshot(SnapshotError::Foreign { chunk: 0, .. })), "{error}");
}

#[test]
fn a_directory_in_use_is_not_imported_into() {
    let vfs = MemVfs::new();
    drop(sample(&vfs));
    let error = SnapshotImport::open(Arc::new(vfs)).expect_err("a store");
    assert!(matches!(error, Error::Snapshot(SnapshotError::NotEmpty { .. })), "{error}");
}

#[test]
fn a_snapshot_of_a_damaged_log_is_rejected_before_it_can_be_opened() {
    let vfs = MemVfs::new();
    let log = sample(&vfs);
    vfs.tamper("log/segment_000000.log", |bytes| bytes[400] ^= 1);
    let error = refused(&stream(&log, &SMALL, 0));
    assert!(matches!(error, SnapshotError::Rejected(_)), "{error}");
}

#[test]
fn an_import_survives_the_failure_of_any_operation() {
    let vfs = MemVfs::new();
    let log = sample(&vfs);
    let bytes = stream(&log, &SMALL, 0);
    let mut completed = false;
    for count in 1..2000 {
        let copy = Arc::new(MemVfs::new());
        let failing = CountdownVfs::new(copy.clone(), count, Failure::Once(FaultKind::Io));
        let tried = SnapshotImport::open(Arc::new(failing)).and_then(|mut import| {
            import.read_from(&mut bytes.as_slice(), None)?;
            import.finish(&CodecRegistry::standard())
        });
        if tried.is_err() {
            let finished = open_again(&copy, &bytes);
            assert!(finished.is_ok(), "operation {count}: {finished:?}");
        }
        assert_eq!(open(&copy).head(), log.head(), "operation {count}");
        if tried.is_ok() {
            completed = true;
            break;
        }
    }
    assert!(completed, "every operation failed once");
}

/// Goes on after a failure; when that was in the very last step there is a store already.
fn open_again(copy: &Arc<MemVfs>, mut bytes: &[u8]) -> Result<()> {
    let mut import = match SnapshotImport::open(copy.clone()) {
        Err(Error::Snapshot(SnapshotError::NotEmpty { .. })) => return Ok(()),
        other => other?,
    };
    if !import.is_complete() {
        import.read_from(&mut bytes, None)?;
    }
    import.finish(&CodecRegistry::standard()).map(drop)
}

#[test]
fn a_linked_copy_shares_sealed_segments_and_neither_changes_the_other() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().expect("a directory");
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let log = Log::options()
        .vfs(Arc::new(StdVfs::create(&from).expect("creates")))
        .config(config())
        .open()
        .expect("opens");
    for number in 0..10_u8 {
        log.append(&draft(1, &[&[number; 30]])).expect("appends");
        if number % 4 == 3 {
            log.roll().expect("rolls");
        }
    }
    let target: Arc<dyn Vfs> = Arc::new(StdVfs::create(&to).expect("creates"));
    let linked = log.link_checkpoint(&*target).expect("links");
    assert_eq!((linked.linked_count, linked.copied_count), (2, 1), "{linked:?}");
    let inode = |dir: &std::path::Path, number: u32| {
        let path = dir.join(format!("log/segment_{number:06}.log"));
        std::fs::metadata(path).expect("there").ino()
    };
    assert_eq!(inode(&from, 0), inode(&to, 0));
    assert_ne!(inode(&from, 2), inode(&to, 2), "the active one is copied");
    let expected = all(&log);
    log.append(&draft(1, &[b"later"])).expect("appends");
    // Cutting the copy within a shared segment leaves the original whole.
    let registry = CodecRegistry::standard();
    cut(target, &registry, &cairn_vfs::ManualClock::default(), Lsn::new(2)).expect("cuts");
    let copy = Log::options()
        .vfs(Arc::new(StdVfs::open(&to).expect("opens")))
        .config(config())
        .open()
        .expect("opens");
    assert_eq!(all(&copy), expected[..2]);
    assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    assert_eq!(all(&log).len(), 11);
}
