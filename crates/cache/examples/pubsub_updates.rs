//! Updates of a keyspace as messages, and a subscriber that misses none though its channel loses
//! some. Run it with `cargo run -p cairn-cache --example pubsub_updates [redis://host/]` (an
//! address needs `--features redis`); without an address the channel is in this process.

use std::sync::Arc;
use std::time::Duration;

use cairn_cache::RedisClient;
use cairn_cache::backend::{CacheBackend, MemoryCache};
use cairn_cache::bridge::{Feed, FeedStart, Publisher, Subscriber, SubscriberConfig, UpdateBody};
use cairndb::prelude::*;

async fn run(cache: Arc<dyn CacheBackend>) -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    engine.create_keyspace("stations")?;
    let stations = engine.keyspace("stations")?;
    let feed = || Feed::keys(&engine, "stations", Range::prefix("ch/"));

    let mut publisher = Publisher::new(feed()?, cache.clone(), "updates")?;
    let config = SubscriberConfig { poll: Duration::from_millis(50), trust_messages: true };
    let mut subscriber =
        Subscriber::with(feed()?, cache.clone(), "updates", &FeedStart::Now, config.clone())?;
    let publishing = tokio::spawn(async move { publisher.run().await });

    stations.put("ch/bern", "open")?;
    stations.put("de/ulm", "open")?; // Not in the range: nobody hears of it.
    stations.put("ch/thun", "closed")?;
    for _ in 0..2 {
        show(&subscriber.next().await?.body);
    }
    // The subscriber goes away with its position; the publisher dies; the world goes on.
    let position = subscriber.positions();
    drop(subscriber);
    publishing.abort();
    stations.put("ch/thun", "open")?;
    stations.delete("ch/bern")?;

    // Nobody published that, and the next subscriber gets it all the same, from the log.
    let start = FeedStart::After(position);
    let mut subscriber = Subscriber::with(feed()?, cache, "updates", &start, config)?;
    for _ in 0..2 {
        show(&subscriber.next().await?.body);
    }
    println!("{:?}", subscriber.stats());
    assert_eq!(subscriber.stats().from_log, 2);
    Ok(())
}

fn show(body: &UpdateBody) {
    let UpdateBody::Keys(changes) = body else { return };
    for change in changes {
        println!("{:?} {:?}", change.key, change.value);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache: Arc<dyn CacheBackend> = match std::env::args().nth(1) {
        Some(url) if url.contains("://") => RedisClient::new(&url)?.backend(),
        _ => Arc::new(MemoryCache::default()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(cache))
}

#[test]
fn the_example_runs() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let run = run(Arc::new(MemoryCache::default()));
    runtime.expect("a runtime").block_on(run).expect("runs");
}
