//! Events from async code: `cargo run -p cairndb --features tokio --example asynchronous`.

use cairndb::prelude::*;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    engine.create_topic("readings", TopicConfig::default())?;
    let mut stream = engine.stream("readings", 0, ReadFrom::Earliest)?;
    let writer = engine.clone();
    let writing = tokio::spawn(async move {
        for celsius in [19, 20, 22] {
            let placed =
                writer.append_async("readings", NewEvent::text(celsius.to_string())).await?;
            println!("durable at offset {}", placed.offset);
        }
        Ok::<(), cairndb::engine::Error>(())
    });
    for _ in 0..3 {
        let event = stream.next().await?;
        println!("{}: {} degrees", event.offset, event.data.as_str().unwrap_or_default());
    }
    Ok(writing.await??)
}
