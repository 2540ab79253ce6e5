//! One graph as its users hold it. Derived: nothing is kept here but names.

use cairndb::prelude::{Engine, Isolation, Keyspace, Transaction};

use crate::change::{GraphTx, OnDelete};
use crate::index::Target;
use crate::view::View;
use crate::{Edge, EdgeId, Error, Properties, Result, Vertex, VertexId, id};

/// What the keyspace of a graph begins with.
pub const KEYSPACE_PREFIX: &str = "graph.";

/// A property graph in a keyspace of its own. Clones are the same graph.
///
/// ```
/// use cairndb::prelude::*;
/// use cairn_graph::{Direction, Edge, Graph, Vertex, VertexId};
///
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// let graph = Graph::open(&engine, "air")?;
/// let (sfo, jfk) = (VertexId::named("SFO"), VertexId::named("JFK"));
/// let edge = graph.fresh_edge_id();
/// let written = graph.transact(|tx| {
///     tx.add_vertex(&Vertex::new(sfo).label("airport")?.prop("city", "San Francisco"))?;
///     tx.add_vertex(&Vertex::new(jfk).label("airport")?)?;
///     tx.add_edge(&Edge::new(edge, sfo, jfk, "flies_to")?.prop("flights", 12))
/// })?;
/// let now = graph.now();
/// assert_eq!(now.neighbours(sfo, Direction::Out, &[], 10)?[0].vertex, jfk);
///
/// graph.remove_edge(edge)?;
/// assert!(graph.now().edge(edge)?.is_none());
/// assert!(graph.at(written.revision)?.edge(edge)?.is_some(), "as it was");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Graph {
    engine: Engine,
    space: Keyspace,
    name: String,
}

/// A transaction's answer, and the revision after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<T> {
    /// What the body returned.
    pub answer: T,
    /// The revision that shows the change; the current one when there was none.
    pub revision: u64,
}

impl Graph {
    /// Opens a graph, creating it when it is not there.
    ///
    /// # Errors
    /// The engine's, among them that the name is not valid.
    pub fn open(engine: &Engine, name: &str) -> Result<Self> {
        engine.create_keyspace(&format!("{KEYSPACE_PREFIX}{name}"))?;
        Self::existing(engine, name)
    }

