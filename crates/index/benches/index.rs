//! The hot paths of the index structures, all in memory.

use cairn_index::{
    AtLimit, Filter, FilterBuilder, HotConfig, HotIndex, KeyHistory, PrefixIndex, SparseBuilder,
    SparseIndex, key_hash,
};
use cairn_types::Revision;
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

fn hash_of(n: u64) -> u64 {
    key_hash(&n.to_le_bytes())
}

fn hot_of(keys: u64) -> HotIndex {
    let config = HotConfig { budget: 1 << 30, at_limit: AtLimit::Refuse, seed: 0 };
    let index = HotIndex::new(config);
    for n in 0..keys {
        index.upsert(hash_of(n), n, |place| place == n).expect("in range");
    }
    index
}

/// Keys in an order that no prefetcher guesses.
fn scattered(count: u64, from: u64) -> impl FnMut() -> u64 {
    let mut state = from;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 20) % count
    }
}

fn hot(c: &mut Criterion) {
    c.bench_function("hot/insert 1 M, from empty, whole run", |b| {
        b.iter_with_large_drop(|| hot_of(1_000_000));
    });
    for (name, count) in [("1 M", 1_000_000_u64), ("10 M", 10_000_000)] {
        let index = hot_of(count);
        println!("hot, {name} keys: {:.2} B a key", index.memory() as f64 / count as f64);
        let mut next = scattered(count, 1);
        c.bench_function(&format!("hot/hit, {name} keys"), |b| {
            b.iter(|| {
                let n = next();
                index.lookup(hash_of(n), |place| place == n)
            });
        });
        c.bench_function(&format!("hot/miss, {name} keys"), |b| {
            b.iter(|| {
                let n = count + next();
                index.lookup(hash_of(n), |place| place == n)
            });
        });
        c.bench_function(&format!("hot/overwrite, {name} keys"), |b| {
            b.iter(|| {
                let n = next();
                index.upsert(hash_of(n), n, |place| place == n).expect("in range")
            });
        });
        // The time of one round in which each of two threads does one lookup.
        c.bench_function(&format!("hot/hit, {name} keys, 2 threads, one each"), |b| {
            b.iter_custom(|rounds| {
                let run = |from: u64| {
                    let mut next = scattered(count, from);
                    for _ in 0..rounds {
                        let n = next();
                        let _ = black_box(index.lookup(hash_of(n), |place| place == n));
                    }
                };
                let start = std::time::Instant::now();
                std::thread::scope(|scope| {
                    scope.spawn(|| run(7));
                    run(9);
                });
                start.elapsed()
            });
        });
        let mut bytes = Vec::new();
        let position = count;
        index
            .checkpoint(position, |piece| {
                bytes.extend_from_slice(piece);
                Ok::<_, std::convert::Infallible>(())
            })
            .expect("a vector takes everything");
        let bytes = bytes::Bytes::from(bytes);
        c.bench_function(&format!("hot/restore, {name} keys"), |b| {
            b.iter_with_large_drop(|| {
                HotIndex::restore(bytes.clone(), *index.config(), position).expect("opens")
            });
        });
        let touched = count / 4096;
        c.bench_function(&format!("hot/restore and one hit, {name} keys"), |b| {
            b.iter_with_large_drop(|| {
                let (index, _) =
                    HotIndex::restore(bytes.clone(), *index.config(), position).expect("opens");
                let _ = black_box(index.lookup(hash_of(touched), |place| place == touched));
                index
            });
        });
    }
}

fn random_key(n: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&hash_of(n).to_be_bytes());
    key[8..].copy_from_slice(&n.to_be_bytes());
    key
}

fn prefix(c: &mut Criterion) {
    const KEYS: u64 = 1_000_000;
    let filled = || {
        let mut index = PrefixIndex::new();
        for n in 0..KEYS {
            index.insert(&random_key(n), n).expect("short");
        }
        index
    };
    c.bench_function("prefix/insert 1 M random keys, whole run", |b| {
        b.iter_with_large_drop(filled);
    });
    let mut index = filled();
    println!("prefix: {:.1} B a key of 16 B and value of 8 B", index.memory() as f64 / KEYS as f64);
    let mut next = scattered(KEYS, 1);
    c.bench_function("prefix/get, 1 M keys", |b| {
        b.iter(|| index.get(&random_key(next())).copied())
    });
    c.bench_function("prefix/count a range, 1 M keys", |b| {
        b.iter(|| {
            let (from, to) = (random_key(next()), random_key(next()));
            index.count(&from[..]..&to[..])
        });
    });
    c.bench_function("prefix/nth of a range, 1 M keys", |b| {
        b.iter(|| index.nth(&random_key(next())[..].., 1000).map(|(_, value)| *value));
    });
    c.bench_function("prefix/page of 500, counted, 1 M keys", |b| {
        b.iter(|| {
            let mut page = index.range(&random_key(next())[..]..);
            let mut sum = page.len();
            for _ in 0..500 {
                let Some((key, _)) = page.step() else { break };
                sum += key.len();
            }
            sum
        });
    });
    c.bench_function("prefix/remove and insert, 1 M keys", |b| {
        b.iter(|| {
            let key = random_key(next());
            let value = index.remove(&key);
            index.insert(&key, value.unwrap_or_default()).expect("short")
        });
    });
}

fn history_and_sparse(c: &mut Criterion) {
    let mut history = KeyHistory::new();
    for main in 2..102 {
        history.put(Revision { main: main * 3, sub: 0 }).expect("rising");
    }
    c.bench_function("key_history/get among 100 changes", |b| {
        b.iter(|| history.get(black_box(150)));
    });
    let mut bytes = Vec::new();
    history.encode(&mut bytes);
    println!("key_history: {} B for 100 puts", bytes.len());
    c.bench_function("key_history/decode 100 changes", |b| {
        b.iter(|| KeyHistory::decode(black_box(&bytes)));
    });
    let mut builder = SparseBuilder::every(1);
    for n in 0..16_384_u64 {
        let key = format!("/registry/pods/{:08}", n * 61);
        builder.add(key.as_bytes(), n * 4096).expect("rising");
    }
    let bytes = builder.build(16_384 * 4096).expect("small");
    println!("sparse: {:.1} B an entry", bytes.len() as f64 / 16_384.0);
    c.bench_function("sparse/open, 16 K entries", |b| {
        b.iter(|| SparseIndex::open(bytes::Bytes::copy_from_slice(&bytes)).expect("opens"));
    });
    let index = SparseIndex::open(bytes).expect("opens");
    let keys: Vec<String> = {
        let mut next = scattered(999_424, 3);
        (0..4096).map(|_| format!("/registry/pods/{:08}", next())).collect()
    };
    let mut at = 0;
    c.bench_function("sparse/seek, 16 K entries", |b| {
        b.iter(|| {
            at = (at + 1) % keys.len();
            index.seek(keys[at].as_bytes())
        });
    });
}

criterion_group!(benches, filters, hot, prefix, history_and_sparse);
criterion_main!(benches);
