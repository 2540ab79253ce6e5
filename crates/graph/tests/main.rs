//! Tests of the graph: a naive one in memory says what is right.

mod crashes;
mod damage;
mod examples;
mod feed;
mod import;
mod model;
mod proofs;
mod reading;
#[path = "../../cairn-tests/src/soaking.rs"]
#[expect(dead_code, reason = "others need more of it")]
mod soaking;
mod storage;

use std::sync::Arc;

use cairn_graph::{Graph, Vertex, VertexId};
use cairndb::prelude::*;
use cairndb::vfs::{ManualClock, MemVfs, SeededRng, Vfs};

/// An engine on a disk, without threads, real time or real randomness.
pub fn open(
    vfs: Arc<dyn Vfs>,
    seed: u64,
    durability: Durability,
) -> cairndb::engine::Result<Engine> {
    let config =
        LogConfig { segment_size: 1 << 20, background: false, durability, ..LogConfig::default() };
    let log = Log::options()
        .vfs(vfs)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(seed)))
        .config(config);
    Engine::options().log(log).open()
}

/// A graph in memory.
pub fn graph() -> Graph {
    let engine = open(Arc::new(MemVfs::new()), 1, Durability::Buffered).expect("opens");
    Graph::open(&engine, "g").expect("opens")
}

/// A vertex id by a small number.
pub fn id(number: u8) -> VertexId {
    VertexId::named(&format!("v{number}"))
}

/// A graph with some vertices.
pub fn graph_of(count: u8) -> Graph {
    let graph = graph();
    for number in 0..count {
        graph.add_vertex(&Vertex::new(id(number))).expect("adds");
    }
    graph
}
