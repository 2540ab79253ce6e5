//! A Redis cache with a time to live, and a channel.
//!
//! ```text
//! redis-server &
//! cargo run -p cairn-cache --features redis --example redis_ttl -- redis://127.0.0.1/
//! ```

use std::time::Duration;

use cairn_cache::backend::Delivery;
use cairn_cache::{Error, RedisClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    match std::env::args().nth(1).or_else(|| std::env::var("CAIRN_REDIS_URL").ok()) {
        Some(url) => run(&url).await,
        None => {
            println!("skipped: name a server, such as redis://127.0.0.1/");
            Ok(())
        }
    }
}

/// The example, on a server.
pub async fn run(url: &str) -> Result<(), Error> {
    let client = RedisClient::new(url)?;

    // It goes by itself after its time.
    client.set_with_ttl(b"example:greeting", "hello", Duration::from_millis(50)).await?;
    assert_eq!(client.get(b"example:greeting").await?.as_deref(), Some(&b"hello"[..]));
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(client.get(b"example:greeting").await?, None);

    // Who listens now gets what is published from now on.
    let mut news = client.subscribe("example:news").await?;
    client.publish("example:news", "vertex 1 changed").await?;
    if let Some(Delivery::Message(text)) = news.next().await {
        println!("heard: {}", String::from_utf8_lossy(&text));
    }
    println!("done");
    Ok(())
}
