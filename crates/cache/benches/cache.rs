//! What reads cost in front of a cache: local hits, checked in both ways, misses, and a Redis.

use std::hint::black_box;
use std::sync::Arc;

use cairn_cache::backend::{CacheBackend, MemoryCache};
use cairn_cache::{HybridOptions, HybridStore, Misses};
use cairndb::log::LogConfig;
use cairndb::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const KEYS: usize = 10_000;

fn backend() -> (Arc<dyn CacheBackend>, &'static str) {
    #[cfg(feature = "redis")]
    if let Ok(url) = std::env::var("CAIRN_REDIS_URL") {
        let client = cairn_cache::RedisClient::new(&url).expect("an address");
        return (client.backend(), "redis");
    }
    (Arc::new(MemoryCache::default()), "memory")
}

fn bench(criterion: &mut Criterion) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let engine = Engine::open_with(dir.path().join("data"), config).expect("opens");
    engine.create_keyspace("k").expect("creates");
    let keyspace = engine.keyspace("k").expect("there");
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key/{number:08}")).collect();
    let (backend, name) = backend();
    let mut group = criterion.benchmark_group(format!("hybrid over {name}"));
    group.throughput(Throughput::Elements(1));
    for len in [64, 1024] {
        keyspace.put_all(keys.iter().map(|key| (key.clone(), vec![b'v'; len]))).expect("writes");
        let open = |misses| {
            let options = HybridOptions { misses, ..HybridOptions::default() };
            let _inside = runtime.enter();
            HybridStore::new(keyspace.clone(), backend.clone(), options)
        };
        let cached = open(Misses::Engine);
        let mut at = 0;
        let mut next = || {
            at = (at + 7919) % KEYS;
            keys[at].as_bytes()
        };
        runtime.block_on(async {
            for key in &keys {
                cached.get(key.as_bytes()).await.expect("reads");
            }
        });
        group.bench_function(format!("get, {len} B, nothing changes"), |bencher| {
            // Entering the runtime for each read would cost as much again as the read.
            bencher.iter_custom(|count| {
                runtime.block_on(async {
                    let start = std::time::Instant::now();
                    for _ in 0..count {
                        black_box(cached.get(next()).await.expect("reads"));
                    }
                    start.elapsed()
                })
            });
        });
        group.bench_function(format!("local hit, {len} B, nothing changes"), |bencher| {
            bencher.iter(|| black_box(cached.get_local(next()).expect("reads")));
        });
        group.bench_function(format!("local hit, {len} B, index asked"), |bencher| {
            // A revision of its own before every pass, so that every entry has to be checked.
            bencher.iter_custom(|count| {
                let mut took = std::time::Duration::ZERO;
                let mut left = count as usize;
                while left > 0 {
                    keyspace.put("other", "x").expect("writes");
                    let pass = left.min(KEYS);
                    let start = std::time::Instant::now();
                    for key in keys.iter().take(pass) {
                        black_box(cached.get_local(key.as_bytes()).expect("reads"));
                    }
                    took += start.elapsed();
                    left -= pass;
                }
                took
            });
        });
        group.bench_function(format!("engine alone, {len} B"), |bencher| {
            bencher.iter(|| black_box(keyspace.get(next()).expect("reads")));
        });
        for misses in [Misses::Engine, Misses::Backend] {
            let cached = open(misses);
            group.bench_function(format!("miss, {len} B, {misses:?} asked"), |bencher| {
                bencher.iter(|| {
                    cached.clear_local();
                    black_box(runtime.block_on(cached.get(next())).expect("reads"))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
