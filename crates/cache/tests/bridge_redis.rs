//! The bridge over a real server that is killed, paused and started again.

use std::sync::Arc;
use std::time::Duration;

use cairn_cache::backend::{CacheBackend, RedisCache, RedisConfig};
use cairn_cache::bridge::{Feed, FeedStart, Publisher, Subscriber, SubscriberConfig};
use cairndb::keys::Range;

use crate::bridge::{expect, store, write};
use crate::redis_server::RedisServer;

fn connect(server: &RedisServer) -> Arc<dyn CacheBackend> {
    let config = RedisConfig { timeout: Duration::from_millis(100) };
    Arc::new(RedisCache::new(&server.url(), config).expect("an address"))
}

/// One phase after the other, the same amount of updates in each.
async fn through_everything(trust_messages: bool) -> Option<cairn_cache::bridge::SubscriberStats> {
    const PHASE: u64 = 60;
    let mut server = RedisServer::start()?;
    let (_dir, engine) = store();
    let feed = || Feed::keys(&engine, "k", Range::all()).expect("there");
    // Two connections, as two processes have them.
    let mut publisher = Publisher::new(feed(), connect(&server), "c").expect("publishes");
    let config = SubscriberConfig { poll: Duration::from_millis(50), trust_messages };
    let mut subscriber =
        Subscriber::with(feed(), connect(&server), "c", &FeedStart::Now, config).expect("it");
    let publishing = tokio::spawn(async move { publisher.run().await });
    let mut written = 0;
    for phase in ["alive", "paused", "resumed", "killed", "restarted", "killed in between", "end"] {
        println!("{phase}");
        match phase {
            "paused" => server.pause(),
            "resumed" => server.resume(),
            "killed" => server.kill(),
            "restarted" | "end" => server.restart(),
            _ => {}
        }
        let numbers = written..written + PHASE;
        written += PHASE;
        let (engine, middle) = (engine.clone(), numbers.start + PHASE / 2);
        let (first, second) = (numbers.start..middle, middle..numbers.end);
        let first_half = first.clone();
        let writer = engine.clone();
        let writing = tokio::task::spawn_blocking(move || write(&writer, first_half));
        if phase == "killed in between" {
            server.kill();
        }
        expect(&mut subscriber, first).await;
        writing.await.expect("writes");
        // One by one: each is waited for before the next is written.
        for number in second {
            write(&engine, number..number + 1);
            expect(&mut subscriber, number..number + 1).await;
        }
    }
    // The channel works again: messages come through it in the end.
    let before = subscriber.stats();
    let channel_works = |stats: cairn_cache::bridge::SubscriberStats| {
        stats.from_messages > before.from_messages || stats.repeated > before.repeated
    };
    let start = std::time::Instant::now();
    while !channel_works(subscriber.stats()) && start.elapsed() < Duration::from_secs(120) {
        write(&engine, written..written + 1);
        expect(&mut subscriber, written..written + 1).await;
        written += 1;
    }
    assert!(channel_works(subscriber.stats()), "{:?}", subscriber.stats());
    publishing.abort();
    Some(subscriber.stats())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_or_doubled_when_redis_is_killed_paused_and_restarted() {
    for trust in [true, false] {
        let Some(stats) = through_everything(trust).await else { return };
        println!("trust {trust}: {stats:?}");
        assert!(stats.from_log > 0);
        assert_eq!(trust, stats.from_messages > 0);
    }
}
