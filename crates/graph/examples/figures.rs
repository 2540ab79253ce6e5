//! Figures on a graph of 100,000 vertices and a million edges: loading, neighbours, paths.
//! `cargo run --release -p cairn-graph --example figures -- [EDGES] [sorted]`

use std::time::{Duration, Instant};

use cairn_graph::{
    Direction, Edge, EdgeColumns, ExpandOptions, Graph, ImportOptions, Label, PathOptions, Vertex,
    VertexId,
};
use cairndb::prelude::*;

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn vertex(number: u64) -> VertexId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mix(number + 1).to_be_bytes());
    bytes[8..].copy_from_slice(&mix(number + (1 << 40)).to_be_bytes());
    VertexId::from_bytes(bytes)
}

/// Since when, by the wall and by the processor time of this thread: beside other work only the
/// second says what something costs.
struct Watch {
    wall: Instant,
    processor: Duration,
}

impl Watch {
    fn start() -> Self {
        Self { wall: Instant::now(), processor: processor_time() }
    }

    fn each(&self, what: &str, count: u64) {
        let spent = processor_time().saturating_sub(self.processor);
        #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        let (wall, processor) = (micros(self.wall.elapsed()), micros(spent));
        println!("{what}: {wall:.2} us each, processor {processor:.2} us");
    }
}

/// What the kernel counts for the first thread; nothing where it does not.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Mebibytes of memory by a name of the kernel: what is used now, or was at most.
fn memory(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let edges: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let is_sorted = std::env::args().nth(2).is_some();
    let vertices = (edges / 10).max(10);
    let dir = tempfile::tempdir_in(".")?;
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let engine = Engine::open_with(dir.path().join("data"), config)?;
    let graph = Graph::open(&engine, "figures")?;
    load(&graph, vertices, edges, is_sorted)?;
    walk(&graph, vertices)?;
    let start = Watch::start();
    for number in 0..1_000 {
        graph.transact(|tx| {
            let (src, dst) = (vertex(number), vertex(number + 1));
            tx.add_edge(&Edge::new(graph.fresh_edge_id(), src, dst, "likes")?)
        })?;
    }
    start.each("add one edge, one a commit", 1_000);
    let start = Watch::start();
    let stats = graph.now().stats()?;
    let (count, chunks) = (stats.edge_count, stats.chunk_count);
    start.each(&format!("stats, {count} edges in {chunks} chunks"), count);
    let start = Watch::start();
    let check = graph.check()?;
    let (keys, is_intact) = (check.key_count, check.is_intact());
    start.each(&format!("check, {keys} keys, intact: {is_intact}"), check.edge_count);
    Ok(())
}

/// Vertices by transactions, edges from CSV.
fn load(graph: &Graph, vertices: u64, edges: u64, is_sorted: bool) -> Outcome {
    let start = Watch::start();
    for first in (0..vertices).step_by(5_000) {
        graph.transact(|tx| {
            (first..(first + 5_000).min(vertices))
                .try_for_each(|number| tx.add_vertex(&Vertex::new(vertex(number)).label("node")?))
        })?;
    }
    start.each("add vertices, 5,000 a commit", vertices);
    let mut rows = String::from("src,dst,weight:int\n");
    for number in 0..edges {
        let src = if is_sorted { number / 10 } else { mix(number) % vertices };
        let (dst, weight) = (mix(number + edges) % vertices, number % 100);
        rows.push_str(&format!("{},{},{weight}\n", vertex(src), vertex(dst)));
    }
    let columns = EdgeColumns {
        src: "src".into(),
        dst: "dst".into(),
        label: Label::new("knows")?,
        label_column: None,
        id: None,
    };
    let used = memory("VmRSS");
    let start = Watch::start();
    let options = ImportOptions::default();
    let report = graph.import_edges(rows.as_bytes(), &columns, &options, &mut |_| {})?;
    start.each("import edges from CSV, buffered", edges);
    let (commits, len) = (report.commit_count, rows.len() >> 20);
    println!("   {commits} commits, {len} MB of CSV");
    let (now, most) = (memory("VmRSS"), memory("VmHWM"));
    println!("   memory before {used} MiB, at most {most} MiB, after {now} MiB");
    Ok(())
}

/// Neighbours, hops, paths.
fn walk(graph: &Graph, vertices: u64) -> Outcome {
    let now = graph.now();
    let start = Watch::start();
    now.neighbours(vertex(0), Direction::Out, &[], 1)?;
    start.each("first read, which brings keys into order", 1);
    for direction in [Direction::Out, Direction::In] {
        let mut found = 0;
        let start = Watch::start();
        for number in 0..vertices {
            let id = vertex(mix(number) % vertices);
            found += now.neighbours(id, direction, &[], usize::MAX)?.len();
        }
        start.each(&format!("neighbours {direction:?}, {found} found"), vertices);
    }
    let start = Watch::start();
    for number in 0..1_000 {
        now.expand(vertex(number), &ExpandOptions::default())?;
    }
    start.each("two hops (about 110 vertices)", 1_000);
    let start = Watch::start();
    for number in 0..100 {
        now.shortest_path(vertex(number), vertex(number + 100), &PathOptions::default())?;
    }
    start.each("shortest path", 100);
    Ok(())
}
