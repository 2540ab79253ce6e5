//! Encoding, verifying and reading batches of 100-byte payloads (in memory, no durability).

use cairn_codec::*;
use cairn_types::{ChainHash, Lsn, StreamId, Timestamp};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn draft(records: usize) -> Draft {
    let mut draft = Draft::with_capacity(records, records * 100);
    for index in 0..records {
        let record = RecordDraft::new(RecordKind::EVENT, StreamId::new(1));
        draft.push(record, &[u8::try_from(index % 251).expect("small"); 100]).expect("in limits");
    }
    draft
}

fn batch(c: &mut Criterion) {
    let crc = SaltedCrc::new(&[7; 16]);
    let context = BatchContext {
        first_lsn: Lsn::new(0),
        commit_time: Timestamp::from_secs(1),
        durable_end: Lsn::new(0),
        prev_hash: ChainHash::GENESIS,
        crc: &crc,
    };
    for records in [1, 1000] {
        let mut group = c.benchmark_group(format!("batch of {records}"));
        group.throughput(Throughput::Elements(records as u64));
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        let sequences: Vec<u64> = (0..records as u64).collect();
        group.bench_function("draft, hash and encode", |b| {
            b.iter(|| {
                out.clear();
                encode(black_box(&draft(records)), &context, &sequences, &mut scratch, &mut out)
            });
        });
        let header = BatchHeader::decode(&out, &crc).expect("valid");
        let body = &out[BATCH_HEADER_LEN..];
        let registry = CodecRegistry::standard();
        group.bench_function("verify", |b| {
            b.iter(|| verify_batch(&header, black_box(body), &registry, &crc).expect("valid"));
        });
        group.bench_function("read", |b| {
            b.iter(|| {
                let view = BatchView::new(&header, black_box(body)).expect("valid");
                view.records().map(|record| record.expect("valid").sequence).sum::<u64>()
            });
        });
    }
}

criterion_group!(benches, batch);
criterion_main!(benches);
