//! A graph beside one laid out by hand on redb: loading edges, neighbours. Both keep each edge at
//! both ends and by its id; what is measured is rebuilt in every run.
//! `cargo run --release --features graph --bin versus-graph -- [EDGES] [ROUNDS]`
#![deny(unsafe_code)]

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use cairn_engine::Engine;
use cairn_graph::{Direction, Graph, ImportOptions, Label, NewEdge, Value, Vertex, VertexId};
use cairn_segment::LogConfig;
use cairn_types::Durability;
use redb::{Database, ReadableDatabase, TableDefinition};

/// Vertex, label, other vertex, edge -> weight; the label is one byte.
const OUT: TableDefinition<&[u8], &[u8]> = TableDefinition::new("out");
const IN: TableDefinition<&[u8], &[u8]> = TableDefinition::new("in");
/// Edge -> source, target.
const EDGES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("edges");
const VERTICES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("vertices");

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn id(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mix(number + 1).to_be_bytes());
    bytes[8..].copy_from_slice(&mix(number + (1 << 40)).to_be_bytes());
    bytes
}

/// What is done: edges between random vertices, ten a vertex.
struct Work {
    vertices: u64,
    edges: u64,
}

impl Work {
    fn ends(&self, edge: u64) -> (u64, u64) {
        (mix(edge) % self.vertices, mix(edge + self.edges) % self.vertices)
    }
}

/// Edges a second, and microseconds for the neighbours of a vertex.
type Figures = (f64, f64);

fn cairn(dir: &Path, work: &Work) -> Result<Figures> {
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let engine = Engine::open_with(dir.join("cairn"), config)?;
    let graph = Graph::open(&engine, "g")?;
    for first in (0..work.vertices).step_by(5_000) {
        graph.transact(|tx| {
            let mut batch = first..(first + 5_000).min(work.vertices);
            batch.try_for_each(|n| tx.add_vertex(&Vertex::new(VertexId::from_bytes(id(n)))))
        })?;
    }
    let label = Label::new("e")?;
    let start = Instant::now();
    let mut loader = graph.edge_loader(&ImportOptions::default());
    for edge in 0..work.edges {
        let (src, dst) = work.ends(edge);
        let (src, dst) = (VertexId::from_bytes(id(src)), VertexId::from_bytes(id(dst)));
        let props = [("weight".to_owned(), Value::from(7))].into();
        loader.push(edge, NewEdge { id: None, src, dst, label: label.clone(), props })?;
    }
    loader.finish()?;
    let rate = work.edges as f64 / start.elapsed().as_secs_f64();
    let now = graph.now();
    now.neighbours(VertexId::from_bytes(id(0)), Direction::Out, &[], 1)?;
    let start = Instant::now();
    let mut found = 0;
    for number in 0..work.vertices {
        let near = VertexId::from_bytes(id(mix(number) % work.vertices));
        found += now.neighbours(near, Direction::Out, &[], usize::MAX)?.len();
    }
    assert!(found > 0, "there are neighbours");
    Ok((rate, start.elapsed().as_secs_f64() * 1e6 / work.vertices as f64))
}

fn by_hand(dir: &Path, work: &Work) -> Result<Figures> {
    let db = Database::create(dir.join("by_hand.redb"))?;
    let begun = db.begin_write()?;
    {
        let mut table = begun.open_table(VERTICES)?;
        for number in 0..work.vertices {
            table.insert(&id(number)[..], &[][..])?;
        }
    }
    begun.commit()?;
    let start = Instant::now();
    let mut edge = 0;
    while edge < work.edges {
        let mut begun = db.begin_write()?;
        begun.set_durability(redb::Durability::None)?;
        {
            let (mut out, mut into) = (begun.open_table(OUT)?, begun.open_table(IN)?);
            let (mut edges, vertices) = (begun.open_table(EDGES)?, begun.open_table(VERTICES)?);
            for number in edge..(edge + 100_000).min(work.edges) {
                let (src, dst) = work.ends(number);
                let (src, dst, own) = (id(src), id(dst), id(number + (1 << 50)));
                anyhow::ensure!(vertices.get(&src[..])?.is_some(), "no source");
                anyhow::ensure!(vertices.get(&dst[..])?.is_some(), "no target");
                let weight = &7_u64.to_le_bytes()[..];
                out.insert(&[&src[..], b"e", &dst, &own].concat()[..], weight)?;
                into.insert(&[&dst[..], b"e", &src, &own].concat()[..], &[][..])?;
                edges.insert(&own[..], &[&src[..], &dst].concat()[..])?;
            }
        }
        begun.commit()?;
        edge += 100_000;
    }
    let rate = work.edges as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut found = 0;
    for number in 0..work.vertices {
        let near = id(mix(number) % work.vertices);
        let table = db.begin_read()?.open_table(OUT)?;
        let mut neighbours = Vec::new();
        for pair in table.range(&near[..]..)? {
            let (key, _) = pair?;
            let key = key.value();
            if !key.starts_with(&near) {
                break;
            }
            neighbours.push(<[u8; 32]>::try_from(&key[17..49])?);
        }
        found += neighbours.len();
    }
    assert!(found > 0, "there are neighbours");
    Ok((rate, start.elapsed().as_secs_f64() * 1e6 / work.vertices as f64))
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse());
    let edges: u64 = arguments.next().transpose()?.unwrap_or(1_000_000);
    let rounds = arguments.next().transpose()?.unwrap_or(3);
    let work = Work { vertices: (edges / 10).max(10), edges };
    println!("| round | who | edges/s | neighbours of a vertex, us |\n|---|---|---|---|");
    for round in 0..rounds {
        let dir = tempfile::tempdir_in(".")?;
        let mut both: [(&str, fn(&Path, &Work) -> Result<Figures>); 2] =
            [("Cairn, buffered", cairn), ("by hand on redb, in its memory", by_hand)];
        if round % 2 == 1 {
            both.reverse();
        }
        for (who, run) in both {
            let (rate, micros) = run(dir.path(), &work)?;
            println!("| {round} | {who} | {rate:.0} | {micros:.2} |");
        }
    }
    Ok(())
}
