//! Locks: who holds one, who waits, and who can no longer write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn_cache::{Error, LockConfig, Locks};
use cairndb::engine::Engine;
use cairndb::keys::Put;
use cairndb::log::{Log, LogConfig};
use cairndb::vfs::{ManualClock, MemVfs, SeededRng, Vfs};

const TTL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);

/// An engine in memory whose clock stands still until it is moved.
pub fn engine_on(vfs: Arc<dyn Vfs>, clock: &Arc<ManualClock>, seed: u64) -> Engine {
    let config = LogConfig { segment_size: 1 << 20, background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(vfs)
        .clock(clock.clone())
        .rng(Arc::new(SeededRng::new(seed)))
        .config(config);
    Engine::options().log(log).open().expect("opens")
}

pub fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    (engine_on(Arc::new(MemVfs::new()), &clock, 7), clock)
}

pub fn locks(engine: &Engine) -> Locks {
    Locks::open(engine, LockConfig { ttl: TTL, ..LockConfig::default() }).expect("opens")
}

fn is_lost<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::LockLost { .. }))
}

#[test]
fn a_holder_that_paused_past_its_lease_cannot_write() {
    let (engine, clock) = engine();
    let locks = locks(&engine);
    engine.create_keyspace("data").expect("creates");
    let data = engine.keyspace("data").expect("there");
    let put = |value: &'static str| Put::new(data.stream(), "k", value);

    let paused = locks.try_lock("job").expect("asks").expect("free");
    paused.with_fence(|planner| planner.put(&put("first"))).expect("held");
    clock.advance(TTL);
    // Nobody has taken the lock, nobody has ended the lease: it is refused all the same.
    assert!(is_lost(paused.with_fence(|planner| planner.put(&put("late")))));

    let next = locks.try_lock("job").expect("asks").expect("the lease is over");
    assert!(next.token() > paused.token());
    next.with_fence(|planner| planner.put(&put("second"))).expect("held");
    assert!(is_lost(paused.with_fence(|planner| planner.put(&put("later")))));
    assert!(is_lost(paused.fence().transact(|tx| {
        tx.put(&data, "k", "much later");
        Ok(())
    })));
    assert!(is_lost(paused.keep_alive()));
    assert!(!paused.fence().is_held().expect("asks"));
    // Also by the bare token, as another process has it.
    assert!(is_lost(
        locks
            .fence("job", paused.token())
            .expect("a name")
            .with_fence(|planner| { planner.put(&put("by token")) })
    ));
    drop(paused);
    assert!(next.fence().is_held().expect("asks"), "the paused one took nothing along");
    assert_eq!(data.get("k").expect("reads").expect("there"), "second");
}

#[test]
fn a_lease_that_ends_while_the_holder_is_inside_its_write_refuses_it() {
    let (engine, clock) = engine();
    let locks = locks(&engine);
    engine.create_keyspace("data").expect("creates");
    let data = engine.keyspace("data").expect("there");
    let holder = locks.try_lock("job").expect("asks").expect("free");
    // The pause falls between the body of a transaction and its commit.
    let mut runs = 0;
    let refused = holder.fence().transact(|tx| {
        runs += 1;
        tx.put(&data, "k", "late");
        if runs == 1 {
            clock.advance(TTL);
            let next = locks.try_lock("job").expect("asks").expect("the lease is over");
            next.with_fence(|planner| planner.put(&Put::new(data.stream(), "k", "next")))
                .expect("held");
            std::mem::forget(next);
        }
        Ok(())
    });
    assert!(is_lost(refused));
    assert_eq!(data.get("k").expect("reads").expect("there"), "next");
}

#[test]
fn renewing_keeps_a_lock_and_time_of_day_does_not_matter() {
    let (engine, clock) = engine();
    let locks = locks(&engine);
    let guard = locks.try_lock("job").expect("asks").expect("free");
    for _ in 0..5 {
        clock.advance(TTL * 2 / 3);
        assert!(locks.try_lock("job").expect("asks").is_none());
        guard.keep_alive().expect("held");
    }
    let renewer = guard.renewer();
    assert_eq!(renewer.step().expect("held"), TTL / 3, "nothing is due");
    // A jump of the time of day in either direction ends nothing.
    for day in [cairndb::types::Timestamp::from_secs(0), cairndb::types::Timestamp::MAX] {
        clock.set(day);
        assert!(guard.fence().is_held().expect("asks"));
        assert!(locks.try_lock("job").expect("asks").is_none());
    }
    clock.advance(TTL / 2);
    assert_eq!(renewer.step().expect("held"), TTL / 3);
    assert_eq!(guard.remaining(), TTL);
    guard.release().expect("held");
    assert!(is_lost(renewer.step().and_then(|_| {
        clock.advance(TTL);
        renewer.step()
    })));
    assert!(locks.try_lock("job").expect("asks").is_some());
}

#[test]
fn a_lock_is_held_by_one_at_a_time_and_tokens_grow() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    let locks = locks(&engine);
    let (inside, last) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let guard = locks.lock("one", LONG).expect("in time");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "alone");
                    assert!(last.swap(guard.token(), Ordering::SeqCst) < guard.token());
                    inside.fetch_sub(1, Ordering::SeqCst);
                    guard.release().expect("held");
                }
            });
        }
    });
    assert!(locks.queue("one").expect("asks").is_empty());
    assert!(engine.keys().lease_ids().is_empty(), "no lease is left behind");
}

