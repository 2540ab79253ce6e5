//! The hot paths of the ordered store, on tables in memory: what the processor does, without a
//! disk. Nothing here is acknowledged, so there is no durability to name.

use std::hint::black_box;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use cairn_lsm::{EntryRef, Position, Tree, TreeOptions, Version};
use cairn_vfs::{MemVfs, SeededRng};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A version with a value of 100 bytes.
#[derive(Debug, Clone)]
struct Value {
    sequence: u64,
    value: Bytes,
}

impl Version for Value {
    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn is_tombstone(&self) -> bool {
        false
    }

    fn reference(&self) -> u64 {
        self.sequence
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.value);
    }

    fn decode(entry: &EntryRef<'_>, share: bool) -> Option<Self> {
        let value = if share { entry.share(0) } else { Bytes::copy_from_slice(entry.value) };
        Some(Self { sequence: entry.sequence, value })
    }

    fn heap_len(&self) -> usize {
        self.value.len()
    }
}

const KEYS: u64 = 100_000;

fn key(number: u64) -> [u8; 16] {
    let a = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    let b = (a ^ number).wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&a.to_be_bytes());
    key[8..].copy_from_slice(&b.to_be_bytes());
    key
}

/// A store whose keys are all in tables, `memory_len` bytes of them in memory, too.
fn filled(memory_len: usize) -> Tree<Value> {
    let options = TreeOptions { memory_len, ..TreeOptions::default() };
    let (vfs, rng) = (Arc::new(MemVfs::new()), SeededRng::new(1));
    let tree = Tree::open(vfs, "tables", options, &rng, [0; 16], |_| Ok(true)).expect("opens").0;
    for number in 0..KEYS {
        let value = Bytes::from_static(&[7; 100]);
        let ((), before) = tree.prepare(&key(number), |_| ()).expect("nothing is in tables");
        tree.insert(&key(number), Value { sequence: number + 1, value }, before);
    }
    let flush = tree.begin_flush(KEYS, Bytes::new());
    tree.write_flush(flush, Position { lsn: KEYS, leaf: [0; 32] }).expect("flushes");
    tree.merge_all().expect("merges");
    for _ in 0..KEYS / 1000 {
        tree.trim(1000);
    }
    tree
}

fn lsm(c: &mut Criterion) {
    let mut group = c.benchmark_group("ordered store, 100,000 keys, 100 B values");
    group.throughput(Throughput::Elements(1));
    for (place, memory_len) in [("memory", usize::MAX), ("tables", 0)] {
        let tree = filled(memory_len);
        let mut number = 0;
        group.bench_function(format!("get, hit, {place}"), |b| {
            b.iter(|| {
                number = (number + 7919) % KEYS;
                let found = tree.get_with(&key(number), u64::MAX, |found| found.is_some());
                assert!(found.expect("gets"));
            });
        });
        group.bench_function(format!("get, miss, {place}"), |b| {
            b.iter(|| {
                number += 1;
                black_box(tree.get(&key(number + (1 << 40)), u64::MAX).expect("gets"))
            });
        });
        group.bench_function(format!("count of a range, {place}"), |b| {
            b.iter(|| {
                number = (number + 7919) % KEYS;
                let from = key(number);
                let bounds = (Bound::Included(&from[..]), Bound::Unbounded);
                black_box(tree.count(bounds).expect("counts"))
            });
        });
        group.bench_function(format!("range of 100, {place}"), |b| {
            b.iter(|| {
                number = (number + 7919) % KEYS;
                let from = key(number);
                let mut left = 100;
                let bounds = (Bound::Included(&from[..]), Bound::Unbounded);
                tree.walk(bounds, u64::MAX, false, |key, value| {
                    black_box((key, value));
                    left -= 1;
                    left > 0
                })
                .expect("walks");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, lsm);
criterion_main!(benches);
