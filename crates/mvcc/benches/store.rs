//! The hot paths of keys over a log on a real directory; every name says how durable.

use cairn_mvcc::{Put, Range, RangeRequest, Store};
use cairn_segment::{Log, LogConfig};
use cairn_types::{Durability, StreamId};
use cairn_vfs::StdVfs;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;

const SPACE: StreamId = StreamId::new(1);

fn open(dir: &std::path::Path) -> Store {
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let vfs = Arc::new(StdVfs::create(dir).expect("creates"));
    Store::open(Log::options().vfs(vfs).config(config).open().expect("opens")).expect("opens")
}

/// Sixteen bytes that look random and are the same every time.
fn key(number: u64) -> Vec<u8> {
    let a = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    let b = (a ^ number).wrapping_mul(0xd1b5_4a32_d192_ed03);
    [a.to_be_bytes(), b.to_be_bytes()].concat()
}

fn keys(c: &mut Criterion) {
    const KEYS: u64 = 200_000;
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let store = open(&dir.path().join("store"));
    for start in (0..KEYS).step_by(1000) {
        let puts: Vec<Put> =
            (start..start + 1000).map(|n| Put::new(SPACE, key(n), vec![7; 100])).collect();
        store
            .write(|planner| {
                for put in &puts {
                    planner.put(put)?;
                }
                Ok(())
            })
            .expect("loads");
    }
    let mut group = c.benchmark_group("keys, 100 B values");
    group.throughput(Throughput::Elements(1));
    let mut number = KEYS;
    group.bench_function("put one new key, buffered", |b| {
        b.iter(|| {
            number += 1;
            store.put(Put::new(SPACE, key(number), vec![7; 100])).expect("puts")
        });
    });
    let mut number = 0;
    group.bench_function("get, hit", |b| {
        b.iter(|| {
            number = (number + 7919) % KEYS;
            store.value(SPACE, &key(number)).expect("gets").expect("there")
        });
    });
    group.bench_function("get, miss", |b| {
        b.iter(|| {
            number += 1;
            store.value(SPACE, &key(number + (1 << 40))).expect("gets")
        });
    });
    group.bench_function("range of 100", |b| {
        b.iter(|| {
            number = (number + 7919) % KEYS;
            let request = RangeRequest::new(SPACE, Range::between(key(number), vec![0xff; 17]));
            let page = RangeRequest { without_count: true, ..request.limit(100) };
            store.range(&page).expect("reads").kvs.len()
        });
    });
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
