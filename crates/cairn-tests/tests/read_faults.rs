//! A disk that lies when it reads or loses what it said it wrote: right answers or errors,
//! never wrong data; and the planted bugs that would hide it.

use std::sync::Arc;

use cairn_segment::mutation::Mutation;
use cairn_segment::{Draft, Error, IoMode, Log, LogConfig, RecordDraft, RecordKind};
use cairn_types::{Lsn, StreamId};
use cairn_vfs::{ManualClock, SeededRng, SimConfig, SimStats, SimVfs, Vfs};

fn open(disk: &SimVfs, mutation: Option<Mutation>) -> cairn_segment::Result<Log> {
    let config = LogConfig {
        segment_size: 64 << 10,
        background: false,
        io: IoMode::Pread,
        batch_cache_len: 0,
        ..LogConfig::default()
    };
    let options = Log::options()
        .vfs(Arc::new(disk.clone()) as Arc<dyn Vfs>)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(1)))
        .config(config);
    match mutation {
        Some(mutation) => options.mutation(mutation).open(),
        None => options.open(),
    }
}

fn payload(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(20)
}

fn fill(log: &Log, count: u64) -> u64 {
    fill_from(log, 0, count)
}

/// Reads everything: how many right answers and errors.
///
/// # Errors
/// The LSN that was answered wrongly.
fn read_all(log: &Log, count: u64) -> Result<(u64, u64), u64> {
    let (mut right, mut errors) = (0, 0);
    for lsn in 0..count {
        match log.read(Lsn::new(lsn)) {
            Ok(record) if record.payload.as_deref() == Some(&payload(lsn)) => right += 1,
            Ok(_) => return Err(lsn),
            Err(_) => errors += 1,
        }
    }
    Ok((right, errors))
}

#[test]
fn reads_that_fail_flip_or_come_from_the_past_are_errors_never_wrong_data() {
    let mut total = SimStats::default();
    let (mut right, mut errors) = (0, 0);
    for seed in 0..60 {
        let disk = SimVfs::new(seed, SimConfig::default());
        let log = open(&disk, None).expect("opens");
        let count = fill(&log, 100);
        disk.set_config(SimConfig {
            read_error: 2000,
            read_flip: 4000,
            stale_read: 4000,
            ..SimConfig::default()
        });
        let (good, bad) =
            read_all(&log, count).unwrap_or_else(|lsn| panic!("seed {seed}: LSN {lsn} is wrong"));
        right += good;
        errors += bad;
        let stats = disk.stats();
        total.read_errors += stats.read_errors;
        total.read_flips += stats.read_flips;
        total.stale_reads += stats.stale_reads;
        disk.set_config(SimConfig::default());
        assert_eq!(read_all(&log, count), Ok((count, 0)), "seed {seed}: the disk works again");
    }
    assert!(right > 1000 && errors > 100, "{right} {errors}");
    assert!(total.read_errors > 0 && total.read_flips > 0, "{total:?}");
}

#[test]
fn writes_that_a_sync_lost_or_misplaced_are_reported_and_never_served() {
    let (mut refused, mut reported, mut misdirected, mut phantoms) = (0, 0, 0, 0);
    for seed in 0..300 {
        let disk = SimVfs::new(seed, SimConfig::default());
        let log = open(&disk, None).expect("opens");
        fill(&log, 20);
        disk.set_config(SimConfig { misdirected: 500, phantom: 500, ..SimConfig::default() });
        let count = 20 + fill_from(&log, 20, 40);
        disk.set_config(SimConfig::default());
        let head = log.head().next_lsn.get();
        let live = read_all(&log, count.min(head));
        let live = live.unwrap_or_else(|lsn| panic!("seed {seed}: LSN {lsn} is wrong"));
        disk.power_crash();
        drop(log);
        match open(&disk, None) {
            Err(Error::Poisoned { .. }) => panic!("a fresh log is not poisoned"),
            Err(_) => refused += 1,
            Ok(log) => {
                let end = log.visible_end().get();
                let after = read_all(&log, end);
                let after = after.unwrap_or_else(|lsn| panic!("seed {seed}: LSN {lsn} is wrong"));
                reported += u64::from(after.1 > 0 || live.1 > 0);
            }
        }
        let stats = disk.stats();
        misdirected += stats.misdirected;
        phantoms += stats.phantoms;
    }
    println!(
        "refused {refused}, reported {reported}, misdirected {misdirected}, phantom {phantoms}"
    );
    assert!(misdirected > 0 && phantoms > 0 && refused > 0);
}

fn fill_from(log: &Log, from: u64, count: u64) -> u64 {
    let mut appended = 0;
    for number in from..from + count {
        let mut draft = Draft::new();
        let record = RecordDraft::new(RecordKind::USER, StreamId::new(1));
        draft.push(record, &payload(number)).expect("fits");
        if log.append(&draft).is_err() {
            break;
        }
        appended += 1;
    }
    appended
}

#[test]
fn without_the_crc_of_bodies_wrong_data_would_be_served_and_this_notices() {
    let served_wrong = |mutation: Option<Mutation>| {
        (0..200_u64).any(|seed| {
            let disk = SimVfs::new(seed, SimConfig::default());
            let log = open(&disk, mutation).expect("opens");
            let count = fill(&log, 10);
            let path = "log/segment_000000.log";
            // Somewhere in the batches, mostly in a payload.
            assert!(disk.flip_bit(path, (256 + 96) * 8 + seed * 61));
            read_all(&log, count).is_err()
        })
    };
    assert!(!served_wrong(None), "the log serves no wrong data");
    assert!(served_wrong(Some(Mutation::SkipBodyCrc)), "the planted bug is caught");
}

#[test]
fn damage_below_the_watermark_is_refused_and_cutting_it_would_be_noticed() {
    let outcome = |mutation: Option<Mutation>| {
        let disk = SimVfs::new(4, SimConfig::default());
        let log = open(&disk, None).expect("opens");
        let count = fill(&log, 10);
        disk.process_crash();
        drop(log);
        assert!(disk.flip_bit("log/segment_000000.log", (256 + 300) * 8));
        match open(&disk, mutation) {
            Err(Error::Corrupt(_)) => Ok(()),
            Err(error) => panic!("{error}"),
            Ok(log) if log.visible_end().get() < count => Err("acknowledged records were cut"),
            Ok(_) => panic!("the damage was not noticed"),
        }
    };
    assert_eq!(outcome(None), Ok(()));
    assert!(outcome(Some(Mutation::CutDamage)).is_err(), "the planted bug is caught");
}
