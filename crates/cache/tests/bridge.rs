//! The bridge: whatever a channel does, a subscriber gets each update once, in order.

use std::sync::Arc;
use std::time::Duration;

use cairn_cache::Error;
use cairn_cache::backend::{CacheBackend, Delivery, MemoryCache};
use cairn_cache::bridge::{
    Feed, FeedStart, Publisher, Subscriber, SubscriberConfig, Update, UpdateBody,
};
use cairndb::engine::{Engine, NewEvent, TopicConfig};
use cairndb::keys::Range;
use cairndb::types::EventData;
use cairndb::vfs::{Rng, SeededRng};

pub const LONG: Duration = Duration::from_secs(60);

pub fn store() -> (tempfile::TempDir, Engine) {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    engine.create_keyspace("k").expect("creates");
    (dir, engine)
}

fn config(trust_messages: bool) -> SubscriberConfig {
    SubscriberConfig { poll: Duration::from_millis(20), trust_messages }
}

pub async fn next(subscriber: &mut Subscriber) -> Update {
    tokio::time::timeout(LONG, subscriber.next()).await.expect("in time").expect("reads")
}

/// The number in an update of one key.
fn number(update: &Update) -> u64 {
    let UpdateBody::Keys(changes) = &update.body else { panic!("keys") };
    assert_eq!(changes.len(), 1);
    let value = changes[0].value.as_ref().expect("a put");
    std::str::from_utf8(value).expect("digits").parse().expect("digits")
}

/// Writes numbers, a few milliseconds of other work between some of them.
pub fn write(engine: &Engine, numbers: std::ops::Range<u64>) {
    let space = engine.keyspace("k").expect("there");
    for number in numbers {
        space.put(format!("key {}", number % 7), number.to_string()).expect("writes");
    }
}

