//! The change feed: what happened to vertices and edges, revision by revision, from any one that
//! is not compacted. Derived from the log; a feed holds only its position.

use std::collections::BTreeMap;
use std::time::Duration;

use cairndb::keys::{Change, KeyValue, Range, WatchBatch, WatchRequest, Watcher};

use crate::chunk::{Side, decode_chunk};
use crate::key::{self, ChunkKey};
use crate::record::decode_edge;
use crate::{Edge, EdgeId, Error, Graph, Result, StorageKey, Vertex};

/// One change of a graph.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphChange {
    /// A vertex is new.
    VertexCreated(Vertex),
    /// Labels or properties of a vertex were replaced.
    VertexUpdated {
        /// As it was.
        before: Vertex,
        /// As it is.
        after: Vertex,
    },
    /// A vertex was deleted.
    VertexDeleted(Vertex),
    /// An edge is new.
    EdgeCreated(Edge),
    /// The properties of an edge were replaced.
    EdgeUpdated {
        /// As it was.
        before: Edge,
        /// As it is.
        after: Edge,
    },
    /// An edge was deleted.
    EdgeDeleted(Edge),
}

impl GraphChange {
    /// As JSON: `change` names what happened, `vertex` or `edge` is what it is now or was last,
    /// `before` what it was.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::VertexCreated(it) => json!({"change": "vertex_created", "vertex": it.to_json()}),
            Self::VertexDeleted(it) => json!({"change": "vertex_deleted", "vertex": it.to_json()}),
            Self::EdgeCreated(it) => json!({"change": "edge_created", "edge": it.to_json()}),
            Self::EdgeDeleted(it) => json!({"change": "edge_deleted", "edge": it.to_json()}),
            Self::VertexUpdated { before, after } => json!({
                "change": "vertex_updated", "vertex": after.to_json(), "before": before.to_json(),
            }),
            Self::EdgeUpdated { before, after } => json!({
                "change": "edge_updated", "edge": after.to_json(), "before": before.to_json(),
            }),
        }
    }
}

/// All changes of one revision: vertices first, then edges, each by id.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeBatch {
    /// The revision.
    pub revision: u64,
    /// The changes.
    pub changes: Vec<GraphChange>,
}

impl ChangeBatch {
    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let changes: Vec<_> = self.changes.iter().map(GraphChange::to_json).collect();
        serde_json::json!({ "revision": self.revision, "changes": changes })
    }
}

/// A position in the history of a graph.
#[derive(Debug)]
pub struct Feed {
    watcher: Watcher,
    graph: Graph,
}

impl Graph {
    /// The changes from a revision on; 0 for those to come.
    ///
    /// # Errors
    /// The engine's, when the start or the revision before it was compacted: what was deleted
    /// then could not be told.
    pub fn changes(&self, from: u64) -> Result<Feed> {
        let oldest = self.engine().keys().compact_revision();
        if from != 0 && oldest != 0 && from <= oldest {
            return Err(cairndb::keys::Error::Compacted { requested: from, oldest }.into());
        }
        // Vertices and out keys, which are truth, lie side by side.
        let range = Range::between(vec![key::VERTEX], vec![key::IN]);
        let request = WatchRequest::new(self.keyspace().stream(), range).from(from);
        let request = WatchRequest { prev_kv: true, ..request };
        Ok(Feed { watcher: self.keyspace().watch(request)?, graph: self.clone() })
    }
}

impl Feed {
    /// The first revision that was not delivered: a feed from it goes on without a gap or a
    /// repetition.
    #[must_use]
    pub const fn next_revision(&self) -> u64 {
        self.watcher.next_revision()
    }

