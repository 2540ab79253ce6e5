//! Async appends and streams.

use std::sync::Arc;
use std::time::Duration;

use cairn_engine::{Engine, NewEvent, ReadFrom, TopicConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_append_and_share_syncs_and_a_stream_sees_every_event() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let mut stream = engine.stream("t", 0, ReadFrom::Earliest).expect("streams");
    let reader = tokio::spawn(async move {
        for expected in 0..500 {
            let event = stream.next().await.expect("reads");
            assert_eq!(event.offset.get(), expected);
        }
    });
    let engine = Arc::new(engine);
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let engine = engine.clone();
            tokio::spawn(async move {
                engine.append_async("t", NewEvent::text(number.to_string())).await
            })
        })
        .collect();
    let mut offsets = Vec::new();
    for task in tasks {
        offsets.push(task.await.expect("ends").expect("appends").offset.get());
    }
    offsets.sort_unstable();
    assert!(offsets.into_iter().eq(0..500));
    tokio::time::timeout(Duration::from_secs(20), reader).await.expect("in time").expect("reads");
    let batch = [NewEvent::text("a"), NewEvent::text("b")];
    let placed = engine.append_batch_async("t", &batch).await.expect("appends");
    assert_eq!(placed.len(), 2);
    assert!(engine.append_async("none", NewEvent::text("x")).await.is_err());
}