/// Reads so many updates and holds them against what was written.
pub async fn expect(subscriber: &mut Subscriber, numbers: std::ops::Range<u64>) {
    for wanted in numbers {
        let update = next(subscriber).await;
        assert_eq!(number(&update), wanted, "{update:?}");
        assert!(update.prev < update.at);
        assert_eq!(subscriber.positions(), [update.at]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_update_comes_once_in_order_from_messages_or_from_the_log() {
    for trust in [false, true] {
        let (_dir, engine) = store();
        let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
        let feed = || Feed::keys(&engine, "k", Range::all()).expect("there");
        let mut publisher = Publisher::new(feed(), cache.clone(), "c").expect("publishes");
        let start = FeedStart::Now;
        let mut subscriber =
            Subscriber::with(feed(), cache, "c", &start, config(trust)).expect("subscribes");
        let publishing = tokio::spawn(async move { publisher.run().await });
        let writing = tokio::task::spawn_blocking(move || write(&engine, 0..300));
        expect(&mut subscriber, 0..300).await;
        writing.await.expect("writes");
        publishing.abort();
        let stats = subscriber.stats();
        assert_eq!(stats.from_messages + stats.from_log, 300, "{stats:?}");
        assert!(trust || stats.from_messages == 0);
    }
}

/// Hands messages on as a bad network would: some are lost, some come twice, some late.
async fn mangle(cache: Arc<dyn CacheBackend>, seed: u64) {
    let rng = SeededRng::new(seed);
    let mut raw = cache.subscribe("raw").await.expect("subscribes");
    let mut late = Vec::new();
    while let Some(delivery) = raw.next().await {
        let Delivery::Message(message) = delivery else { continue };
        match rng.next_u64() % 5 {
            0 => {}
            1 => late.push(message),
            2 => {
                cache.publish("out", message.clone()).await.expect("publishes");
                cache.publish("out", message).await.expect("publishes");
            }
            _ => drop(cache.publish("out", message).await.expect("publishes")),
        }
        if rng.next_u64().is_multiple_of(4) {
            for message in late.drain(..) {
                cache.publish("out", message).await.expect("publishes");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_lost_repeated_or_late_change_nothing() {
    for seed in 0..4 {
        println!("seed {seed}");
        let (_dir, engine) = store();
        let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
        let mangler = tokio::spawn(mangle(cache.clone(), seed));
        let feed = || Feed::keys(&engine, "k", Range::all()).expect("there");
        let mut publisher = Publisher::new(feed(), cache.clone(), "raw").expect("publishes");
        let config = config(seed % 2 == 0);
        let mut subscriber =
            Subscriber::with(feed(), cache, "out", &FeedStart::Now, config).expect("subscribes");
        let publishing = tokio::spawn(async move { publisher.run().await });
        let writing = tokio::task::spawn_blocking(move || write(&engine, 0..400));
        expect(&mut subscriber, 0..400).await;
        writing.await.expect("writes");
        publishing.abort();
        mangler.abort();
        println!("{:?}", subscriber.stats());
    }
}

#[tokio::test]
async fn a_subscriber_goes_on_where_an_earlier_one_ended() {
    let (_dir, engine) = store();
    let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
    let feed = || Feed::keys(&engine, "k", Range::all()).expect("there");
    let mut start = FeedStart::Earliest;
    let mut written = 0;
    // Nobody publishes at all: the log is enough.
    for round in 1..8 {
        write(&engine, written..written + 10 * round);
        let mut subscriber =
            Subscriber::with(feed(), cache.clone(), "c", &start, config(true)).expect("subscribes");
        expect(&mut subscriber, written..written + 10 * round).await;
        written += 10 * round;
        start = FeedStart::After(subscriber.positions());
    }
}

#[tokio::test]
async fn events_of_all_partitions_come_whole_from_messages_and_from_the_log() {
    for trust in [false, true] {
        let (_dir, engine) = store();
        let config_of_topic = TopicConfig { partitions: 3, ..TopicConfig::default() };
        engine.create_topic("t", config_of_topic).expect("creates");
        let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
        let feed = || Feed::topic(&engine, "t").expect("there");
        let mut publisher = Publisher::new(feed(), cache.clone(), "c").expect("publishes");
        let start = FeedStart::Now;
        let mut subscriber =
            Subscriber::with(feed(), cache, "c", &start, config(trust)).expect("subscribes");
        let mut seen = vec![0_u64; 3];
        for number in 0..90_u64 {
            let event = match number % 3 {
                0 => NewEvent::json(format!("{{\"n\":{number},\"f\":1.50}}")),
                1 => NewEvent::text(format!("\"text\" {number}")),
                _ => NewEvent::binary(vec![0xff, (number % 256) as u8]),
            };
            let event = event.with_key(format!("key {number}"));
            let placed = engine.append("t", event.clone()).expect("appends");
            publisher.pump().await.expect("publishes");
            let update = next(&mut subscriber).await;
            let UpdateBody::Event(told) = update.body else { panic!("an event") };
            assert_eq!((told.offset, update.lane), (placed.offset.get(), placed.partition.get()));
            assert_eq!(told.data, event.data);
            assert_eq!(told.key.as_deref(), Some(format!("key {number}").as_bytes()));
            assert_eq!(told.id, placed.id.to_string());
            let lane = usize::try_from(update.lane).expect("small");
            assert_eq!(told.offset, seen[lane], "in order of the partition");
            seen[lane] += 1;
        }
        assert_eq!(subscriber.positions(), seen);
        assert_eq!(trust, subscriber.stats().from_messages > 0);
        let wrong = Subscriber::new(
            feed(),
            Arc::new(MemoryCache::default()),
            "c",
            &FeedStart::After(vec![0; 2]),
        );
        assert!(matches!(wrong, Err(Error::Invalid { .. })));
    }
}

#[tokio::test]
async fn what_the_log_has_given_up_is_told_and_not_skipped() {
    let (_dir, engine) = store();
    let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
    write(&engine, 0..20);
    let feed = Feed::keys(&engine, "k", Range::all()).expect("there");
    let start = FeedStart::After(vec![5]);
    let mut subscriber =
        Subscriber::with(feed, cache.clone(), "c", &start, config(false)).expect("subscribes");
    engine.keys().compact(15).expect("compacts");
    for _ in 0..2 {
        let told = tokio::time::timeout(LONG, subscriber.next()).await.expect("in time");
        assert!(matches!(told, Err(Error::TooFarBehind { after: 5, oldest: 15 })), "{told:?}");
    }
    let feed = Feed::keys(&engine, "k", Range::all()).expect("there");
    let mut again = Subscriber::with(feed, cache, "c", &FeedStart::Earliest, config(false))
        .expect("subscribes");
    assert_eq!(next(&mut again).await.at, 15);
}

#[tokio::test]
async fn forged_and_broken_messages_add_nothing_to_the_truth() {
    let (_dir, engine) = store();
    let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
    let feed = Feed::keys(&engine, "k", Range::all()).expect("there");
    let mut subscriber =
        Subscriber::with(feed, cache.clone(), "c", &FeedStart::Now, config(false)).expect("it");
    write(&engine, 0..1);
    expect(&mut subscriber, 0..1).await;
    let position = subscriber.positions()[0];
    let next_at = position + 1;
    let forged = format!(
        r#"{{"v":1,"type":"keys","lane":0,"prev":{position},"at":{next_at},"changes":[{{"op":"put","key":"key 1","value":"666"}}]}}"#
    );
    for message in
        [&forged[..], "", "{", "null", r#"{"v":9}"#, &forged.replace("\"lane\":0", "\"lane\":7")]
    {
        cache.publish("c", message.to_owned().into()).await.expect("publishes");
    }
    write(&engine, 1..3);
    expect(&mut subscriber, 1..3).await;
    let silence = tokio::time::timeout(Duration::from_millis(100), subscriber.next()).await;
    assert!(silence.is_err(), "nothing else comes");
    assert_eq!(subscriber.stats().refused, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_never_silent_does_not_hide_what_it_lost() {
    for trust in [false, true] {
        let (_dir, engine) = store();
        let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
        let feed = Feed::keys(&engine, "k", Range::all()).expect("there");
        let mut subscriber =
            Subscriber::with(feed, cache.clone(), "c", &FeedStart::Now, config(trust)).expect("it");
        let noise = tokio::spawn(async move {
            loop {
                cache.publish("c", "noise".into()).await.expect("publishes");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        // Nobody publishes them: only the log has them.
        for number in 0..3 {
            write(&engine, number..number + 1);
            expect(&mut subscriber, number..number + 1).await;
        }
        noise.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_beside_the_writing_process_reads_the_same_log() {
    let (dir, engine) = store();
    let reader = Engine::open_read_only(dir.path().join("data")).expect("opens");
    let cache: Arc<dyn CacheBackend> = Arc::new(MemoryCache::default());
    let feed = Feed::keys(&reader, "k", Range::all()).expect("there");
    let mut subscriber =
        Subscriber::with(feed, cache, "c", &FeedStart::Now, config(true)).expect("subscribes");
    let writing = tokio::task::spawn_blocking(move || write(&engine, 0..100));
    expect(&mut subscriber, 0..100).await;
    writing.await.expect("writes");
}

#[test]
fn text_and_binary_data_are_not_mixed_up() {
    assert_ne!(EventData::text("//4="), EventData::binary(vec![0xff, 0xfe]));
}
