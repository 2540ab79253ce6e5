//! What every backend promises, run on each of the three.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_cache::backend::*;
use cairn_cache::{AdvisoryLock, Error};

use crate::block_on;
use crate::redis_server::RedisServer;
use crate::rest_endpoint::{RestEndpoint, TOKEN};

const PATIENT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub type Backend = Arc<dyn CacheBackend>;

/// A patient client: the suite is not about time limits, and the machine may be busy.
pub fn redis(server: &RedisServer) -> Backend {
    let config = RedisConfig { timeout: PATIENT };
    Arc::new(RedisCache::new(&server.url(), config).expect("an address"))
}

pub fn upstash(endpoint: &RestEndpoint) -> Backend {
    let config = UpstashConfig { timeout: PATIENT, ..UpstashConfig::default() };
    Arc::new(UpstashCache::new(&endpoint.url(), TOKEN, config).expect("an address"))
}

fn on_all<F: Future<Output = ()>>(promise: impl Fn(Backend) -> F) {
    block_on(promise(Arc::new(MemoryCache::default())));
    let Some(server) = RedisServer::start() else { return };
    block_on(promise(redis(&server)));
    assert_eq!(server.say(&["FLUSHALL"]).expect("an answer"), "+OK");
    let endpoint = RestEndpoint::start(server.port());
    block_on(promise(upstash(&endpoint)));
}

fn value(revision: u64, value: &str) -> Option<Stamped> {
    Some(Stamped { revision, value: Some(Bytes::copy_from_slice(value.as_bytes())) })
}

#[test]
fn an_older_revision_never_replaces_a_newer_one_or_a_newer_tombstone() {
    on_all(|cache| async move {
        let set = async |revision, text: &'static str| {
            cache.set_if_newer(b"k", text.into(), revision, HOUR).await.expect("answers")
        };
        assert_eq!(cache.get(b"k").await.expect("answers"), None);
        assert_eq!(set(5, "five").await, Written::Yes);
        assert_eq!(set(4, "four").await, Written::Older);
        assert_eq!(set(5, "again").await, Written::Older);
        assert_eq!(cache.get(b"k").await.expect("answers"), value(5, "five"));
        assert_eq!(set(10, "ten").await, Written::Yes, "as numbers, not as text");
        assert_eq!(cache.delete(b"k", 9, HOUR).await.expect("answers"), Written::Older);
        assert_eq!(cache.delete(b"k", 11, HOUR).await.expect("answers"), Written::Yes);
        let tombstone = Some(Stamped { revision: 11, value: None });
        assert_eq!(cache.get(b"k").await.expect("answers"), tombstone);
        assert_eq!(set(11, "late").await, Written::Older);
        assert_eq!(set(1 << 60, "large").await, Written::Yes);
        assert_eq!(set((1 << 60) - 1, "large").await, Written::Older, "no digit is lost");
        assert_eq!(set(u64::MAX, "last").await, Written::Yes);
        assert_eq!(cache.get(b"k").await.expect("answers"), value(u64::MAX, "last"));
    });
}

#[test]
fn many_keys_are_read_in_order_and_many_changes_land() {
    on_all(|cache| async move {
        let changes: Vec<Change> = (0..300_u64)
            .map(|number| Change {
                key: format!("m{number}").into(),
                value: (number % 3 != 0).then(|| number.to_string().into()),
                revision: number + 1,
                ttl: HOUR,
            })
            .collect();
        cache.apply(&changes).await.expect("applies");
        cache.apply(&changes).await.expect("applies again");
        let keys: Vec<Bytes> = ["m1", "none", "m3", "m299"].map(Bytes::from).to_vec();
        let found = cache.mget(&keys).await.expect("answers");
        let tombstone = Some(Stamped { revision: 4, value: None });
        assert_eq!(found, [value(2, "1"), None, tombstone, value(300, "299")]);
        assert_eq!(cache.mget(&[]).await.expect("answers"), []);
        assert_eq!(cache.flush(b"m").await.expect("flushes"), 300);
        assert_eq!(cache.flush(b"m").await.expect("flushes"), 0);
    });
}

