//! Commands on the wire and applied, snapshots out and in. All in memory: no figure here is
//! durable.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use cairn_engine::{Command, Engine, NewEvent, Position, SnapshotAt, SnapshotImport, TopicConfig};
use cairn_mvcc::Put;
use cairn_segment::{Log, LogConfig};
use cairn_types::Durability;
use cairn_vfs::MemVfs;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn open() -> Engine {
    let config = LogConfig {
        durability: Durability::Buffered,
        background: false,
        quota_bytes: Some(u64::MAX),
        ..LogConfig::default()
    };
    let log = Log::options().vfs(Arc::new(MemVfs::new())).config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    engine.create_keyspace("k").expect("creates");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine
}

fn commands(criterion: &mut Criterion) {
    let engine = open();
    let space = engine.keyspace("k").expect("there").stream();
    let put = Command::Put(Put::new(space, "0123456789abcdef", vec![7; 100]));
    let bytes = Bytes::from(put.encode().expect("encodes"));
    let events = vec![NewEvent::binary(vec![7; 100]); 100];
    let append = engine.append_command("t", &events).expect("fixes");
    let appends = Bytes::from(append.encode().expect("encodes"));
    let mut group = criterion.benchmark_group("command");
    group.bench_function("encode_put", |b| b.iter(|| black_box(&put).encode().expect("encodes")));
    group.bench_function("decode_put", |b| {
        b.iter(|| Command::decode(black_box(&bytes)).expect("decodes"));
    });
    group.bench_function("decode_100_events", |b| {
        b.iter(|| Command::decode(black_box(&appends)).expect("decodes"));
    });
    let mut position = 0;
    group.bench_function("apply_put", |b| {
        b.iter(|| {
            position += 1;
            engine.apply(Position::new(position), &put).expect("applies")
        });
    });
    let keyspace = engine.keyspace("k").expect("there");
    group.bench_function("put_without_command", |b| {
        b.iter(|| keyspace.put("0123456789abcdef", vec![7; 100]).expect("puts"));
    });
    group.finish();
}

fn snapshots(criterion: &mut Criterion) {
    let engine = open();
    let events = vec![NewEvent::binary(vec![7; 1000]); 1000];
    for _ in 0..32 {
        engine.append_batch("t", &events).expect("appends");
    }
    let mut stream = Vec::new();
    let written = engine
        .snapshot(SnapshotAt::Newest)
        .expect("takes")
        .write_to(&mut stream, 0, None)
        .expect("writes");
    let mut group = criterion.benchmark_group("snapshot");
    group.throughput(Throughput::Bytes(written.len)).sample_size(10);
    group.bench_function("export_32_mb", |b| {
        b.iter(|| {
            let snapshot = engine.snapshot(SnapshotAt::Newest).expect("takes");
            snapshot.write_to(&mut std::io::sink(), 0, None).expect("writes")
        });
    });
    group.bench_function("import_32_mb_and_verify", |b| {
        b.iter(|| {
            let mut import = SnapshotImport::open(Arc::new(MemVfs::new())).expect("opens");
            import.read_from(&mut stream.as_slice(), None).expect("reads");
            import.finish(engine.log().codecs()).expect("finishes")
        });
    });
    group.finish();
}

criterion_group!(benches, commands, snapshots);
criterion_main!(benches);
