//! The tree over the log: taking records of 100 bytes in, and proving them (a real directory).
//! `CAIRN_RECORDS` sets how many there are; a million by default.

use std::time::Instant;

use cairn_engine::proof::check;
use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_merkle::map::Question;
use cairn_segment::LogConfig;
use cairn_types::{Durability, Lsn};
use cairn_vfs::SeededRng;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn count() -> u64 {
    let count = std::env::var("CAIRN_RECORDS").ok().and_then(|text| text.parse().ok());
    count.unwrap_or(1_000_000)
}

fn proofs(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let engine = Engine::open_with(dir.path().join("data"), config).expect("opens");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine.create_keyspace("k").expect("creates");
    let batch = vec![NewEvent::binary(vec![7; 100]); 1000];
    for _ in 0..count() / 1000 {
        engine.append_batch("t", &batch).expect("appends");
    }
    engine.log().sync().expect("syncs");
    let proofs = engine.proofs().expect("opens");
    let begun = Instant::now();
    let taken = proofs.catch_up().expect("catches up");
    let each = begun.elapsed().as_secs_f64() * 1e6 / taken as f64;
    println!("{taken} records taken in, {each:.3} us each");

    let mut group = c.benchmark_group("proofs");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("take in 10,000", |b| {
        b.iter_custom(|rounds| {
            (0..rounds)
                .map(|_| {
                    for _ in 0..10 {
                        engine.append_batch("t", &batch).expect("appends");
                    }
                    engine.log().sync().expect("syncs");
                    let begun = Instant::now();
                    proofs.catch_up().expect("catches up");
                    begun.elapsed()
                })
                .sum()
        });
    });
    group.bench_function("read and hash 10,000, without the tree", |b| {
        b.iter(|| {
            let mut scan = engine.log().scan(Lsn::new(10));
            for _ in 0..10_000 {
                let record = scan.next_record().expect("reads").expect("there");
                std::hint::black_box(record.leaf());
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    let (rng, size) = (SeededRng::new(1), proofs.checkpoint().expect("signs").head.size);
    group.bench_function("prove a record, at random", |b| {
        b.iter(|| proofs.prove_lsn(Lsn::new(rng.below(size))).expect("proves"));
    });
    let (base, near) = (size / 2, 100_000.min(size / 2));
    group.bench_function("prove a record, among 100,000 neighbours", |b| {
        b.iter(|| proofs.prove_lsn(Lsn::new(base + rng.below(near))).expect("proves"));
    });
    let keys = [proofs.verifier().expect("key")];
    let file = proofs.prove_lsn(Lsn::new(77)).expect("proves").file.to_string();
    println!("a proof file has {} bytes", file.len());
    group.bench_function("check a record, signature included", |b| {
        b.iter(|| check::record(file.as_bytes(), None, &keys).expect("holds"));
    });
    let space = engine.keyspace("k").expect("there");
    for number in 0..100 {
        let pairs = (0..1000).map(|key| (format!("key{}", number * 1000 + key), "value"));
        space.put_all(pairs).expect("puts");
    }
    proofs.prove_map("k", b"key7", Question::Newest).expect("proves");
    group.bench_function("prove the newest value among 100,000 keys", |b| {
        b.iter(|| proofs.prove_map("k", b"key7", Question::Newest).expect("proves"));
    });
    group.finish();
}

criterion_group!(benches, proofs);
criterion_main!(benches);
