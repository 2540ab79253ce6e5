//! Golden bytes: a store of format version 1 as it was written when the format was fixed.
//! These files are never made anew; a change that cannot read them, or writes others, is a
//! change of the format and needs a new version.

use crate::store::*;
use cairn_segment::*;
use cairn_types::{Lsn, StreamId, Timestamp};
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, Vfs};
use std::sync::Arc;

const FILES: [(&str, &[u8]); 5] = [
    ("CAIRN", include_bytes!("../testdata/format/v1/CAIRN")),
    ("log/superblock", include_bytes!("../testdata/format/v1/superblock")),
    ("log/segment_000000.log", include_bytes!("../testdata/format/v1/segment_000000.log")),
    ("log/segment_000000.idx", include_bytes!("../testdata/format/v1/segment_000000.idx")),
    ("log/segment_000001.log", include_bytes!("../testdata/format/v1/segment_000001.log")),
];
/// Chain value over everything in the golden store.
const CHAIN: &str = include_str!("../testdata/format/v1/chain.txt");

/// Writes the golden store's content: every kind of statement, all codecs of the core, two
/// segments, a checkpoint, an erased and a dropped record.
fn write(vfs: &MemVfs) -> Log {
    let clock = Arc::new(ManualClock::default());
    clock.set(Timestamp::from_micros(1_700_000_000_000_000));
    let log = Log::options()
        .vfs(Arc::new(vfs.clone()) as Arc<dyn Vfs>)
        .clock(clock.clone())
        .rng(Arc::new(SeededRng::new(7)))
        .config(config())
        .open()
        .expect("opens");
    let event = RecordDraft::new(RecordKind::EVENT, StreamId::new(3));
    let mut draft = Draft::new();
    for number in 0..20_u8 {
        let timestamp = Some(Timestamp::from_micros(1_600_000_000_000_000 + i64::from(number)));
        let record = RecordDraft { timestamp, key: Some(b"key"), ..event };
        draft.push(record, &[number; 40]).expect("fits");
    }
    draft.compress(&cairn_codec::compress::Lz4).expect("compresses");
    log.append(&draft).expect("appends");
    draft.clear();
    let facts = Some(Facts { create_revision: 2, version: 1, lease: 9 });
    let put = RecordDraft {
        sequence: SequenceRule::At(2),
        key: Some(b"name"),
        facts,
        salted: true,
        ..RecordDraft::new(RecordKind::PUT, StreamId::new(4))
    };
    draft.push(put, b"0123456789abcdefvalue").expect("fits");
    draft.push(event, b"").expect("fits");
    draft.set_first_revision(2);
    log.append(&draft).expect("appends");
    log.checkpoint().expect("checkpoints");
    log.roll().expect("rolls");
    log.append(&super::store::draft(200, &[b"the last record"])).expect("appends");
    let mut fate = |lsn: Lsn, _: &cairn_codec::RecordView<'_>| match lsn.get() {
        3 => Fate::Erase,
        4 => Fate::Drop,
        _ => Fate::Keep,
    };
    log.clean(&mut fate, &CleanOptions::default()).expect("cleans");
    log.close().expect("closes");
    log
}

fn bytes_of(vfs: &MemVfs, path: &str) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::Read).expect("opens");
    let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
    file.read_exact_at(0, &mut bytes).expect("reads");
    bytes
}

#[test]
fn the_golden_store_is_read_and_verified() {
    let vfs = MemVfs::new();
    vfs.create_dir_all("log").expect("creates");
    for (path, bytes) in FILES {
        let file = vfs.open(path, OpenMode::Create).expect("creates");
        file.write_all_at(0, bytes).expect("writes");
    }
    let log = open(&vfs);
    assert_eq!(log.visible_end(), Lsn::new(24));
    assert_eq!(log.head().chain.to_string(), CHAIN.trim());
    let report = log.verify(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact() && report.derived_damage.is_empty(), "{report:?}");
    assert_eq!((report.erased_count, report.dropped_count), (1, 1));
    let first = log.read(Lsn::new(0)).expect("reads");
    assert_eq!(first.payload.as_deref(), Some(&[0; 40][..]));
    assert_eq!(first.timestamp, Timestamp::from_micros(1_600_000_000_000_000));
    let put = log.read(Lsn::new(20)).expect("reads");
    assert_eq!((put.kind, put.key.as_deref()), (RecordKind::PUT, Some(&b"name"[..])));
    assert_eq!(put.facts, Some(Facts { create_revision: 2, version: 1, lease: 9 }));
    assert_eq!(log.read(Lsn::new(3)).expect("reads").payload, None);
    let last = log.read_stream(StreamId::new(200), 0).expect("reads");
    assert_eq!(last.payload.as_deref(), Some(&b"the last record"[..]));
}

#[test]
fn the_same_content_is_written_as_the_golden_bytes() {
    let vfs = MemVfs::new();
    let log = write(&vfs);
    let written = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("format-v1");
    for (path, golden) in FILES {
        let bytes = bytes_of(&vfs, path);
        if bytes != golden {
            let name = path.rsplit('/').next().expect("a name");
            std::fs::create_dir_all(&written).expect("creates");
            std::fs::write(written.join(name), &bytes).expect("writes");
            std::fs::write(written.join("chain.txt"), log.head().chain.to_string())
                .expect("writes");
        }
        assert!(
            bytes == golden,
            "{path} differs; see {} for what is written now",
            written.display()
        );
    }
}
