//! Repair gives up what damage took, and nothing else, and keeps the bytes aside.

use crate::store::*;
use cairn_codec::CodecRegistry;
use cairn_segment::*;
use cairn_vfs::{ManualClock, MemVfs, Vfs};
use std::sync::Arc;

/// Three segments with ten records each, closed cleanly.
fn sample() -> (MemVfs, Vec<Vec<u8>>) {
    let vfs = MemVfs::new();
    let mut expected = Vec::new();
    for round in 0..3_u8 {
        let log = open(&vfs);
        for number in 0..10_u8 {
            let payload = vec![round * 16 + number; 50];
            log.append(&draft(1, &[&payload])).expect("appends");
            expected.push(payload);
        }
    }
    (vfs, expected)
}

fn plan(vfs: &MemVfs) -> Result<Option<Repair>> {
    Repair::plan(Arc::new(vfs.clone()), &CodecRegistry::standard())
}

fn repair(vfs: &MemVfs) -> Repair {
    let repair = plan(vfs).expect("can be repaired").expect("is damaged");
    repair.carry_out(&ManualClock::default()).expect("repairs");
    repair
}

#[test]
fn a_sound_store_needs_no_repair() {
    let (vfs, _) = sample();
    assert!(plan(&vfs).expect("readable").is_none());
    let torn = vfs.fork();
    let log = open(&torn);
    log.append(&draft(1, &[b"acknowledged"])).expect("appends");
    let torn = torn.fork();
    assert!(plan(&torn).expect("readable").is_none(), "a torn tail is no damage");
}

#[test]
fn everything_before_the_first_damage_is_kept_wherever_it_is() {
    let (vfs, expected) = sample();
    for (number, path) in
        ["log/segment_000000.log", "log/segment_000001.log", "log/segment_000002.log"]
            .iter()
            .enumerate()
    {
        for at in [10_usize, 100, 300, 700, 1100, 1500] {
            let damaged = vfs.fork();
            let mut hit = false;
            damaged.tamper(path, |bytes| {
                if at < bytes.len() {
                    bytes[at] ^= 4;
                    hit = true;
                }
            });
            if !hit {
                continue;
            }
            let repair = plan(&damaged).expect("readable").expect("damaged");
            let (kept, lost) = (repair.end_lsn.get(), repair.lost_count());
            assert!(kept >= number as u64 * 10 && kept < number as u64 * 10 + 10, "{path} {at}");
            assert_eq!(kept + lost, 30);
            repair.carry_out(&ManualClock::default()).expect("repairs");
            let log = open(&damaged);
            let kept = usize::try_from(kept).expect("small");
            assert_eq!(all(&log), expected[..kept]);
            log.append(&draft(1, &[b"goes on"])).expect("appends");
            drop(log);
            let log = open(&damaged);
            assert_eq!(all(&log).len(), kept + 1);
            assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
            assert!(damaged.paths().iter().any(|path| path.starts_with("quarantine/segment_")));
        }
    }
}

#[test]
fn a_missing_segment_ends_the_log_before_it() {
    let (vfs, expected) = sample();
    vfs.remove("log/segment_000001.log").expect("removes");
    let repair = repair(&vfs);
    assert_eq!(repair.end_lsn.get(), 10);
    assert_eq!(all(&open(&vfs)), expected[..10]);
    assert!(vfs.exists("quarantine/segment_000002.log").expect("looks"));
}

#[test]
fn a_lost_superblock_is_written_anew_and_nothing_is_lost() {
    let (vfs, expected) = sample();
    for how in 0..2 {
        let damaged = vfs.fork();
        match how {
            0 => damaged.remove("log/superblock").expect("removes"),
            _ => damaged.tamper("log/superblock", |bytes| bytes.fill(0xff)),
        }
        assert!(open_with(&damaged, config()).is_err());
        let repair = repair(&damaged);
        assert!(repair.damage.is_none());
        assert_eq!(all(&open(&damaged)), expected);
    }
}

#[test]
fn repairing_twice_does_nothing_more() {
    let (vfs, _) = sample();
    vfs.tamper("log/segment_000001.log", |bytes| bytes[400] ^= 1);
    repair(&vfs);
    assert!(plan(&vfs).expect("readable").is_none());
}

#[test]
fn a_cleaned_segment_can_be_cut_too() {
    let (vfs, expected) = sample();
    let log = open(&vfs);
    log.append(&draft(1, &[b"last"])).expect("appends");
    let mut fate = |lsn: cairn_types::Lsn, _: &cairn_codec::RecordView<'_>| {
        if lsn.get() % 4 == 1 { Fate::Erase } else { Fate::Keep }
    };
    assert!(log.clean(&mut fate, &CleanOptions::default()).expect("cleans").erased_count > 0);
    drop(log);
    vfs.tamper("log/segment_000001.log", |bytes| bytes[900] ^= 1);
    let repair = repair(&vfs);
    let kept = usize::try_from(repair.end_lsn.get()).expect("small");
    assert!((10..20).contains(&kept));
    let log = open(&vfs);
    log.append(&draft(1, &[b"goes on"])).expect("appends");
    drop(log);
    let log = open(&vfs);
    assert!(log.verify(&VerifyOptions::default()).expect("verifies").is_intact());
    for (number, payload) in expected.iter().take(kept).enumerate() {
        let record = log.read(cairn_types::Lsn::new(number as u64)).expect("reads");
        let erased = number % 4 == 1;
        assert_eq!(record.payload.as_deref(), (!erased).then_some(payload.as_slice()));
    }
}