    /// The next revision that changed the graph, if it is there already.
    ///
    /// # Errors
    /// [`Error::Damaged`]; the engine's, when the feed fell behind a compaction.
    pub fn try_next(&mut self) -> Result<Option<ChangeBatch>> {
        while let Some(batch) = self.watcher.try_next().map_err(Error::from)? {
            let batch = self.typed(&batch)?;
            if !batch.changes.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// The next revision that changed the graph, waiting for it; `None` when the time is over.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next(&mut self, timeout: Duration) -> Result<Option<ChangeBatch>> {
        let clock = self.graph.engine().log().clock().clone();
        let (start, mut left) = (clock.monotonic(), timeout);
        while let Some(batch) = self.watcher.next(left).map_err(Error::from)? {
            let batch = self.typed(&batch)?;
            if !batch.changes.is_empty() {
                return Ok(Some(batch));
            }
            left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
        }
        Ok(None)
    }

    fn typed(&self, batch: &WatchBatch) -> Result<ChangeBatch> {
        let mut vertices = Vec::new();
        let mut edges = Edges::new();
        for change in &batch.changes {
            let is_known = change.is_create() || change.prev_kv.is_some();
            if !is_known {
                let oldest = self.graph.engine().keys().compact_revision();
                let requested = batch.revision;
                return Err(cairndb::keys::Error::Compacted { requested, oldest }.into());
            }
            match StorageKey::decode(&change.kv.key)? {
                StorageKey::Vertex(id) => {
                    let read = |kv: &KeyValue| Vertex::decode(id, &kv.value);
                    let before = change.prev_kv.as_ref().map(read).transpose()?;
                    let after = (!change.deleted).then(|| read(&change.kv)).transpose()?;
                    vertices.extend(match (before, after) {
                        (None, Some(after)) => Some(GraphChange::VertexCreated(after)),
                        (Some(before), None) => Some(GraphChange::VertexDeleted(before)),
                        (Some(before), Some(after)) => {
                            Some(GraphChange::VertexUpdated { before, after })
                        }
                        (None, None) => None,
                    });
                }
                key => note_edges(&key, change, &mut edges)?,
            }
        }
        let edges = edges.into_values().filter_map(|(before, after)| match (before, after) {
            (None, Some(after)) => Some(GraphChange::EdgeCreated(after)),
            (Some(before), None) => Some(GraphChange::EdgeDeleted(before)),
            (Some(before), Some(after)) if before == after => None,
            (Some(before), Some(after)) => Some(GraphChange::EdgeUpdated { before, after }),
            (None, None) => None,
        });
        vertices.extend(edges);
        Ok(ChangeBatch { revision: batch.revision, changes: vertices })
    }
}

type Edges = BTreeMap<EdgeId, (Option<Edge>, Option<Edge>)>;

/// Notes what a change of an out key says about edges. An edge that leaves a chunk and becomes a
/// single one in the same revision was updated; those that stay in a chunk are the same.
fn note_edges(key: &StorageKey, change: &Change, edges: &mut Edges) -> Result<()> {
    if let Some(before) = &change.prev_kv {
        for edge in edges_in(key, before)? {
            let place = edges.entry(edge.id).or_default();
            place.0 = Some(edge);
        }
    }
    if !change.deleted {
        for edge in edges_in(key, &change.kv)? {
            let place = edges.entry(edge.id).or_default();
            place.1 = Some(edge);
        }
    }
    Ok(())
}

/// The edges that an out key holds.
pub(crate) fn edges_in(key: &StorageKey, kv: &KeyValue) -> Result<Vec<Edge>> {
    match key {
        StorageKey::Out(at) => {
            let (id, src, dst, label) = (at.edge, at.near, at.far, at.label.clone());
            Ok(vec![Edge { id, src, dst, label, props: decode_edge(&kv.value)? }])
        }
        StorageKey::OutChunk(ChunkKey { near, label, batch, .. }) => {
            let entries = decode_chunk(Side::Out, &kv.value)?.into_iter();
            let edge = |entry: crate::chunk::Entry| {
                let (id, label) = (batch.edge(entry.number), label.clone());
                let props = decode_edge(&entry.record)?;
                Ok(Edge { id, src: *near, dst: entry.far, label, props })
            };
            entries.map(edge).collect()
        }
        _ => Err(Error::Damaged { what: "key", cause: "it is no edge" }),
    }
}
