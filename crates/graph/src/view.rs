//! A graph as it was at one revision. Holds nothing but the number.

use std::ops::Bound;

use cairndb::prelude::Keyspace;

use crate::expand::{Expansion, expand};
use crate::index::{Definitions, Target};
use crate::path::{Path, cheapest, shortest};
use crate::read;
use crate::source::Past;
use crate::{
    Direction, Edge, EdgeId, Error, ExpandOptions, Label, Neighbour, PathOptions, Result, Value,
    Vertex, VertexId,
};

/// A graph at one revision: reads of it agree, whatever is written meanwhile. Cheap to make.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) past: Past,
}

impl View {
    pub(crate) const fn new(space: Keyspace, revision: u64) -> Self {
        Self { past: Past { space, revision } }
    }

    pub(crate) fn source(&self) -> Past {
        self.past.clone()
    }

    /// The revision.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.past.revision
    }

    /// A vertex.
    ///
    /// # Errors
    /// [`Error::Damaged`]; the engine's, among them that the revision was compacted.
    pub fn vertex(&self, id: VertexId) -> Result<Option<Vertex>> {
        read::vertex(&mut self.source(), id)
    }

    /// An edge.
    ///
    /// # Errors
    /// As [`vertex`](Self::vertex).
    pub fn edge(&self, id: EdgeId) -> Result<Option<Edge>> {
        read::edge(&mut self.source(), id)
    }

    /// At most `limit` edges of a vertex with the vertices at their other ends, by label;
    /// without labels, of all labels. One range read a label and side.
    ///
    /// # Errors
    /// As [`vertex`](Self::vertex).
    pub fn neighbours(
        &self,
        id: VertexId,
        direction: Direction,
        labels: &[Label],
        limit: usize,
    ) -> Result<Vec<Neighbour>> {
        read::neighbours(&mut self.source(), id, direction, labels, limit)
    }

    /// Everything within some hops of a vertex.
    ///
    /// # Errors
    /// [`Error::NoVertex`]; as [`vertex`](Self::vertex).
    pub fn expand(&self, from: VertexId, options: &ExpandOptions) -> Result<Expansion> {
        self.must_have(from)?;
        expand(&mut self.source(), from, options)
    }

    /// A path with the fewest edges; `None` when there is none of at most
    /// [`depth_max`](PathOptions::depth_max) edges.
    ///
    /// # Errors
    /// [`Error::NoVertex`]; [`Error::Limit`] when more vertices would have to be visited than
    /// allowed; as [`vertex`](Self::vertex).
    pub fn shortest_path(
        &self,
        from: VertexId,
        to: VertexId,
        options: &PathOptions,
    ) -> Result<Option<Path>> {
        self.must_have(from)?;
        self.must_have(to)?;
        shortest(&mut self.source(), from, to, options)
    }

    /// A path with the least sum of a numeric property; edges without it are not taken.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a weight that is negative or no number; as
    /// [`shortest_path`](Self::shortest_path).
    pub fn cheapest_path(
        &self,
        from: VertexId,
        to: VertexId,
        property: &str,
        options: &PathOptions,
    ) -> Result<Option<Path>> {
        self.must_have(from)?;
        self.must_have(to)?;
        cheapest(&mut self.source(), from, to, property, options)
    }

    fn must_have(&self, id: VertexId) -> Result<()> {
        match self.vertex(id)? {
            Some(_) => Ok(()),
            None => Err(Error::NoVertex { id }),
        }
    }

    /// At most `limit` vertices with a label, by id.
    ///
    /// # Errors
    /// As [`vertex`](Self::vertex).
    pub fn with_label(&self, label: &Label, limit: usize) -> Result<Vec<VertexId>> {
        read::vertices_with_label(&mut self.source(), label, limit)
    }

    /// The indexes.
    ///
    /// # Errors
    /// As [`vertex`](Self::vertex).
    pub fn indexes(&self) -> Result<Definitions> {
        read::definitions(&mut self.source())
    }

    /// At most `limit` vertices of a label whose property has a value.
    ///
    /// # Errors
    /// [`Error::NoIndex`]; as [`vertex`](Self::vertex).
    pub fn vertices_where(
        &self,
        label: &Label,
        property: &str,
        value: &Value,
        limit: usize,
    ) -> Result<Vec<VertexId>> {
        let same = (Bound::Included(value), Bound::Included(value));
        self.vertices_between(label, property, same, limit)
    }

    /// At most `limit` vertices of a label whose property lies between two values, in the order
    /// of the values; texts and bytes of which the first 512 bytes are the same may be in any
    /// order. Values of different types are ordered by type; give both bounds to stay within one.
    ///
    /// # Errors
    /// As [`vertices_where`](Self::vertices_where).
    pub fn vertices_between(
        &self,
        label: &Label,
        property: &str,
        bounds: (Bound<&Value>, Bound<&Value>),
        limit: usize,
    ) -> Result<Vec<VertexId>> {
        let ids = self.between(Target::Vertex, label, property, bounds, limit)?;
        Ok(ids.into_iter().map(VertexId::from_bytes).collect())
    }

    /// As [`vertices_between`](Self::vertices_between), of edges.
    ///
    /// # Errors
    /// As [`vertices_where`](Self::vertices_where).
    pub fn edges_between(
        &self,
        label: &Label,
        property: &str,
        bounds: (Bound<&Value>, Bound<&Value>),
        limit: usize,
    ) -> Result<Vec<EdgeId>> {
        let ids = self.between(Target::Edge, label, property, bounds, limit)?;
        Ok(ids.into_iter().map(EdgeId::from_bytes).collect())
    }

    fn between(
        &self,
        target: Target,
        label: &Label,
        property: &str,
        bounds: (Bound<&Value>, Bound<&Value>),
        limit: usize,
    ) -> Result<Vec<[u8; 16]>> {
        let definitions = self.indexes()?;
        let definition = definitions.find(target, label, property).ok_or_else(|| {
            Error::NoIndex { label: label.to_string(), property: property.to_owned() }
        })?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        read::ids_between(&mut self.source(), definition, bounds, limit)
    }
}
