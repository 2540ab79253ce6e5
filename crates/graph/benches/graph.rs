//! A graph on a real directory, buffered: loading edges, neighbours, hops, one change.
//! `CAIRN_EDGES` sets how many edges there are; 200,000 by default, ten a vertex.

use std::time::Duration;

use cairn_graph::{
    Direction, Edge, ExpandOptions, Graph, ImportOptions, Label, NewEdge, Value, Vertex, VertexId,
};
use cairndb::prelude::*;
use cairndb::vfs::SeededRng;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn edge_count() -> u64 {
    let count = std::env::var("CAIRN_EDGES").ok().and_then(|text| text.parse().ok());
    count.unwrap_or(200_000_u64).max(1_000)
}

fn vertex(number: u64) -> VertexId {
    VertexId::named(&number.to_string())
}

fn open(dir: &std::path::Path, vertices: u64) -> Graph {
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let engine = Engine::open_with(dir.join("data"), config).expect("opens");
    let graph = Graph::open(&engine, "bench").expect("opens");
    for first in (0..vertices).step_by(5_000) {
        let batch = first..(first + 5_000).min(vertices);
        let all = |number| Vertex::new(vertex(number)).label("node");
        let added = graph.transact(|tx| batch.clone().try_for_each(|n| tx.add_vertex(&all(n)?)));
        added.expect("adds");
    }
    graph
}

fn load(graph: &Graph, edges: &[NewEdge]) {
    let mut loader = graph.edge_loader(&ImportOptions::default());
    for (row, edge) in (1..).zip(edges) {
        loader.push(row, edge.clone()).expect("takes it");
    }
    loader.finish().expect("imports");
}

fn graphs(c: &mut Criterion) {
    let (count, rng) = (edge_count(), SeededRng::new(1));
    let vertices = count / 10;
    let label = Label::new("knows").expect("label");
    let edge = |number: u64| NewEdge {
        id: None,
        src: vertex(rng.below(vertices)),
        dst: vertex(rng.below(vertices)),
        label: label.clone(),
        props: [("weight".to_owned(), Value::Int(number.cast_signed()))].into(),
    };
    let edges: Vec<NewEdge> = (0..count).map(edge).collect();
    let mut group = c.benchmark_group("graph");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(count));
    group.bench_function("load edges", |b| {
        b.iter_custom(|rounds| {
            let one = |_| {
                let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
                let graph = open(dir.path(), vertices);
                let begun = std::time::Instant::now();
                load(&graph, &edges);
                begun.elapsed()
            };
            (0..rounds).map(one).sum()
        });
    });
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let graph = open(dir.path(), vertices);
    load(&graph, &edges);
    let now = graph.now();
    group.throughput(Throughput::Elements(1));
    for direction in [Direction::Out, Direction::In] {
        group.bench_function(format!("neighbours {direction:?}, about 10"), |b| {
            b.iter(|| {
                let id = vertex(rng.below(vertices));
                now.neighbours(id, direction, &[], usize::MAX).expect("reads")
            });
        });
    }
    group.bench_function("two hops, about 110 vertices", |b| {
        let options = ExpandOptions::default();
        b.iter(|| now.expand(vertex(rng.below(vertices)), &options).expect("expands"));
    });
    group.bench_function("add one edge", |b| {
        b.iter(|| {
            let (src, dst) = (vertex(rng.below(vertices)), vertex(rng.below(vertices)));
            let edge = Edge::new(graph.fresh_edge_id(), src, dst, "likes").expect("label");
            graph.add_edge(&edge).expect("adds")
        });
    });
    group.finish();
}

criterion_group!(benches, graphs);
criterion_main!(benches);
