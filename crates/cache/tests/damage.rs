//! Servers that are not there, do not answer, or answer nonsense: typed errors in bounded time,
//! never a panic.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cairn_cache::backend::*;
use cairn_cache::*;
use cairndb::vfs::{ManualClock, SeededRng};

use crate::block_on;
use crate::redis_server::RedisServer;
use crate::rest_endpoint::{Fault, RestEndpoint, TOKEN};
use crate::suite::{redis, upstash};

/// For answers that come; the machine may be busy.
const PATIENT: Duration = Duration::from_secs(60);

/// A server that answers whatever it is asked with the same bytes, then hangs up or stays silent.
fn fake(answer: Vec<u8>, hangs_up: bool) -> RedisCache {
    fake_within(answer, hangs_up, PATIENT)
}

/// The same for a client that waits so long.
fn fake_within(answer: Vec<u8>, hangs_up: bool, timeout: Duration) -> RedisCache {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            let _any = stream.read(&mut asked);
            let _gone = stream.write_all(&answer);
            if !hangs_up {
                open.push(stream);
            }
        }
    });
    let config = RedisConfig { timeout };
    RedisCache::new(&format!("redis://127.0.0.1:{port}"), config).expect("an address")
}

#[test]
fn malformed_resp_is_a_typed_error() {
    let cases: &[&[u8]] = &[
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$99999999999\r\n",
        b"*2147483647\r\n",
        b"$-5\r\nx",
        b":12x\r\n",
        b"%1\r\n+a\r\n+b\r\n",
        &[0xff; 64],
        b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    ];
    block_on(async {
        for case in cases {
            let error = fake(case.to_vec(), false).get(b"k").await.expect_err("refused");
            assert!(matches!(error, Error::Protocol { .. }), "{case:?}: {error}");
        }
    });
}

#[test]
fn truncated_resp_is_no_answer() {
    let whole = b"$30\r\n00000000000000000007vnine byte\r\n";
    block_on(async {
        for cut in 0..whole.len() {
            let error = fake(whole[..cut].to_vec(), true).get(b"k").await.expect_err("cut");
            let is_typed = matches!(
                error,
                Error::Connect { .. } | Error::Timeout { .. } | Error::Protocol { .. }
            );
            assert!(is_typed, "{cut}: {error}");
        }
        let whole = fake(whole.to_vec(), false).get(b"k").await.expect("whole").expect("ours");
        assert_eq!(whole.revision, 7);
        let short = Duration::from_millis(200);
        let silent = fake_within(b"$30\r\n000".to_vec(), false, short);
        let silent = silent.get(b"k").await.expect_err("silent");
        assert!(matches!(silent, Error::Timeout { .. }), "{silent}");
    });
}

#[test]
fn random_resp_never_panics() {
    let rng = SeededRng::new(11);
    block_on(async {
        for _ in 0..40 {
            let alphabet = b"+-:$*\r\n01234567890OKvt";
            let len = rng.below(60) as usize;
            let bytes: Vec<u8> =
                (0..len).map(|_| alphabet[rng.below(alphabet.len() as u64) as usize]).collect();
            let cache = fake(bytes, true);
            let _either = cache.get(b"k").await;
            let _either = cache.mget(&["k".into(), "l".into()]).await;
        }
    });
}

#[test]
fn a_server_that_is_not_there_or_paused_costs_the_time_limit() {
    let Some(mut server) = RedisServer::start() else { return };
    let config = RedisConfig { timeout: Duration::from_secs(5) };
    let cache = RedisCache::new(&server.url(), config).expect("an address");
    block_on(async {
        cache.ping().await.expect("answers");
        server.pause();
        let start = Instant::now();
        let error = cache.get(b"k").await.expect_err("paused");
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(start.elapsed() < PATIENT);
        server.resume();
        cache.ping().await.expect("answers again");
        server.kill();
        let error = cache.get(b"k").await.expect_err("killed");
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        server.restart();
        cache.ping().await.expect("a new connection is made");
        let wrote = cache.set_if_newer(b"k", "v".into(), 1, Duration::from_secs(9)).await;
        assert_eq!(wrote.expect("the script is sent again"), Written::Yes);
    });
}

