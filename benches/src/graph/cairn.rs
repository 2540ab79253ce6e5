//! The graph of `cairn-graph`, as it comes: chains, checksums, every revision kept.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cairn_engine::Engine;
use cairn_graph::{
    Direction, Edge, EdgeId, Graph, ImportOptions, Label, NewEdge, Value, Vertex, VertexId,
};
use cairn_segment::LogConfig;
use cairn_types::Durability;

use crate::work::{Id, Store, files_len};

pub const LOAD: &str = "written to the OS in windows of a million edges, synced at the end";
pub const CHANGE: &str = "fdatasync before each acknowledgement";

pub struct Cairn {
    engine: Engine,
    graph: Graph,
    dir: PathBuf,
}

fn open_as(dir: &Path, durability: Durability) -> Result<Cairn> {
    let config = LogConfig { durability, ..LogConfig::default() };
    let engine = Engine::open_with(dir, config)?;
    let graph = Graph::open(&engine, "g")?;
    Ok(Cairn { engine, graph, dir: dir.to_owned() })
}

pub fn open(dir: &Path) -> Result<Cairn> {
    open_as(dir, Durability::Buffered)
}

impl Store for Cairn {
    fn add_vertices(&mut self, ids: &mut dyn Iterator<Item = Id>) -> Result<()> {
        let ids: Vec<Id> = ids.collect();
        for some in ids.chunks(5_000) {
            self.graph.transact(|tx| {
                let mut all = some.iter().map(|id| Vertex::new(VertexId::from_bytes(*id)));
                all.try_for_each(|vertex| tx.add_vertex(&vertex))
            })?;
        }
        Ok(())
    }

    fn load(&mut self, ends: &mut dyn Iterator<Item = (Id, Id)>) -> Result<()> {
        let label = Label::new("e")?;
        let mut loader = self.graph.edge_loader(&ImportOptions::default());
        for (row, (src, dst)) in (1..).zip(ends) {
            let (src, dst) = (VertexId::from_bytes(src), VertexId::from_bytes(dst));
            let props = [("weight".to_owned(), Value::from(7))].into();
            loader.push(row, NewEdge { id: None, src, dst, label: label.clone(), props })?;
        }
        loader.finish()?;
        Ok(self.engine.log().sync()?)
    }

    fn settle(&mut self) -> Result<()> {
        let any = VertexId::from_bytes([0; 16]);
        self.graph.now().neighbours(any, Direction::Out, &[], 1)?;
        Ok(())
    }

    fn near(&self, vertex: Id, is_incoming: bool, found: &mut Vec<(Id, Id)>) -> Result<()> {
        let direction = if is_incoming { Direction::In } else { Direction::Out };
        let vertex = VertexId::from_bytes(vertex);
        let near = self.graph.now().neighbours(vertex, direction, &[], usize::MAX)?;
        found.extend(near.iter().map(|near| (near.vertex.to_bytes(), near.edge.to_bytes())));
        Ok(())
    }

    fn edge(&self, edge: Id) -> Result<Option<(Id, Id, u64)>> {
        let edge = self.graph.now().edge(EdgeId::from_bytes(edge))?;
        Ok(edge.map(|edge| {
            let weight = match edge.props.get("weight") {
                Some(Value::Int(weight)) => weight.cast_unsigned(),
                _ => 0,
            };
            (edge.src.to_bytes(), edge.dst.to_bytes(), weight)
        }))
    }

    fn add(&mut self, src: Id, dst: Id) -> Result<Id> {
        let (id, src, dst) =
            (self.graph.fresh_edge_id(), VertexId::from_bytes(src), VertexId::from_bytes(dst));
        self.graph.add_edge(&Edge::new(id, src, dst, "e")?.prop("weight", 7))?;
        self.engine.log().sync()?;
        Ok(id.to_bytes())
    }

    fn remove(&mut self, edge: Id) -> Result<()> {
        self.graph.remove_edge(EdgeId::from_bytes(edge))?;
        Ok(self.engine.log().sync()?)
    }

    fn disk_len(&self) -> Result<u64> {
        files_len(&self.dir)
    }
}
