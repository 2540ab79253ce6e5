//! The log's hot paths on a real directory: appends at each durability, reads.
//!
//! Every name says how durable an acknowledgement is.

use cairn_segment::*;
use cairn_types::{Durability, Lsn, StreamId};
use cairn_vfs::StdVfs;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;

fn open(dir: &std::path::Path, durability: Durability) -> Log {
    let config = LogConfig { durability, ..LogConfig::default() };
    let vfs = Arc::new(StdVfs::create(dir).expect("creates"));
    Log::options().vfs(vfs).config(config).open().expect("opens")
}

fn fill(draft: &mut Draft, records: usize) {
    for _ in 0..records {
        let record = RecordDraft::new(RecordKind::USER, StreamId::new(1));
        draft.push(record, &[7; 100]).expect("within limits");
    }
}

fn appends(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let mut group = c.benchmark_group("append 100 B, one thread");
    for (name, durability, records) in [
        ("buffered, batches of 1,000", Durability::Buffered, 1000),
        ("buffered, one at a time", Durability::Buffered, 1),
        ("synced, one at a time", Durability::Sync, 1),
    ] {
        let log = open(&dir.path().join(name.replace([' ', ','], "-")), durability);
        group.throughput(Throughput::Elements(records as u64));
        let mut draft = Draft::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                draft.clear();
                fill(&mut draft, records);
                log.append(&draft).expect("appends")
            });
        });
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    const RECORDS: u64 = 200_000;
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let log = open(&dir.path().join("log"), Durability::Buffered);
    let mut batch = Draft::new();
    fill(&mut batch, 1000);
    for _ in 0..RECORDS / 1000 {
        log.append(&batch).expect("appends");
    }
    let mut group = c.benchmark_group("read 100 B from the page cache");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("one stream in order", |b| {
        b.iter(|| {
            let mut scan = log.scan_stream(StreamId::new(1), 0);
            let mut len = 0;
            while let Some(record) = scan.next_record().expect("reads") {
                len += record.payload().map_or(0, <[u8]>::len);
            }
            len
        });
    });
    group.throughput(Throughput::Elements(1));
    let mut lsn = 1_u64;
    group.bench_function("one record at random", |b| {
        b.iter(|| {
            lsn = lsn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut scan = log.scan(Lsn::new((lsn >> 20) % RECORDS));
            let record = scan.next_record().expect("reads");
            record.and_then(|record| record.payload_bytes()).map(|payload| payload.len())
        });
    });
    group.finish();
}

/// Many threads that each wait for the disk: they share syncs.
fn contended(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let mut group = c.benchmark_group("append 100 B, synced, one at a time");
    group.throughput(Throughput::Elements(1));
    for threads in [8_u64, 32, 128] {
        let log = open(&dir.path().join(threads.to_string()), Durability::Sync);
        group.bench_function(format!("{threads} threads"), |b| {
            b.iter_custom(|appends| {
                // The clock of a benchmark is its own business, not the log's.
                let start = std::time::Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        let log = log.clone();
                        scope.spawn(move || {
                            let mut draft = Draft::new();
                            fill(&mut draft, 1);
                            for _ in 0..appends.div_ceil(threads) {
                                log.append(&draft).expect("appends");
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, appends, contended, reads);
criterion_main!(benches);
