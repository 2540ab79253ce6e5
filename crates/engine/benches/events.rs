//! Appending and reading events of 100 bytes (durability buffered; a real directory).

use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_segment::LogConfig;
use cairn_types::Durability;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn events(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let engine = Engine::open_with(dir.path().join("data"), config).expect("opens");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let batch = vec![NewEvent::binary(vec![7; 100]); 1000];
    let mut group = c.benchmark_group("events, buffered");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("append batches of 1,000", |b| {
        b.iter(|| engine.append_batch("t", &batch).expect("appends"));
    });
    group.bench_function("read 1,000", |b| {
        b.iter(|| engine.events("t", 0, 0).expect("reads").take(1000).count());
    });
    group.finish();
}

criterion_group!(benches, events);
criterion_main!(benches);
