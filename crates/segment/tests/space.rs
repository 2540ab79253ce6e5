//! Limits: what would pass them is refused, what frees space goes through, and writing goes on.

use crate::store::*;
use cairn_segment::*;
use cairn_types::{Lsn, StreamId};
use cairn_vfs::MemVfs;

fn used(log: &Log) -> u64 {
    log.stats().expect("counts").stored_len
}

fn system() -> Draft {
    let mut draft = Draft::new();
    let record = RecordDraft::new(RecordKind::STREAM_TRIMMED, StreamId::SYSTEM);
    draft.push(record, b"frees space").expect("fits");
    draft
}

#[test]
fn a_quota_refuses_data_until_old_segments_go() {
    let vfs = MemVfs::new();
    let quota = 100_000;
    let log = open_with(&vfs, LogConfig { quota_bytes: Some(quota), ..config() }).expect("opens");
    let mut written = 0_u32;
    let refused = loop {
        match log.append(&draft(1, &[&[7; 1000]])) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(written > 60, "{written}");
    let Error::NoSpace { limit: SpaceLimit::Quota { used: at, needed, quota: q }, .. } = refused
    else {
        panic!("{refused}")
    };
    assert!(at <= quota && at + needed > quota && q == quota, "{at} {needed}");
    assert!(refused.to_string().contains("raise quota_bytes"), "{refused}");
    assert!(used(&log) <= quota);
    assert_eq!(all(&log).len(), written as usize, "reads go on");
    log.append(&system()).expect("what frees space goes through");
    log.append(&draft(1, &[&[7; 1000]])).expect_err("still full");
    // A smaller one still fits when there is room for it; dropping a segment makes more.
    let dropped = log
        .retain(&Retention { before: Some(log.visible_end()), ..Retention::default() })
        .expect("drops");
    assert!(dropped.segment_count > 0);
    log.append(&draft(1, &[&[7; 1000]])).expect("there is room again");
    // The limit holds after a restart, too.
    drop(log);
    let log = open_with(&vfs, LogConfig { quota_bytes: Some(1), ..config() }).expect("opens");
    log.append(&draft(1, &[b"x"])).expect_err("over the quota");
    assert!(log.start_lsn() > Lsn::new(0));
}

#[test]
fn space_is_kept_free_on_the_disk_for_what_frees_it() {
    let vfs = MemVfs::new();
    vfs.set_capacity(Some(1 << 20));
    let min_free = 600 << 10;
    let config = LogConfig { min_free_bytes: Some(min_free), ..config() };
    let log = open_with(&vfs, config).expect("opens");
    let refused = loop {
        if let Err(error) = log.append(&draft(1, &[&[7; 1000]])) {
            break error;
        }
    };
    let is_limit = matches!(refused, Error::NoSpace { limit: SpaceLimit::MinFree { .. }, .. });
    assert!(is_limit, "{refused}");
    let free = cairn_vfs::Vfs::free_space(&vfs).expect("counts");
    assert!(free >= min_free, "{free}");
    for _ in 0..100 {
        log.append(&system()).expect("what frees space goes through");
    }
    vfs.set_capacity(Some(4 << 20));
    log.append(&draft(1, &[&[7; 1000]])).expect("there is room again");
    assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
}

#[test]
fn figures_of_segments_add_up() {
    let vfs = MemVfs::new();
    let log = open(&vfs);
    for _ in 0..5 {
        log.append(&draft(1, &[&[7; 100]])).expect("appends");
        log.roll().expect("rolls");
    }
    log.append(&draft(1, &[b"x"])).expect("appends");
    let stats = log.segment_stats().expect("counts");
    assert_eq!(stats.len(), 6);
    assert_eq!(stats.iter().map(|segment| segment.len).sum::<u64>(), used(&log));
    assert_eq!(stats.iter().filter(|segment| segment.is_complete).count(), 5);
    let joined = stats.windows(2).all(|pair| pair[0].end_lsn == pair[1].base_lsn);
    assert!(joined && stats.iter().all(|segment| segment.file_len >= segment.len));
}
