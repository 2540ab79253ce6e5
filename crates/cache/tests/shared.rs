//! What several processes share through a cache: rate limits, advisory locks.

use std::sync::Arc;
use std::time::Duration;

use cairn_cache::backend::{CacheBackend, MemoryCache, MemoryConfig};
use cairn_cache::{AdvisoryLock, Rate, RateLimiter, SharedRateLimiter, flush_namespace};
use cairndb::vfs::ManualClock;
use proptest::prelude::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn cache(clock: &Arc<ManualClock>) -> Arc<dyn CacheBackend> {
    let config = MemoryConfig { clock: clock.clone(), ..MemoryConfig::default() };
    Arc::new(MemoryCache::new(config))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_shared_limiter_decides_as_the_local_one(
        interval_us in 1..10_000_000_u64, burst in 1..20_u32,
        steps in prop::collection::vec((0..4000_u64, 0..5_u32), 1..80),
    ) {
        let rate = Rate::with_burst(1, Duration::from_micros(interval_us), burst).expect("a rate");
        let clock = Arc::new(ManualClock::default());
        let local = RateLimiter::new(rate, clock.clone());
        let shared = SharedRateLimiter::new(rate, cache(&clock), "test");
        runtime().block_on(async {
            for (thousandths, cost) in steps {
                clock.advance(Duration::from_micros(interval_us * thousandths / 1000));
                let decision = shared.check_cost(b"k", cost).await.expect("in process");
                prop_assert_eq!(decision, local.check_cost(b"k", cost));
            }
            Ok(())
        })?;
    }
}

#[test]
fn limiters_and_namespaces_with_like_names_share_nothing() {
    runtime().block_on(async {
        let cache = cache(&Arc::default());
        let rate = Rate::new(1, Duration::from_secs(3600)).expect("a rate");
        let limiter = |name| SharedRateLimiter::new(rate, cache.clone(), name);
        let (login, by_address) = (limiter("login"), limiter("login:ip"));
        assert!(login.check(b"ip:7").await.expect("in process").allowed);
        assert!(by_address.check(b"7").await.expect("in process").allowed, "another limiter");
        for namespace in ["rate", "login", "advisory-lock"] {
            assert_eq!(flush_namespace(&*cache, namespace).await.expect("in process"), 0);
        }
        assert!(!login.check(b"ip:7").await.expect("in process").allowed, "nothing was flushed");
    });
}

#[test]
fn an_advisory_lock_is_extended_and_released_by_its_owner_alone() {
    runtime().block_on(async {
        let clock = Arc::new(ManualClock::default());
        advisory(cache(&clock), Duration::from_millis(300), |time| {
            clock.advance(time);
            async {}
        })
        .await;
    });
}

/// The same for every backend; `pass` lets time pass.
async fn advisory<F: Future<Output = ()>>(
    cache: Arc<dyn CacheBackend>,
    ttl: Duration,
    pass: impl Fn(Duration) -> F,
) {
    let take = || AdvisoryLock::try_take(cache.clone(), "job", ttl);
    let held = take().await.expect("asks").expect("free");
    assert!(take().await.expect("asks").is_none());
    assert!(held.extend().await.expect("asks"));
    pass(ttl * 2).await;
    assert!(!held.extend().await.expect("asks"), "it is over");
    let next = take().await.expect("asks").expect("free again");
    assert!(!held.extend().await.expect("asks"), "it is somebody else's");
    assert!(!held.release().await.expect("asks"));
    assert!(take().await.expect("asks").is_none(), "the other one kept it");
    assert!(next.release().await.expect("asks"));
    assert!(take().await.expect("asks").is_some());
}

#[cfg(feature = "redis")]
mod redis {
    use super::*;
    use crate::redis_server::RedisServer;
    use cairn_cache::backend::{RedisCache, RedisConfig};

    fn connect(server: &RedisServer) -> Arc<dyn CacheBackend> {
        let config = RedisConfig { timeout: Duration::from_secs(60) };
        Arc::new(RedisCache::new(&server.url(), config).expect("an address"))
    }

