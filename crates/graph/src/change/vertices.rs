//! Vertices inside a transaction. Truth.

use std::collections::BTreeSet;

use super::{GraphTx, OnDelete};
use crate::read::{neighbours, walk_neighbours};
use crate::{Direction, EdgeId, Error, Result, StorageKey, Vertex, VertexId};

impl GraphTx<'_> {
    /// Adds a vertex.
    ///
    /// # Errors
    /// [`Error::VertexExists`]; [`Error::Limit`], [`Error::Invalid`]; the engine's.
    pub fn add_vertex(&mut self, vertex: &Vertex) -> Result<()> {
        let key = StorageKey::Vertex(vertex.id).encode();
        if self.has(key.clone())? {
            return Err(Error::VertexExists { id: vertex.id });
        }
        let record = vertex.encode()?;
        let keys = self.definitions()?.keys_of_vertex(vertex);
        self.put(key, record);
        self.replace_keys(&[], &keys);
        Ok(())
    }

    /// Replaces labels and properties of a vertex.
    ///
    /// # Errors
    /// [`Error::NoVertex`]; as [`add_vertex`](Self::add_vertex).
    pub fn update_vertex(&mut self, vertex: &Vertex) -> Result<()> {
        let before = self.vertex(vertex.id)?.ok_or(Error::NoVertex { id: vertex.id })?;
        let record = vertex.encode()?;
        let definitions = self.definitions()?;
        let (old, new) = (definitions.keys_of_vertex(&before), definitions.keys_of_vertex(vertex));
        self.put(StorageKey::Vertex(vertex.id).encode(), record);
        self.replace_keys(&old, &new);
        Ok(())
    }

    /// Deletes a vertex; how many edges went with it.
    ///
    /// # Errors
    /// [`Error::NoVertex`]; [`Error::HasEdges`] when edges are to be kept; [`Error::Limit`] when
    /// there are more than allowed; the engine's.
    pub fn remove_vertex(&mut self, id: VertexId, on_delete: OnDelete) -> Result<usize> {
        let vertex = self.vertex(id)?.ok_or(Error::NoVertex { id })?;
        let edges = match on_delete {
            OnDelete::Cascade(limit) => self.edges_of(id, limit)?,
            OnDelete::Refuse => {
                let some = neighbours(&mut self.source(), id, Direction::Both, &[], 1)?;
                if !some.is_empty() {
                    return Err(Error::HasEdges { id });
                }
                BTreeSet::new()
            }
        };
        for edge in &edges {
            self.remove_edge(*edge)?;
        }
        let keys = self.definitions()?.keys_of_vertex(&vertex);
        self.replace_keys(&keys, &[]);
        self.delete(StorageKey::Vertex(id).encode());
        Ok(edges.len())
    }

    /// All edges of a vertex; one that leads back to it is one edge.
    fn edges_of(&mut self, id: VertexId, limit: usize) -> Result<BTreeSet<EdgeId>> {
        let mut edges = BTreeSet::new();
        walk_neighbours(&mut self.source(), id, Direction::Both, &[], &mut |neighbour, _| {
            edges.insert(neighbour.edge);
            if edges.len() > limit {
                let (what, limit) = ("edges to delete with a vertex", limit as u64);
                return Err(Error::Limit { what, limit });
            }
            Ok(true)
        })?;
        Ok(edges)
    }
}