#[test]
fn hostile_keys_and_values_come_back_as_they_were() {
    on_all(|cache| async move {
        let long = vec![b'x'; 60_000];
        let hostile: &[&[u8]] = &[
            b"",
            b" ",
            b"\r\n",
            b"*1\r\n$4\r\nQUIT\r\n",
            b"\0",
            b"\xff\xfe",
            b"..",
            b"../..",
            b"a:*?[]",
            b"\x01x",
            "snö".as_bytes(),
            b"\"];",
            &long,
        ];
        for (number, key) in (1..).zip(hostile) {
            let text = Bytes::copy_from_slice(key);
            cache.set_if_newer(key, text.clone(), number, HOUR).await.expect("writes");
            let found = cache.get(key).await.expect("answers").expect("there");
            assert_eq!(found, Stamped { revision: number, value: Some(text) });
        }
        for key in hostile {
            let text = Bytes::copy_from_slice(key);
            cache.set_plain(key, text.clone(), None).await.expect("writes");
            assert_eq!(cache.get_plain(key).await.expect("answers"), Some(text));
        }
        for key in hostile {
            let bytes = Bytes::from_static(b"\xff\0\xfe");
            cache.set_plain(key, bytes.clone(), Some(HOUR)).await.expect("writes");
            assert_eq!(cache.get_plain(key).await.expect("answers"), Some(bytes));
        }
        let keys: Vec<Bytes> = hostile.iter().map(|key| Bytes::copy_from_slice(key)).collect();
        assert_eq!(cache.remove(&keys).await.expect("removes"), hostile.len() as u64);
    });
}

#[test]
fn what_is_over_its_limit_is_refused_before_it_is_sent() {
    on_all(|cache| async move {
        let (key, large) = (vec![0; KEY_LEN_MAX + 1], Bytes::from(vec![0; VALUE_LEN_MAX + 1]));
        let refused = [
            cache.get(&key).await.expect_err("refused"),
            cache.set_if_newer(&key, "".into(), 1, HOUR).await.expect_err("refused"),
            cache.set_if_newer(b"k", large.clone(), 1, HOUR).await.expect_err("refused"),
            cache.set_plain(b"k", large.clone(), None).await.expect_err("refused"),
            cache.publish("c", large).await.expect_err("refused"),
            cache.subscribe(&"c".repeat(CHANNEL_LEN_MAX + 1)).await.expect_err("refused"),
        ];
        for error in refused {
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        }
    });
}

#[test]
fn a_large_value_passes() {
    on_all(|cache| async move {
        let large: Bytes = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>().into();
        cache.set_if_newer(b"large", large.clone(), 1, HOUR).await.expect("writes");
        let found = cache.get(b"large").await.expect("answers").expect("there");
        assert_eq!(found.value, Some(large));
    });
}

#[test]
fn what_is_not_ours_counts_as_nothing_and_gives_way() {
    on_all(|cache| async move {
        for foreign in
            ["", "hello", "00000000000000000007", "00000000000000000007x", "999999999999999999999v"]
        {
            cache.set_plain(b"f", foreign.into(), None).await.expect("writes");
            assert_eq!(cache.get(b"f").await.expect("answers"), None, "{foreign}");
            let keys = [Bytes::from("f")];
            assert_eq!(cache.mget(&keys).await.expect("answers"), [None], "{foreign}");
        }
        cache.set_plain(b"f", "hello".into(), None).await.expect("writes");
        let wrote = cache.set_if_newer(b"f", "v".into(), 1, HOUR).await.expect("writes");
        assert_eq!(wrote, Written::Yes);
    });
}

