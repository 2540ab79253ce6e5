//! Verified reads from the nearest checkpoint.

use crate::store::*;
use cairn_segment::*;
use cairn_types::Lsn;
use cairn_vfs::MemVfs;

fn sample(policy: CheckpointPolicy) -> (MemVfs, Log) {
    let vfs = MemVfs::new();
    let log = open_with(&vfs, LogConfig { checkpoint: policy, ..config() }).expect("opens");
    for number in 0..100_u8 {
        log.append(&draft(1, &[&[number; 30]])).expect("appends");
    }
    (vfs, log)
}

#[test]
fn a_verified_read_costs_the_way_from_the_nearest_checkpoint() {
    let (_vfs, log) = sample(CheckpointPolicy { records: Some(10), interval: None });
    assert!(log.stats().expect("stats").checkpoint_count >= 9);
    for lsn in 0..log.visible_end().get() {
        let verified = log.read_verified(Lsn::new(lsn)).expect("verifies");
        assert_eq!(verified.record, log.read(Lsn::new(lsn)).expect("reads"));
        assert!(verified.batch_count <= 12, "{verified:?}");
    }
    let last = Lsn::new(log.visible_end().get() - 1);
    assert_eq!(log.read_verified(last).expect("verifies").chain, log.head().chain);
}

#[test]
fn without_a_checkpoint_it_begins_at_the_start() {
    let (_vfs, log) = sample(CheckpointPolicy::ON_DEMAND);
    let verified = log.read_verified(Lsn::new(50)).expect("verifies");
    assert_eq!((verified.checkpoint, verified.batch_count), (None, 51));
    log.checkpoint().expect("checkpoints");
    log.append(&draft(1, &[b"after"])).expect("appends");
    let verified = log.read_verified(Lsn::new(101)).expect("verifies");
    assert_eq!((verified.checkpoint, verified.batch_count), (Some(Lsn::new(100)), 2));
}

#[test]
fn damage_between_checkpoint_and_record_is_named() {
    let (vfs, log) = sample(CheckpointPolicy { records: Some(10), interval: None });
    drop(log);
    let found = {
        let damaged = vfs.fork();
        damaged.tamper("log/segment_000000.log", |bytes| {
            let at = bytes.windows(30).position(|window| window == [45; 30]).expect("there");
            bytes[at] ^= 1;
        });
        open(&damaged).read_verified(Lsn::new(52)).expect_err("damaged")
    };
    assert!(matches!(found, Error::Corrupt(_)), "{found}");
}
