//! Figures of a graph at one revision. Derived; nothing is kept.

use std::collections::BTreeMap;

use cairndb::keys::Range;

use crate::chunk::{Side, each_entry};
use crate::key;
use crate::source::Source;
use crate::{Result, StorageKey, VertexId, View};

/// Figures of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphStats {
    /// The revision.
    pub revision: u64,
    /// Vertices.
    pub vertex_count: u64,
    /// Edges.
    pub edge_count: u64,
    /// Edges that imports packed into chunks.
    pub packed_edge_count: u64,
    /// Chunks at the sources of edges.
    pub chunk_count: u64,
    /// Vertices by label; one may have several labels.
    pub vertices_by_label: BTreeMap<String, u64>,
    /// Edges by label.
    pub edges_by_label: BTreeMap<String, u64>,
    /// The vertex with the most edges that begin there, and how many.
    pub most_outgoing: Option<(VertexId, u64)>,
    /// Indexes over properties.
    pub index_count: u64,
}

impl GraphStats {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let most = self.most_outgoing;
        let most =
            most.map(|(id, count)| serde_json::json!({"id": id.to_string(), "count": count}));
        serde_json::json!({
            "revision": self.revision,
            "vertex_count": self.vertex_count,
            "edge_count": self.edge_count,
            "packed_edge_count": self.packed_edge_count,
            "chunk_count": self.chunk_count,
            "vertices_by_label": self.vertices_by_label,
            "edges_by_label": self.edges_by_label,
            "most_outgoing": most,
            "index_count": self.index_count,
        })
    }
}

impl View {
    /// Counts everything. Reads all vertices' keys and all edges once.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged); the engine's.
    pub fn stats(&self) -> Result<GraphStats> {
        let mut source = self.source();
        let mut stats = GraphStats { revision: self.revision(), ..GraphStats::default() };
        stats.index_count = self.indexes()?.list().len() as u64;
        source.walk(Range::prefix(vec![key::VERTEX]), &mut |_, _| {
            stats.vertex_count += 1;
            Ok(true)
        })?;
        source.walk(Range::prefix(vec![key::LABEL]), &mut |key, _| {
            if let StorageKey::Label { label, .. } = StorageKey::decode(key)? {
                *stats.vertices_by_label.entry(label.to_string()).or_default() += 1;
            }
            Ok(true)
        })?;
        let mut at: Option<(VertexId, u64)> = None;
        source.walk(Range::prefix(vec![key::OUT]), &mut |key, value| {
            let mut count = 0;
            let (near, label) = match StorageKey::decode(key)? {
                StorageKey::OutChunk(chunk) => {
                    each_entry(Side::Out, &value, |_| count += 1)?;
                    stats.packed_edge_count += count;
                    stats.chunk_count += 1;
                    (chunk.near, chunk.label)
                }
                StorageKey::Out(edge) => {
                    count = 1;
                    (edge.near, edge.label)
                }
                _ => return Ok(true),
            };
            stats.edge_count += count;
            *stats.edges_by_label.entry(label.to_string()).or_default() += count;
            let so_far = at.filter(|(vertex, _)| *vertex == near).map_or(0, |(_, count)| count);
            at = Some((near, so_far + count));
            if stats.most_outgoing.is_none_or(|(_, most)| so_far + count > most) {
                stats.most_outgoing = at;
            }
            Ok(true)
        })?;
        Ok(stats)
    }
}
