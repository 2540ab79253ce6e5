//! The buffer of submitted batches stays within its budget, whoever submits how much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_codec::{Draft, RecordDraft, RecordKind};
use cairn_types::{Durability, StreamId};
use cairn_vfs::{CountdownVfs, Failure, FaultKind, MemVfs, Vfs};

use crate::{Error, Log, LogConfig};

const BUFFER: usize = 100 << 10;
const THREADS: u32 = 8;
const BATCHES: u32 = 60;

fn config(durability: Durability) -> LogConfig {
    LogConfig {
        segment_size: 1 << 20,
        buffer_len_max: BUFFER,
        durability,
        background: false,
        ..LogConfig::default()
    }
}

fn draft(stream: u32, len: usize) -> Draft {
    let mut draft = Draft::new();
    let record = RecordDraft::new(RecordKind::USER, StreamId::new(stream));
    draft.push(record, &vec![7; len]).expect("fits");
    draft
}

/// Bytes that were given a place and are not in the file, buffered and on their way.
fn unwritten(log: &Log) -> (u64, u64) {
    let state = log.shared.append.as_ref().expect("open for writing").lock();
    let active = state.active.as_ref();
    let all = active.map_or(0, |active| active.end - active.written_end);
    (state.buffer.bytes.len() as u64, all)
}

#[test]
fn many_big_batches_are_held_within_the_budget_though_nobody_waits_for_them() {
    for durability in [Durability::Sync, Durability::Buffered] {
        let log = Log::options().vfs(Arc::new(MemVfs::new())).config(config(durability));
        let log = log.open().expect("opens");
        let (buffered_max, unwritten_max) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 1..=THREADS {
                let (log, buffered_max) = (&log, &buffered_max);
                let unwritten_max = &unwritten_max;
                scope.spawn(move || {
                    for number in 0..BATCHES {
                        // Every eighth is larger than the whole budget.
                        let len = if number % 8 == 0 { 2 * BUFFER } else { BUFFER / 4 };
                        let ticket = log.submit(&draft(thread, len), &[]).expect("submits");
                        let (buffered, all) = unwritten(log);
                        buffered_max.fetch_max(buffered, Ordering::Relaxed);
                        unwritten_max.fetch_max(all, Ordering::Relaxed);
                        if number % 5 == thread % 5 {
                            log.wait(&ticket).expect("waits");
                        }
                    }
                });
            }
        });
        log.sync().expect("syncs");
        // One batch that is larger than the budget has the buffer to itself.
        let one = 2 * BUFFER as u64 + 1024;
        assert!(buffered_max.into_inner() <= one);
        assert!(unwritten_max.into_inner() <= 2 * one, "what is written and what gathers");
        for thread in 1..=THREADS {
            assert_eq!(log.next_sequence(StreamId::new(thread)), u64::from(BATCHES));
        }
    }
}

#[test]
fn a_disk_that_fails_wakes_everybody_who_waits_for_room() {
    for fail_at in (12..90).step_by(3) {
        let disk: Arc<dyn Vfs> = Arc::new(CountdownVfs::new(
            Arc::new(MemVfs::new()),
            fail_at,
            Failure::Forever(FaultKind::Io),
        ));
        let Ok(log) = Log::options().vfs(disk).config(config(Durability::Sync)).open() else {
            continue;
        };
        std::thread::scope(|scope| {
            for thread in 1..=THREADS {
                let log = &log;
                scope.spawn(move || {
                    for number in 0..BATCHES {
                        let outcome = log.submit(&draft(thread, BUFFER / 3), &[]);
                        let outcome = match outcome {
                            Ok(ticket) if number % 3 == 0 => log.wait(&ticket),
                            outcome => outcome.map(drop),
                        };
                        if let Err(error) = outcome {
                            assert!(!matches!(error, Error::Closed), "{error}");
                            return;
                        }
                    }
                });
            }
        });
    }
}
