//! Short workloads recorded change by change: recovery is run on every state that a power cut
//! at any moment could leave, with every single un-synced change kept or lost.

use std::sync::Arc;

use cairn_segment::{CleanOptions, Draft, Fate, Log, LogConfig, RecordDraft, RecordKind};
use cairn_types::{Lsn, StreamId};
use cairn_vfs::{ManualClock, MemVfs, RecordVfs, SeededRng, Vfs};

fn open(vfs: Arc<dyn Vfs>) -> cairn_segment::Result<Log> {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    Log::options()
        .vfs(vfs)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(3)))
        .config(config)
        .open()
}

fn payload(number: u8) -> Vec<u8> {
    vec![number; 30 + usize::from(number) * 7]
}

/// How many appends were acknowledged after so many changes.
struct Progress {
    acknowledged: Vec<(usize, usize)>,
    submitted: Vec<Vec<u8>>,
}

impl Progress {
    fn certain_at(&self, point: usize) -> usize {
        let reached = self.acknowledged.iter().filter(|(changes, _)| *changes <= point);
        reached.map(|(_, count)| *count).max().unwrap_or(0)
    }
}

fn append(disk: &RecordVfs, log: &Log, number: u8, progress: &mut Progress) {
    let mut draft = Draft::new();
    let payload = payload(number);
    draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), &payload).expect("fits");
    progress.submitted.push(payload);
    log.append(&draft).expect("appends");
    progress.acknowledged.push((disk.change_count(), progress.submitted.len()));
}

/// Recovers a state and holds it against what was acknowledged by then.
fn judge(state: &MemVfs, progress: &Progress, point: usize) {
    let log = match open(Arc::new(state.clone())) {
        Ok(log) => log,
        Err(error) => panic!("after change {point}: refused: {error}"),
    };
    let mut scan = log.scan(log.start_lsn());
    let mut found = 0;
    while let Some(record) = scan.next_record().expect("reads") {
        if let Some(payload) = record.payload() {
            assert_eq!(payload, progress.submitted[found], "after change {point}");
        }
        found += 1;
    }
    let certain = progress.certain_at(point);
    assert!(found >= certain, "after change {point}: {found} of {certain} acknowledged are there");
    assert!(log.verify(&Default::default()).expect("verifies").is_intact());
}

fn enumerate(disk: &RecordVfs, progress: &Progress) -> usize {
    let mut states = 0;
    for point in 0..=disk.change_count() {
        for state in disk.states_after(point, 12) {
            judge(&state, progress, point);
            states += 1;
        }
    }
    states
}

#[test]
fn every_order_of_unsynced_changes_recovers_what_was_acknowledged() {
    let disk = RecordVfs::new(Arc::new(MemVfs::new()));
    let mut progress = Progress { acknowledged: Vec::new(), submitted: Vec::new() };
    let log = open(Arc::new(disk.clone())).expect("opens");
    for number in 0..4 {
        append(&disk, &log, number, &mut progress);
    }
    log.roll().expect("rolls");
    append(&disk, &log, 4, &mut progress);
    log.close().expect("closes");
    drop(log);
    let log = open(Arc::new(disk.clone())).expect("opens");
    append(&disk, &log, 5, &mut progress);
    drop(log);
    let states = enumerate(&disk, &progress);
    println!("{states} states of {} changes", disk.change_count());
    assert!(states > 250, "{states}");
}

#[test]
fn every_order_of_a_recovery_and_a_cleaning_recovers_too() {
    // A process dies with an un-synced tail; its recovery is what is recorded.
    let before = MemVfs::new();
    let recorded = RecordVfs::new(Arc::new(before));
    let mut progress = Progress { acknowledged: Vec::new(), submitted: Vec::new() };
    let log = open(Arc::new(recorded.clone())).expect("opens");
    for number in 0..3 {
        append(&recorded, &log, number, &mut progress);
    }
    // The process dies here, and the next one recovers on the same disk.
    std::mem::forget(log);
    let killed = {
        let states = recorded.states_after(recorded.change_count(), 0);
        states.into_iter().next().expect("the state with everything")
    };
    let disk = RecordVfs::new(Arc::new(MemVfs::new()));
    copy(&killed, &disk);
    let done = disk.change_count();
    progress.acknowledged = vec![(done, 3)];
    let log = open(Arc::new(disk.clone())).expect("recovers");
    append(&disk, &log, 3, &mut progress);
    log.roll().expect("rolls");
    append(&disk, &log, 4, &mut progress);
    let mut fate = |lsn: Lsn, _: &cairn_codec::RecordView<'_>| {
        if lsn.get() == 1 { Fate::Erase } else { Fate::Keep }
    };
    log.clean(&mut fate, &CleanOptions::default()).expect("cleans");
    drop(log);
    let mut states = 0;
    for point in done..=disk.change_count() {
        for state in disk.states_after(point, 12) {
            judge(&state, &progress, point);
            states += 1;
        }
    }
    println!("{states} states");
    assert!(states > 300, "{states}");
}

/// Copies a disk into a recorded one, all of it synced.
fn copy(from: &MemVfs, to: &RecordVfs) {
    use cairn_vfs::OpenMode;
    to.create_dir_all("log").expect("creates");
    for path in from.paths() {
        let source = from.open(&path, OpenMode::Read).expect("opens");
        let mut bytes = vec![0; usize::try_from(source.len().expect("len")).expect("small")];
        source.read_exact_at(0, &mut bytes).expect("reads");
        let target = to.open(&path, OpenMode::Create).expect("creates");
        target.write_all_at(0, &bytes).expect("writes");
        target.sync_all().expect("syncs");
    }
    to.sync_dir("log").expect("syncs");
    to.sync_dir("").expect("syncs");
}
