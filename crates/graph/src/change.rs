//! Changing a graph inside a transaction: every key that a vertex or edge has changes in the
//! same commit. Truth is written here, and what is derived from it beside it.

mod edges;
mod indexing;
mod vertices;

use cairndb::keys::Range;
use cairndb::prelude::{Keyspace, Transaction};

use crate::index::Definitions;
use crate::read;
use crate::source::{Own, Source};
use crate::{Direction, Edge, EdgeId, Label, Neighbour, Result, Vertex, VertexId};

/// What to do with the edges of a vertex that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// Refuse while there are any.
    Refuse,
    /// Delete them too, if there are at most this many.
    Cascade(usize),
}

impl OnDelete {
    /// Deletes up to 100,000 edges with a vertex.
    pub const CASCADE: Self = Self::Cascade(100_000);
}

/// A graph as a transaction sees and changes it. Reads see its own writes, and the commit fails
/// with a conflict when somebody else changed what was read.
#[derive(Debug)]
pub struct GraphTx<'a> {
    space: &'a Keyspace,
    tx: &'a mut Transaction,
    definitions: Option<Definitions>,
}

impl<'a> GraphTx<'a> {
    pub(crate) const fn new(space: &'a Keyspace, tx: &'a mut Transaction) -> Self {
        Self { space, tx, definitions: None }
    }

    /// The transaction, for other keys and events.
    pub const fn transaction(&mut self) -> &mut Transaction {
        self.tx
    }

    /// A vertex.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged); the engine's.
    pub fn vertex(&mut self, id: VertexId) -> Result<Option<Vertex>> {
        read::vertex(&mut self.source(), id)
    }

    /// An edge.
    ///
    /// # Errors
    /// As [`vertex`](Self::vertex).
    pub fn edge(&mut self, id: EdgeId) -> Result<Option<Edge>> {
        read::edge(&mut self.source(), id)
    }

    /// At most `limit` edges of a vertex. The whole range counts as read.
    ///
    /// # Errors
    /// As [`vertex`](Self::vertex).
    pub fn neighbours(
        &mut self,
        id: VertexId,
        direction: Direction,
        labels: &[Label],
        limit: usize,
    ) -> Result<Vec<Neighbour>> {
        read::neighbours(&mut self.source(), id, direction, labels, limit)
    }

    fn source(&mut self) -> Own<'_> {
        Own { space: self.space, tx: self.tx }
    }

    /// The indexes. Read once: whoever makes or drops one conflicts with whoever relies on it.
    fn definitions(&mut self) -> Result<Definitions> {
        if let Some(known) = &self.definitions {
            return Ok(known.clone());
        }
        let read = read::definitions(&mut self.source())?;
        self.definitions = Some(read.clone());
        Ok(read)
    }

    fn has(&mut self, key: Vec<u8>) -> Result<bool> {
        self.source().has(key)
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.tx.put(self.space, key, value);
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.tx.delete(self.space, key);
    }

    fn delete_range(&mut self, range: Range) -> Result<()> {
        for kv in self.tx.range(self.space, range)? {
            self.tx.delete(self.space, kv.key);
        }
        Ok(())
    }

    /// Replaces derived keys by others; those in both stay as they are.
    fn replace_keys(&mut self, before: &[Vec<u8>], after: &[Vec<u8>]) {
        for key in before.iter().filter(|key| !after.contains(key)) {
            self.delete(key.clone());
        }
        for key in after.iter().filter(|key| !before.contains(key)) {
            self.put(key.clone(), Vec::new());
        }
    }
}
