//! Locks, limits and sessions: what one call costs, without and with the disk.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use cairn_cache::{
    LockConfig, Locks, Rate, RateLimiter, SessionConfig, SessionManager, SharedRateLimiter,
};
use cairndb::auth::GivenKey;
use cairndb::engine::Engine;
use cairndb::keys::Put;
use cairndb::log::LogConfig;
use cairndb::types::Durability;
use cairndb::vfs::SystemClock;
use criterion::{Criterion, criterion_group, criterion_main};

fn engine(durability: Durability) -> (tempfile::TempDir, Engine) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = LogConfig { durability, ..LogConfig::default() };
    let engine = Engine::open_with(dir.path().join("data"), config).expect("opens");
    (dir, engine)
}

fn sessions(engine: &Engine) -> SessionManager<Vec<String>> {
    let key = GivenKey::from_bytes(&std::array::from_fn::<u8, 32, _>(|n| n as u8 * 7));
    let config = SessionConfig { per_user_max: 1024, ..SessionConfig::default() };
    SessionManager::open(engine, &key.expect("a key"), config).expect("opens")
}

fn bench_sessions(bench: &mut Criterion) {
    let (_dir, engine) = engine(Durability::Buffered);
    let sessions = sessions(&engine);
    let data = vec!["tea".to_owned(), "milk".to_owned()];
    let tokens: Vec<_> = (0..5000)
        .map(|user| sessions.store(&format!("user {user}"), &data).expect("stores").token)
        .collect();
    let mut turn = tokens.iter().cycle();
    bench.bench_function("session/get opened before", |b| {
        b.iter(|| black_box(sessions.get(turn.next().expect("endless")).expect("reads")));
    });
    bench.bench_function("session/touch within the step", |b| {
        b.iter(|| black_box(sessions.touch(turn.next().expect("endless")).expect("reads")));
    });
    // What the one who ends sessions does each time: it looks at the leases of all of them.
    let mut living = tokens.len();
    for count in [living, 100_000] {
        for user in living..count {
            sessions.store(&format!("more {user}"), &data).expect("stores");
        }
        living = count;
        bench.bench_function(&format!("session/maintain, {count} that live"), |b| {
            b.iter(|| black_box(engine.keys().expire_leases()).expect("ends none"));
        });
    }
    let mut user = 0_u64;
    bench.bench_function("session/store and revoke, buffered", |b| {
        b.iter(|| {
            user += 1;
            let issued = sessions.store(&format!("new {user}"), &data).expect("stores");
            sessions.revoke(&issued.token).expect("ends")
        });
    });
}

fn bench_locks(bench: &mut Criterion) {
    for (name, durability) in [("buffered", Durability::Buffered), ("synced", Durability::Sync)] {
        let (_dir, engine) = engine(durability);
        engine.create_keyspace("data").expect("creates");
        let data = engine.keyspace("data").expect("there").stream();
        let locks = Locks::open(&engine, LockConfig::default()).expect("opens");
        bench.bench_function(&format!("lock/take and release, {name}"), |b| {
            b.iter(|| {
                locks.try_lock("bench").expect("asks").expect("free").release().expect("held")
            });
        });
        let config = LockConfig { ttl: Duration::from_secs(600), ..LockConfig::default() };
        let locks = Locks::open(&engine, config).expect("opens");
        let guard = locks.try_lock("bench").expect("asks").expect("free");
        bench.bench_function(&format!("lock/fenced put, {name}"), |b| {
            b.iter(|| guard.with_fence(|planner| planner.put(&Put::new(data, "k", "v"))));
        });
        bench.bench_function(&format!("lock/plain put, {name}"), |b| {
            b.iter(|| engine.keys().put(Put::new(data, "k", "v")));
        });
    }
}

fn bench_limits(bench: &mut Criterion) {
    let rate = Rate::with_burst(1_000_000_000, Duration::from_secs(1), 1000).expect("a rate");
    let limiter = RateLimiter::new(rate, Arc::new(SystemClock::default()));
    bench.bench_function("limit/local", |b| b.iter(|| black_box(limiter.check(b"alice"))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let memory = Arc::new(cairn_cache::backend::MemoryCache::default());
    let shared = SharedRateLimiter::new(rate, memory, "bench");
    bench.bench_function("limit/shared, in process", |b| {
        b.iter(|| runtime.block_on(shared.check(b"alice")).expect("answers"));
    });
}

criterion_group!(benches, bench_sessions, bench_locks, bench_limits);
criterion_main!(benches);
