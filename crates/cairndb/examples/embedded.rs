//! An application that embeds the engine: a producer, a subscriber, a look back in time.

use cairndb::prelude::*;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    engine.create_topic("temperatures", TopicConfig::default())?;
    let mut live = engine.subscribe("temperatures", None, ReadFrom::Earliest)?;
    std::thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
        let writer = scope.spawn(|| {
            (0..5).try_for_each(|minute| {
                let at = Timestamp::from_secs(1_790_000_000 + minute * 60);
                let event = NewEvent::json(format!(r#"{{"celsius":{}}}"#, 20 + minute)).at(at);
                engine.append("temperatures", event).map(drop)
            })
        });
        for _ in 0..5 {
            if let Some(event) = live.next(Duration::from_secs(5))? {
                println!("live: {} {}", event.timestamp, event.data.as_str().unwrap_or_default());
            }
        }
        Ok(writer.join().map_err(|_| "the writer panicked")??)
    })?;
    let from = ReadFrom::Time(Timestamp::from_secs(1_790_000_000 + 150));
    for event in engine.events_from("temperatures", 0, from)? {
        println!("since the third minute: {}", event?.data.as_str().unwrap_or_default());
    }
    Ok(())
}
