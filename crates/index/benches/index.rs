//! The hot paths of the index structures, all in memory.

use cairn_index::{Filter, FilterBuilder, key_hash};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn filters(c: &mut Criterion) {
    let key = |n: u64| [n.to_be_bytes(), key_hash(&n.to_le_bytes()).to_be_bytes()].concat();
    for len in [8, 16, 40, 256] {
        let bytes = vec![7_u8; len];
        c.bench_function(&format!("key_hash/{len} B"), |b| b.iter(|| key_hash(black_box(&bytes))));
    }
    let mut builder = FilterBuilder::new(10);
    (0..1_000_000).for_each(|n| builder.add(&key(n)));
    c.bench_function("filter/build 1 M", |b| b.iter(|| builder.build()));
    let filter = Filter::open(builder.build()).expect("opens");
    let mut n = 0_u64;
    let mut next = move || {
        n = n.wrapping_add(1);
        key_hash(&n.to_le_bytes())
    };
    c.bench_function("filter/miss by hash, 1 M keys", |b| {
        b.iter(|| filter.may_contain_hash(next()));
    });
    let hashes: Vec<u64> = (0..1_000_000).map(|n| key_hash(&key(n * 7919 % 1_000_000))).collect();
    let mut at = 0;
    c.bench_function("filter/hit by hash, 1 M keys", |b| {
        b.iter(|| {
            at = (at + 1) % hashes.len();
            filter.may_contain_hash(hashes[at])
        });
    });
}

criterion_group!(benches, filters);
criterion_main!(benches);
