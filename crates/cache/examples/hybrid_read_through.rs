//! A keyspace with a cache in front: reads go through it, and none is stale. With an address of a
//! Redis another program can read what the cache keeps; without one the cache in process does.
//!
//! ```text
//! cargo run -p cairn-cache --features redis --example hybrid_read_through -- redis://127.0.0.1/
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use cairn_cache::backend::{CacheBackend, MemoryCache};
use cairn_cache::{CacheReader, HybridOptions, HybridStore, RedisClient};
use cairndb::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(std::env::args().nth(1).or_else(|| std::env::var("CAIRN_REDIS_URL").ok())).await
}

/// The example; in this process without a server.
pub async fn run(url: Option<String>) -> Result<(), Box<dyn Error>> {
    let backend: Arc<dyn CacheBackend> = match url {
        Some(url) => RedisClient::new(&url)?.backend(),
        None => Arc::new(MemoryCache::default()),
    };
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    engine.create_keyspace("users")?;
    let users = engine.keyspace("users")?;
    users.put("alice", "from Bern")?;

    let options = HybridOptions { namespace: "example".to_owned(), ..HybridOptions::default() };
    let cached = HybridStore::new(users.clone(), backend.clone(), options);
    // The first read goes to the engine, the second stays in the local tier.
    for _ in 0..2 {
        assert_eq!(cached.get(b"alice").await?.as_deref(), Some(&b"from Bern"[..]));
    }
    // A write past the cache: the next read has it, whatever the cache remembers.
    users.put("alice", "from Thun")?;
    assert_eq!(cached.get(b"alice").await?.as_deref(), Some(&b"from Thun"[..]));

    // A program without the engine, with the same cache: at most two seconds old, or an error.
    while !cached.is_backend_up() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let revision = cached.put("alice", "from Chur").await?;
    if cached.settled(revision, Duration::from_secs(10)).await {
        let reader = CacheReader::new(backend, "example", "users", Duration::from_secs(2));
        println!("elsewhere: {:?}", reader.get(b"alice").await?);
    }
    println!("{:?}", cached.stats());
    println!("done");
    Ok(())
}
