//! Every operation fails once, and from there on, one after another (SQLite's method): no
//! panic, no lost acknowledgement, and after a failed write or sync no further one.

use std::sync::Arc;

use cairn_segment::{
    CleanOptions, Draft, Fate, Log, LogConfig, RecordDraft, RecordKind, Retention,
};
use cairn_types::{Durability, Lsn, StreamId};
use cairn_vfs::{CountdownVfs, Failure, FaultKind, ManualClock, MemVfs, SeededRng, Vfs};

/// What a flow got acknowledged, in order.
type Acknowledged = Vec<Vec<u8>>;
type Flow = fn(&Log, &mut Acknowledged) -> cairn_segment::Result<()>;

fn draft(payload: &[u8]) -> Draft {
    let mut draft = Draft::new();
    draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), payload).expect("fits");
    draft
}

fn append(log: &Log, count: u8, done: &mut Acknowledged) -> cairn_segment::Result<()> {
    for number in 0..count {
        let payload = vec![number; 100 + usize::from(number)];
        log.append(&draft(&payload))?;
        done.push(payload);
    }
    Ok(())
}

const FLOWS: [(&str, Flow); 10] = [
    ("append one", |log, done| append(log, 1, done)),
    ("append many", |log, done| append(log, 20, done)),
    ("append a large batch", |log, done| {
        let payload = vec![9; 200_000];
        log.append(&draft(&payload))?;
        done.push(payload);
        append(log, 2, done)
    }),
    ("roll between", |log, done| {
        append(log, 3, done)?;
        log.roll()?;
        append(log, 3, done)?;
        log.roll()
    }),
    ("close", |log, done| {
        append(log, 3, done)?;
        log.close()
    }),
    ("checkpoint", |log, done| {
        append(log, 2, done)?;
        log.checkpoint()?;
        append(log, 2, done)
    }),
    ("read back", |log, done| {
        append(log, 5, done)?;
        let mut scan = log.scan(Lsn::new(0));
        let mut index = 0;
        while let Some(record) = scan.next_record()? {
            assert_eq!(record.payload(), done.get(index).map(Vec::as_slice), "never wrong data");
            index += 1;
        }
        Ok(())
    }),
    ("clean", |log, done| {
        append(log, 3, done)?;
        log.roll()?;
        append(log, 1, done)?;
        let mut keep = |_: Lsn, _: &cairn_codec::RecordView<'_>| Fate::Keep;
        log.clean(&mut keep, &CleanOptions::default())?;
        append(log, 1, done)
    }),
    ("retain nothing away", |log, done| {
        append(log, 3, done)?;
        log.roll()?;
        log.retain(&Retention { keep_from: Some(Lsn::new(0)), ..Retention::default() })?;
        append(log, 1, done)
    }),
    ("verify", |log, done| {
        append(log, 4, done)?;
        assert!(log.verify(&Default::default())?.is_intact(), "nothing is damaged");
        Ok(())
    }),
];

fn open(vfs: Arc<dyn Vfs>, durability: Durability) -> cairn_segment::Result<Log> {
    let config =
        LogConfig { segment_size: 64 << 10, durability, background: false, ..LogConfig::default() };
    Log::options()
        .vfs(vfs)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(1)))
        .config(config)
        .open()
}

/// Everything acknowledged must be there on a disk that works again.
fn judge(disk: &MemVfs, done: &Acknowledged, context: &str) {
    let log = open(Arc::new(disk.clone()), Durability::Sync)
        .unwrap_or_else(|error| panic!("{context}: the healed disk is refused: {error}"));
    let mut scan = log.scan(log.start_lsn());
    let mut found = Vec::new();
    while let Some(record) = scan.next_record().expect("reads") {
        if record.view.kind == RecordKind::USER {
            found.push(record.payload().expect("there").to_vec());
        }
    }
    assert!(found.len() >= done.len(), "{context}: {} of {} are there", found.len(), done.len());
    assert_eq!(found[..done.len()], done[..], "{context}");
    assert!(log.verify(&Default::default()).expect("verifies").is_intact(), "{context}");
}

#[test]
fn every_operation_fails_once_and_for_ever_and_nothing_acknowledged_is_lost() {
    let kinds = [FaultKind::Io, FaultKind::NoSpace];
    let mut failures = 0_u64;
    for (name, flow) in FLOWS {
        for torn_start in [false, true] {
            for kind in kinds {
                for failure in [Failure::Once(kind), Failure::Forever(kind)] {
                    for fail_at in 1.. {
                        let disk = MemVfs::new();
                        let mut done = Vec::new();
                        if torn_start {
                            // Begin with recovery: a store whose process died.
                            let log = open(Arc::new(disk.clone()), Durability::Buffered);
                            let log = log.expect("opens");
                            append(&log, 3, &mut done).expect("appends");
                            log.sync().expect("syncs");
                            let copy = disk.fork();
                            drop(log);
                            let clean = run(&copy, flow, fail_at, failure, done, name);
                            if clean {
                                break;
                            }
                        } else if run(&disk, flow, fail_at, failure, done, name) {
                            break;
                        }
                        failures += 1;
                    }
                }
            }
        }
    }
    println!("total: failures={failures} violations=0");
    assert!(failures > 2000, "{failures}");
}

/// Runs a flow with one failing operation; whether it was never reached.
fn run(
    disk: &MemVfs,
    flow: Flow,
    fail_at: u64,
    failure: Failure,
    mut done: Acknowledged,
    name: &str,
) -> bool {
    let context = format!("{name}, operation {fail_at}, {failure:?}");
    let faulty = Arc::new(CountdownVfs::new(Arc::new(disk.clone()), fail_at, failure));
    if let Ok(log) = open(faulty.clone(), Durability::Sync) {
        let outcome = flow(&log, &mut done);
        if outcome.is_err() && matches!(failure, Failure::Forever(_)) {
            let before = done.len();
            let _refused_or_not = append(&log, 1, &mut done);
            // A log in memory alone would go on: what is acknowledged is judged below.
            assert!(done.len() <= before + 1, "{context}");
        }
    }
    judge(disk, &done, &context);
    !faulty.fired()
}