#[test]
fn a_time_to_live_ends_and_can_be_set_anew() {
    on_all(|cache| async move {
        let short = Duration::from_millis(30);
        cache.set_if_newer(b"t", "v".into(), 1, short).await.expect("writes");
        cache.set_plain(b"p", "v".into(), Some(short)).await.expect("writes");
        cache.set_plain(b"stays", "v".into(), Some(PATIENT)).await.expect("writes");
        assert!(cache.expire(b"stays", HOUR).await.expect("answers"));
        let is_gone = async |key: &'static [u8]| {
            for _ in 0..12_000 {
                if cache.get_plain(key).await.expect("answers").is_none() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            false
        };
        assert!(is_gone(b"t").await && is_gone(b"p").await);
        assert!(cache.get_plain(b"stays").await.expect("answers").is_some());
        assert!(!cache.expire(b"t", HOUR).await.expect("answers"), "it is gone");
        assert!(cache.expire(b"stays", Duration::ZERO).await.expect("answers"));
        assert_eq!(cache.get_plain(b"stays").await.expect("answers"), None);
        let revision = cache.set_if_newer(b"t", "v".into(), 1, Duration::MAX).await;
        assert_eq!(revision.expect("a long life"), Written::Yes);
    });
}

#[test]
fn an_advisory_lock_is_had_on_every_cache_for_any_time() {
    on_all(|cache| async move {
        for ttl in [PATIENT, Duration::MAX] {
            let take = || AdvisoryLock::try_take(cache.clone(), "job", ttl);
            let held = take().await.expect("asks").expect("free");
            assert!(take().await.expect("asks").is_none());
            assert!(held.extend().await.expect("asks"));
            assert!(held.release().await.expect("asks"));
        }
    });
}

#[test]
fn messages_reach_those_who_listen() {
    on_all(|cache| async move {
        assert_eq!(cache.publish("news", "nobody".into()).await.expect("publishes"), 0);
        let mut listening = cache.subscribe("news").await.expect("subscribes");
        // Over REST the stream is open a moment before the subscription is.
        while cache.publish("news", "first".into()).await.expect("publishes") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cache.publish("other", "no".into()).await.expect("publishes");
        cache.publish("news", "a,b\"{}".into()).await.expect("publishes");
        let first = tokio::time::timeout(PATIENT, listening.next()).await;
        assert_eq!(first.expect("in time"), Some(Delivery::Message("first".into())));
        let second = tokio::time::timeout(PATIENT, listening.next()).await;
        assert_eq!(second.expect("in time"), Some(Delivery::Message("a,b\"{}".into())));
        assert_eq!(listening.try_next(), None);
    });
}

const ADD: Script = Script {
    name: "add",
    lua: "local sum = tonumber(redis.call('GET', KEYS[1]) or '0') + tonumber(ARGV[1])
redis.call('SET', KEYS[1], tostring(sum), 'PX', 3600000)
return {sum, redis.call('GET', KEYS[1]), false}",
    local: |keys, names, args| {
        let number =
            |bytes: &Bytes| std::str::from_utf8(bytes).ok().and_then(|t| t.parse::<i64>().ok());
        let sum = keys.get(&names[0]).as_ref().and_then(number).unwrap_or(0)
            + number(&args[0]).expect("a number");
        keys.set(&names[0], sum.to_string().into(), Some(HOUR));
        assert!(keys.ttl(&names[0]).is_some_and(|left| left <= HOUR));
        Ok(Reply::List(vec![Reply::Int(sum), Reply::Bytes(sum.to_string().into()), Reply::Nil]))
    },
};

#[test]
fn a_script_is_one_step_and_means_the_same_everywhere() {
    on_all(|cache| async move {
        let adding = (0..20).map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move {
                cache.script(&ADD, &["sum".into()], &["2".into()]).await.expect("runs")
            })
        });
        for adding in adding.collect::<Vec<_>>() {
            adding.await.expect("no panic");
        }
        let reply = cache.script(&ADD, &["sum".into()], &["1".into()]).await.expect("runs");
        let expected = [Reply::Int(41), Reply::Bytes("41".into()), Reply::Nil];
        assert_eq!(reply.as_list().expect("a list"), expected);
    });
}

#[test]
fn it_answers_and_tells_its_time() {
    on_all(|cache| async move {
        cache.ping().await.expect("answers");
        let first = cache.time().await.expect("answers");
        assert!(first > 1_500_000_000_000_000 && cache.time().await.expect("answers") >= first);
        assert!(!cache.describe().contains(TOKEN));
    });
}