#[test]
fn a_subscription_lives_through_a_restart_and_says_that_there_was_a_gap() {
    let Some(mut server) = RedisServer::start() else { return };
    let cache = redis(&server);
    block_on(async {
        let mut listening = cache.subscribe("c").await.expect("subscribes");
        server.kill();
        server.restart();
        let gap = tokio::time::timeout(PATIENT, listening.next()).await.expect("in time");
        assert_eq!(gap, Some(Delivery::Gap));
        while cache.publish("c", "after".into()).await.ok() != Some(1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut gaps = 0;
        loop {
            match tokio::time::timeout(PATIENT, listening.next()).await.expect("in time") {
                Some(Delivery::Message(message)) => break assert_eq!(message, "after"),
                other => assert_eq!(other, Some(Delivery::Gap)),
            }
            gaps += 1;
        }
        assert!(gaps > 0, "what came after the first gap and before the connection is lost, too");
    });
}

#[test]
fn passwords_are_checked_and_never_shown() {
    let Some(server) = RedisServer::start_with(Some("s3cret-word")) else { return };
    block_on(async {
        let cache = redis(&server);
        cache.ping().await.expect("the right password");
        assert!(!format!("{cache:?} {}", cache.describe()).contains("s3cret-word"));
        for url in ["redis://127.0.0.1", "redis://:wrong@127.0.0.1"] {
            let config = RedisConfig { timeout: PATIENT };
            let cache = RedisCache::new(&format!("{url}:{}", server.port()), config);
            let client = RedisClient::over(Arc::new(cache.expect("an address")));
            let error = client.get(b"k").await.expect_err("not let in");
            assert!(matches!(error, Error::Denied { .. }), "{error}");
        }
    });
}

#[test]
fn addresses_that_are_none_are_refused_without_repeating_them() {
    for url in
        ["", "redis", "ftp://h", "redis://u:hidden@", "redis://u:hidden@h:port", "https://hidden"]
    {
        let error = RedisClient::new(url).expect_err(url);
        assert!(matches!(error, Error::InvalidUrl { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    for url in ["redis-sentinel://h", "redis-sentinel://u:hidden@h:x/main", "redis-sentinel:///m"] {
        let error = RedisClient::new(url).expect_err(url);
        assert!(matches!(error, Error::InvalidUrl { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    for url in ["redis-cluster://h", "redis+cluster://h", "rediss-cluster://u:hidden@h"] {
        let error = RedisClient::new(url).expect_err(url);
        assert!(matches!(error, Error::Unsupported { .. }), "{url}: {error}");
    }
    for url in ["http://example.org", "https://", "ftp://h", "https://user:hidden@h"] {
        let error = RedisClient::with_token(url, "t").expect_err(url);
        assert!(matches!(error, Error::InvalidUrl { .. }), "{url}: {error}");
    }
    assert!(RedisClient::with_token("https://h", "a\nb").is_err());
}

#[test]
fn spoilt_rest_answers_are_tried_again_or_typed() {
    let Some(server) = RedisServer::start() else { return };
    let endpoint = RestEndpoint::start(server.port());
    let cache = upstash(&endpoint);
    block_on(async {
        cache.set_plain(b"k", "v".into(), None).await.expect("writes");
        endpoint.spoil(&[Fault::Busy, Fault::Cut]);
        let before = endpoint.request_count();
        assert_eq!(cache.get_plain(b"k").await.expect("third attempt").as_deref(), Some(&b"v"[..]));
        assert_eq!(endpoint.request_count() - before, 3);
        endpoint.spoil(&[Fault::Busy; 3]);
        let error = cache.get_plain(b"k").await.expect_err("three times");
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        for fault in [Fault::NoJson, Fault::Endless] {
            endpoint.spoil(&[fault]);
            let error = cache.get_plain(b"k").await.expect_err("nonsense");
            assert!(matches!(error, Error::Protocol { .. }), "{fault:?}: {error}");
        }
        endpoint.spoil(&[Fault::Busy]);
        cache.publish("c", "once".into()).await.expect_err("a message is never sent twice");
        let stranger = UpstashCache::new(&endpoint.url(), "wrong", UpstashConfig::default());
        let error = stranger.expect("an address").ping().await.expect_err("not let in");
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(!format!("{cache:?}").contains(TOKEN));
    });
}

#[test]
fn jumps_of_the_clock_neither_end_nor_lengthen_a_life() {
    let clock = Arc::new(ManualClock::default());
    let cache = MemoryCache::new(MemoryConfig { clock: clock.clone(), ..MemoryConfig::default() });
    block_on(async {
        let life = Duration::from_secs(10);
        cache.set_if_newer(b"k", "v".into(), 1, life).await.expect("writes");
        for jump in [0, i64::MAX / 2, -5, 1] {
            clock.set(cairndb::types::Timestamp::from_micros(jump));
            assert!(cache.get(b"k").await.expect("answers").is_some(), "{jump}");
        }
        clock.advance(life - Duration::from_micros(1));
        assert!(cache.get(b"k").await.expect("answers").is_some());
        clock.advance(Duration::from_micros(1));
        assert_eq!(cache.get(b"k").await.expect("answers"), None);
    });
}

#[test]
fn a_reader_trusts_no_age_after_the_clock_of_the_server_was_set_back() {
    let clock = Arc::new(ManualClock::default());
    let set = |micros| clock.set(cairndb::types::Timestamp::from_micros(micros));
    let cache = MemoryCache::new(MemoryConfig { clock: clock.clone(), ..MemoryConfig::default() });
    let (_dir, _engine, keyspace) = crate::hybrid::engine();
    block_on(async {
        let hour = 3_600_000_000;
        set(10 * hour);
        let cache: Arc<dyn CacheBackend> = Arc::new(cache);
        let keeper = HybridStore::new(keyspace, cache.clone(), HybridOptions::default());
        let revision = keeper.put("a", "1").await.expect("writes");
        assert!(keeper.settled(revision, PATIENT).await);
        let bound = Duration::from_secs(7200);
        let reader = CacheReader::new(cache.clone(), "default", "k", bound);
        let answer = reader.get(b"a").await.expect("reads").answer;
        assert_eq!(answer, Lookup::Value("1".into()));
        // From here on nobody keeps the cache up to date.
        drop(keeper);
        crate::hybrid::until("it has ended", || Arc::strong_count(&cache) == 2).await;
        for (now, is_known) in [(11, true), (12, true), (13, false), (9, false), (10, true)] {
            set(now * hour);
            let known = reader.get(b"a").await;
            assert_eq!(known.is_ok(), is_known, "{now}: {known:?}");
            if let Err(error) = known {
                assert!(matches!(error, Error::TooOld { .. }), "{error}");
            }
        }
    });
}

#[test]
fn the_cache_in_process_keeps_its_budget_and_what_is_asked_for() {
    let bytes_max = 100_000;
    let cache = MemoryCache::new(MemoryConfig { bytes_max, ..MemoryConfig::default() });
    block_on(async {
        let life = Duration::from_secs(10);
        for number in 0..2000_u64 {
            let key = format!("k{number}");
            cache.set_if_newer(key.as_bytes(), vec![0; 500].into(), 1, life).await.expect("writes");
            assert!(cache.len() <= bytes_max);
            if number > 0 {
                assert!(
                    cache.get(b"k0").await.expect("answers").is_some(),
                    "asked for all the time"
                );
            }
        }
        cache.set_plain(b"huge", vec![0; 99_000].into(), None).await.expect("writes");
        assert!(cache.len() <= bytes_max, "not even one large entry is over it");
    });
}

#[test]
fn the_cache_in_process_keeps_its_budget_whatever_is_written_again_and_removed() {
    let bytes_max = 30_000;
    let cache = MemoryCache::new(MemoryConfig { bytes_max, ..MemoryConfig::default() });
    let rng = SeededRng::new(5);
    block_on(async {
        let mut found = 0;
        for _ in 0..20_000 {
            let key = format!("k{}", rng.below(60));
            let len = rng.below(if rng.below(50) == 0 { 40_000 } else { 2_000 }) as usize;
            match rng.below(4) {
                0 => drop(cache.remove(&[key.into()]).await.expect("removes")),
                1 => {
                    let value = cache.get_plain(key.as_bytes()).await.expect("answers");
                    found += u32::from(value.is_some());
                }
                _ => {
                    cache.set_plain(key.as_bytes(), vec![1; len].into(), None).await.expect("sets");
                    let is_there = cache.get_plain(key.as_bytes()).await.expect("answers");
                    assert!(is_there.is_some() || len > 29_000, "{len} bytes were not kept");
                }
            }
            assert!(cache.len() <= bytes_max, "{}", cache.len());
        }
        assert!(found > 1000, "{found}");
    });
}

#[test]
fn a_value_over_the_whole_budget_of_the_cache_in_process_drives_out_nothing() {
    let cache = MemoryCache::new(MemoryConfig { bytes_max: 100_000, ..MemoryConfig::default() });
    block_on(async {
        let life = Duration::from_secs(10);
        for number in 0..100_u64 {
            let key = format!("k{number}");
            cache.set_if_newer(key.as_bytes(), vec![0; 500].into(), 1, life).await.expect("writes");
        }
        let before = cache.len();
        let huge = bytes::Bytes::from(vec![0; 200_000]);
        for key in [&b"huge"[..], b"k7"] {
            cache.set_if_newer(key, huge.clone(), 2, life).await.expect("no error");
            cache.set_plain(key, huge.clone(), None).await.expect("no error");
            assert_eq!(cache.get(key).await.expect("answers"), None, "neither new nor old");
        }
        for number in (0..100).filter(|number| *number != 7) {
            let key = format!("k{number}");
            assert!(cache.get(key.as_bytes()).await.expect("answers").is_some(), "{key}");
        }
        assert!(cache.len() < before);
        // Room is made for what fits as before.
        cache.set_plain(b"k7", vec![0; 50_000].into(), None).await.expect("writes");
        assert!(cache.get_plain(b"k7").await.expect("answers").is_some());
    });
}