    /// Opens a graph that is there.
    ///
    /// # Errors
    /// [`Error::NoGraph`]; the engine's.
    pub fn existing(engine: &Engine, name: &str) -> Result<Self> {
        let space = match engine.keyspace(&format!("{KEYSPACE_PREFIX}{name}")) {
            Ok(space) => space,
            Err(cairndb::engine::Error::NoKeyspace { .. }) => {
                return Err(Error::NoGraph { name: name.to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { engine: engine.clone(), space, name: name.to_owned() })
    }

    /// The names of all graphs.
    #[must_use]
    pub fn names(engine: &Engine) -> Vec<String> {
        let spaces = engine.keyspaces();
        let names = spaces.iter().filter_map(|space| {
            space.name().as_str().strip_prefix(KEYSPACE_PREFIX).map(str::to_owned)
        });
        names.collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keyspace that it is stored in. Whoever writes there past the graph breaks it.
    #[must_use]
    pub const fn keyspace(&self) -> &Keyspace {
        &self.space
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The graph as it is now.
    #[must_use]
    pub fn now(&self) -> View {
        View::new(self.space.clone(), self.engine.revision())
    }

    /// The graph as it was at a revision.
    ///
    /// # Errors
    /// The engine's, for a revision that is to come or was compacted.
    pub fn at(&self, revision: u64) -> Result<View> {
        let current = self.engine.revision();
        let oldest = self.engine.keys().compact_revision();
        if revision > current {
            let requested = revision;
            return Err(cairndb::keys::Error::FutureRevision { requested, current }.into());
        }
        if revision < oldest {
            let requested = revision;
            return Err(cairndb::keys::Error::Compacted { requested, oldest }.into());
        }
        Ok(View::new(self.space.clone(), revision.max(1)))
    }

    /// A fresh id for a vertex: a version 7 UUID.
    #[must_use]
    pub fn fresh_vertex_id(&self) -> VertexId {
        VertexId::from_uuid(self.fresh())
    }

    /// A fresh id for an edge: a version 7 UUID.
    #[must_use]
    pub fn fresh_edge_id(&self) -> EdgeId {
        EdgeId::from_uuid(self.fresh())
    }

    fn fresh(&self) -> uuid::Uuid {
        let log = self.engine.log();
        id::fresh(&**log.rng(), log.clock().now())
    }

    /// Takes part in a transaction of the engine: the graph, other keys and events change
    /// together or not at all.
    ///
    /// ```
    /// use cairndb::prelude::*;
    /// use cairn_graph::{Graph, Vertex, VertexId};
    /// let dir = tempfile::tempdir()?;
    /// let engine = Engine::open(dir.path().join("data"))?;
    /// let graph = Graph::open(&engine, "air")?;
    /// engine.create_keyspace("notes")?;
    /// let notes = engine.keyspace("notes")?;
    /// let mut tx = engine.begin(Isolation::Serializable);
    /// graph.in_tx(&mut tx).add_vertex(&Vertex::new(VertexId::named("SFO")))?;
    /// tx.put(&notes, "SFO", "was opened");
    /// tx.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn in_tx<'a>(&'a self, tx: &'a mut Transaction) -> GraphTx<'a> {
        GraphTx::new(&self.space, tx)
    }

    /// Runs `body` in a serializable transaction and commits it. On a conflict it is run again
    /// on the newest state, a bounded number of times.
    ///
    /// # Errors
    /// What `body` returns; a conflict when every attempt met one; the engine's. Nothing was
    /// written then.
    pub fn transact<T>(
        &self,
        mut body: impl FnMut(&mut GraphTx<'_>) -> Result<T>,
    ) -> Result<Written<T>> {
        self.engine.keys().retry(
            || {
                let mut tx = self.engine.begin(Isolation::Serializable);
                let answer = body(&mut self.in_tx(&mut tx))?;
                Ok(Written { answer, revision: tx.commit()?.revision })
            },
            Error::is_conflict,
        )
    }

    /// Adds a vertex; the revision.
    ///
    /// # Errors
    /// As [`GraphTx::add_vertex`].
    pub fn add_vertex(&self, vertex: &Vertex) -> Result<u64> {
        Ok(self.transact(|tx| tx.add_vertex(vertex))?.revision)
    }

    /// Replaces labels and properties of a vertex; the revision.
    ///
    /// # Errors
    /// As [`GraphTx::update_vertex`].
    pub fn update_vertex(&self, vertex: &Vertex) -> Result<u64> {
        Ok(self.transact(|tx| tx.update_vertex(vertex))?.revision)
    }

    /// Deletes a vertex; how many edges went with it.
    ///
    /// # Errors
    /// As [`GraphTx::remove_vertex`].
    pub fn remove_vertex(&self, id: VertexId, on_delete: OnDelete) -> Result<Written<usize>> {
        self.transact(|tx| tx.remove_vertex(id, on_delete))
    }

    /// Adds an edge; the revision.
    ///
    /// # Errors
    /// As [`GraphTx::add_edge`].
    pub fn add_edge(&self, edge: &Edge) -> Result<u64> {
        Ok(self.transact(|tx| tx.add_edge(edge))?.revision)
    }

    /// Replaces the properties of an edge; the revision.
    ///
    /// # Errors
    /// As [`GraphTx::update_edge`].
    pub fn update_edge(&self, id: EdgeId, props: &Properties) -> Result<u64> {
        Ok(self.transact(|tx| tx.update_edge(id, props))?.revision)
    }

    /// Deletes an edge; the revision.
    ///
    /// # Errors
    /// As [`GraphTx::remove_edge`].
    pub fn remove_edge(&self, id: EdgeId) -> Result<u64> {
        Ok(self.transact(|tx| tx.remove_edge(id))?.revision)
    }

    /// Indexes a property of everything with a label, what is there already included, in one
    /// commit; says whether the index is new. O(vertices of the label), or O(edges).
    ///
    /// # Errors
    /// As [`GraphTx::create_index`].
    pub fn create_index(&self, target: Target, label: &str, property: &str) -> Result<bool> {
        Ok(self.transact(|tx| tx.create_index(target, label, property))?.answer)
    }

    /// Drops an index with all its entries; says whether there was one.
    ///
    /// # Errors
    /// As [`GraphTx::drop_index`].
    pub fn drop_index(&self, target: Target, label: &str, property: &str) -> Result<bool> {
        Ok(self.transact(|tx| tx.drop_index(target, label, property))?.answer)
    }
}