    #[test]
    fn the_script_limits_on_a_server_what_several_clients_do_together() {
        let Some(server) = RedisServer::start() else { return };
        runtime().block_on(async {
            // An interval that does not pass while the test runs.
            let rate = Rate::with_burst(1, Duration::from_secs(50_000), 10).expect("a rate");
            let clients: Vec<_> =
                (0..3).map(|_| SharedRateLimiter::new(rate, connect(&server), "login")).collect();
            let mut allowed = 0;
            for turn in 0..30 {
                let decision = clients[turn % 3].check(b"alice").await.expect("answers");
                allowed += u32::from(decision.allowed);
                let left = 10_u32.saturating_sub(allowed);
                // A little has come back since the first one, but no whole one.
                assert!(decision.remaining == left, "{decision:?}");
            }
            assert_eq!(allowed, 10);
            let other = clients[0].check_cost(b"bob", 7).await.expect("answers");
            assert!(other.allowed && other.remaining == 3);
            let never = clients[1].check_cost(b"bob", 11).await.expect("answers");
            assert_eq!((never.allowed, never.retry_after), (false, None));
            let wait = clients[1].check_cost(b"bob", 4).await.expect("answers").retry_after;
            let wait = wait.expect("later").as_secs();
            assert!((49_900..=50_000).contains(&wait), "{wait}");
            // What does not belong there is as nothing, or as an empty allowance; never a crash.
            for (garbage, allowed) in [("x", true), ("nan", true), ("inf", false), ("1e300", false)]
            {
                server.say(&["SET", "cairn-rate:login:eve", garbage]).expect("sets");
                let decision = clients[2].check(b"eve").await.expect("answers");
                assert_eq!(decision.allowed, allowed, "{garbage}");
            }
            let fast = Rate::with_burst(1000, Duration::from_secs(1), 1).expect("a rate");
            let fast = SharedRateLimiter::new(fast, connect(&server), "fast");
            let mut allowed = 0;
            let start = std::time::Instant::now();
            while allowed < 50 {
                allowed += u32::from(fast.check(b"k").await.expect("answers").allowed);
            }
            assert!(start.elapsed() >= Duration::from_millis(48), "one a millisecond");
        });
    }

    #[test]
    fn a_dead_server_leaves_limits_to_each_process() {
        let Some(mut server) = RedisServer::start() else { return };
        runtime().block_on(async {
            let clock = Arc::new(ManualClock::default());
            let rate = Rate::with_burst(1, Duration::from_secs(1000), 2).expect("a rate");
            let bare = SharedRateLimiter::new(rate, connect(&server), "a");
            let backed = SharedRateLimiter::new(rate, connect(&server), "a")
                .with_fallback(RateLimiter::new(rate, clock));
            server.kill();
            assert!(bare.check(b"k").await.is_err());
            let allowed = [
                backed.check(b"k").await.expect("local").allowed,
                backed.check(b"k").await.expect("local").allowed,
                backed.check(b"k").await.expect("local").allowed,
            ];
            assert_eq!(allowed, [true, true, false]);
        });
    }

    #[test]
    fn an_advisory_lock_on_a_server_ends_with_its_time() {
        let Some(server) = RedisServer::start() else { return };
        // Long enough for a busy machine; its time is made to pass by the server.
        let ttl = Duration::from_secs(600);
        let key = "cairn-advisory-lock:job";
        runtime().block_on(advisory(connect(&server), ttl, |_| {
            let left = server.say(&["PTTL", key]).expect("answers");
            let left: u64 = left.trim_start_matches(':').parse().expect("it has an end");
            assert!((1..=600_000).contains(&left), "{left}");
            assert_eq!(server.say(&["PEXPIRE", key, "1"]).expect("answers"), ":1");
            while server.say(&["EXISTS", key]).expect("answers") != ":0" {
                std::thread::yield_now();
            }
            async {}
        }));
    }
}
