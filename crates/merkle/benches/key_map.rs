//! The key map at a million keys: updates, rebuild, proofs, verification, checkpoints.

use cairn_merkle::map::{Claim, KeyMap, KeyProof, PathHash, VersionLeaf, verify};
use cairn_types::{Lsn, PayloadHash, Revision};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::cell::{Cell, RefCell};
use std::hint::black_box;

const KEYS: u64 = 1_000_000;

type Change = (PathHash, VersionLeaf);

fn path(key: u64) -> PathHash {
    PathHash::of_key(1, &[key.to_be_bytes(), key.wrapping_mul(0x9e37_79b9).to_be_bytes()].concat())
}

/// The next version of `key`, as far as the map can tell.
fn version(revision: u64, lsn: u64) -> VersionLeaf {
    VersionLeaf {
        modified: Revision::new(revision),
        created: 1,
        version: 1,
        lease: 0,
        tombstone: false,
        lsn: Lsn::new(lsn),
        payload_hash: PayloadHash::new([7; 32]),
    }
}

fn first_versions() -> Vec<Change> {
    (0..KEYS).map(|key| (path(key), version(2, key))).collect()
}

fn loaded() -> KeyMap {
    let mut map = KeyMap::new();
    map.update(&first_versions(), 2, Lsn::new(KEYS)).expect("in order");
    map
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("update, 1 M keys");
    group.sample_size(10);
    for (size, new) in [(1_000, false), (100_000, false), (1_000, true), (100_000, true)] {
        let map = RefCell::new(loaded());
        let (revision, fresh) = (Cell::new(2), Cell::new(KEYS));
        let batch = || {
            revision.set(revision.get() + 1);
            let of = |at: u64| {
                let key = if new {
                    fresh.set(fresh.get() + 1);
                    fresh.get()
                } else {
                    (revision.get() * 1_000_003 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS
                };
                (path(key), version(revision.get(), revision.get() * KEYS + at))
            };
            let mut batch: Vec<Change> = (0..size).map(of).collect();
            batch.sort_unstable_by_key(|(path, _)| *path);
            batch.dedup_by_key(|(path, _)| *path);
            let lsn = |change: &Change| change.1.lsn;
            batch.sort_unstable_by_key(lsn);
            (batch, revision.get())
        };
        group.throughput(Throughput::Elements(size));
        let kind = if new { "new keys" } else { "known keys" };
        group.bench_function(format!("batch of {size}, {kind}"), |b| {
            let run = |(batch, revision): (Vec<Change>, u64)| {
                let end = Lsn::new((revision + 1) * KEYS);
                map.borrow_mut().update(&batch, revision, end).expect("in order")
            };
            b.iter_batched(batch, run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn rebuild(c: &mut Criterion) {
    let mut group = c.benchmark_group("1 M keys");
    group.sample_size(10).throughput(Throughput::Elements(KEYS));
    let versions = first_versions();
    group.bench_function("rebuild from versions", |b| {
        b.iter(|| {
            let mut map = KeyMap::new();
            map.update(black_box(&versions), 2, Lsn::new(KEYS)).expect("in order");
            map
        });
    });
    group.bench_function("paths of 16 B keys", |b| {
        b.iter(|| (0..KEYS).fold(0, |sum, key| sum ^ path(key).as_bytes()[0]));
    });
    let map = loaded();
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok::<(), std::convert::Infallible>(())
    };
    let len = map.checkpoint(&mut sink).expect("memory");
    println!("checkpoint: {} B a key", len / KEYS);
    group.bench_function("restore a checkpoint", |b| {
        b.iter(|| KeyMap::restore(black_box(&bytes)).expect("as written"));
    });
    group.finish();
}

/// A map where keys 0 to 7 have `1 << (2 * n)` versions each, and those versions.
fn with_histories() -> (KeyMap, Vec<Vec<VersionLeaf>>) {
    let mut map = loaded();
    let mut histories = Vec::new();
    for key in 0..8 {
        let count = 1_u64 << (2 * key);
        let base = (key + 3) * KEYS;
        let more = (1..count).map(|at| version(base + at, base + at));
        let first = version(2, key);
        let history: Vec<VersionLeaf> = std::iter::once(first).chain(more).collect();
        let batch: Vec<Change> = history[1..].iter().map(|one| (path(key), *one)).collect();
        let end = base + count;
        map.update(&batch, end, Lsn::new(end)).expect("in order");
        histories.push(history);
    }
    (map, histories)
}

fn proofs(c: &mut Criterion) {
    let (map, histories) = with_histories();
    let head = map.head();
    let mut key = 0;
    c.bench_function("prove a path, 1 M keys", |b| {
        b.iter(|| {
            key = (key + 7919) % KEYS;
            map.prove_path(&path(key))
        });
    });
    for (key, history) in histories.iter().enumerate() {
        let (path, count) = (path(key as u64), history.len());
        let middle = history[count / 2].modified.main;
        for (name, claim) in [("newest", Claim::newest(path)), ("at", Claim::at(path, middle))] {
            let proof = map.prove(&claim, history.as_slice()).expect("there");
            let bytes = proof.encode();
            println!("{name}, {count} versions: {} B", bytes.len());
            if ![1, 64, 4096].contains(&count) {
                continue;
            }
            c.bench_function(&format!("prove {name}, {count} versions"), |b| {
                b.iter(|| map.prove(&claim, history.as_slice()).expect("there").encode());
            });
            c.bench_function(&format!("verify {name}, {count} versions"), |b| {
                b.iter(|| verify(&head, &claim, &KeyProof::decode(black_box(&bytes))?));
            });
        }
    }
    let absent = Claim::newest(PathHash::of_key(2, b"absent"));
    let bytes = map.prove(&absent, [].as_slice()).expect("absence").encode();
    println!("absent: {} B", bytes.len());
    c.bench_function("verify absent", |b| {
        b.iter(|| verify(&head, &absent, &KeyProof::decode(black_box(&bytes))?));
    });
}

criterion_group!(benches, updates, rebuild, proofs);
criterion_main!(benches);