#[test]
fn waiters_get_a_lock_in_the_order_in_which_they_came() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    let locks = locks(&engine);
    let first = locks.try_lock("fair").expect("asks").expect("free");
    let mut places: Vec<_> = (0..6).map(|_| locks.enter("fair").expect("enters")).collect();
    let order = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // Started in another order than they came.
        while let Some(mut place) = places.pop() {
            let order = &order;
            scope.spawn(move || {
                assert!(place.wait(LONG).expect("waits"));
                order.lock().expect("no panic").push(place.token());
                place.leave().expect("held");
            });
        }
        first.release().expect("held");
    });
    let order = order.into_inner().expect("no panic");
    assert_eq!(order.len(), 6);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn waiting_has_an_end_and_leaves_no_place_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    let locks = locks(&engine);
    let holder = locks.try_lock("busy").expect("asks").expect("free");
    let waited = locks.lock("busy", Duration::from_millis(20));
    assert!(matches!(waited, Err(Error::LockTimeout { .. })));
    assert_eq!(locks.queue("busy").expect("asks").len(), 1);
    assert!(locks.lock("other", Duration::ZERO).is_ok(), "another name is another lock");
    drop(holder);
    assert!(locks.lock("busy", Duration::ZERO).is_ok(), "dropping releases");
}

#[test]
fn a_place_that_is_not_first_has_a_fence_that_takes_nothing() {
    let (engine, _) = engine();
    let locks = locks(&engine);
    engine.create_keyspace("data").expect("creates");
    let data = engine.keyspace("data").expect("there");
    let holder = locks.try_lock("job").expect("asks").expect("free");
    let waiting = locks.enter("job").expect("enters").into_guard();
    let bare = locks.fence("job", waiting.token()).expect("a name");
    for fence in [waiting.fence(), bare] {
        assert!(!fence.is_held().expect("asks"));
        assert!(is_lost(fence.with_fence(|planner| planner.put(&Put::new(
            data.stream(),
            "k",
            "1"
        )))));
        assert!(is_lost(fence.transact(|tx| {
            tx.put(&data, "k", "2");
            Ok(())
        })));
    }
    assert_eq!(data.get("k").expect("reads"), None);
    holder.release().expect("held");
    waiting
        .fence()
        .transact(|tx| {
            tx.put(&data, "k", "3");
            Ok(())
        })
        .expect("it is first now");
}

#[test]
fn a_waiter_takes_over_when_the_holder_falls_silent() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    let config = LockConfig { ttl: Duration::from_secs(1), ..LockConfig::default() };
    let locks = Locks::open(&engine, config).expect("opens");
    let silent = locks.try_lock("job").expect("asks").expect("free");
    let next = locks.lock("job", LONG).expect("within the lease's second");
    assert!(next.token() > silent.token());
    assert!(is_lost(silent.release()));
}

#[test]
fn a_lock_outlives_closing_the_store_and_can_be_resumed_until_its_lease_is_over() {
    let (vfs, clock) = (Arc::new(MemVfs::new()), Arc::new(ManualClock::default()));
    let engine = engine_on(vfs.clone(), &clock, 1);
    let held = locks(&engine).try_lock("job").expect("asks").expect("free").detach();
    drop(engine);
    clock.advance(TTL / 2);
    let engine = engine_on(vfs.clone(), &clock, 2);
    let again = locks(&engine);
    assert!(again.try_lock("job").expect("asks").is_none());
    let place = again.resume(&held).expect("alive");
    assert!(place.is_first().expect("alive"));
    place.keep_alive().expect("alive");
    assert_eq!(place.detach(), held);
    drop(again);
    drop(engine);
    clock.advance(TTL);
    let engine = engine_on(vfs, &clock, 3);
    let late = locks(&engine);
    assert!(is_lost(late.resume(&held)));
    let next = late.try_lock("job").expect("asks").expect("free");
    assert!(next.token() > held.token, "tokens grow across restarts");
}

#[test]
fn hostile_names_are_refused_or_kept_apart() {
    let (engine, _) = engine();
    let locks = locks(&engine);
    for name in ["", "a\0b", &"x".repeat(257)] {
        assert!(matches!(locks.try_lock(name), Err(Error::Invalid { .. })));
    }
    let names = ["a", "a/b", "lock/a", "../a", "a\u{1}", "\u{10ffff}", " "];
    let guards: Vec<_> =
        names.iter().map(|name| locks.try_lock(name).expect("asks").expect("free")).collect();
    assert_eq!(guards.len(), names.len());
}

#[test]
fn a_fence_can_be_asked_beside_the_writer_when_a_lease_is_over() {
    let (vfs, clock) = (Arc::new(MemVfs::new()), Arc::new(ManualClock::default()));
    let engine = engine_on(vfs.clone(), &clock, 1);
    let held = locks(&engine).try_lock("job").expect("asks").expect("free").detach();
    let config = LogConfig { segment_size: 1 << 20, background: false, ..LogConfig::default() };
    let log = Log::options().vfs(vfs).clock(clock.clone()).config(config);
    let reader = Engine::options().log(log).open_read_only().expect("opens");
    let fence = locks(&reader).fence("job", held.token).expect("a name");
    assert!(fence.is_held().expect("asks"));
    clock.advance(TTL);
    // Whoever only reads ends no lease, and gets an answer all the same.
    fence.is_held().expect("asks");
}
