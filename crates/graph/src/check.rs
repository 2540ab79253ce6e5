//! The integrity check: whether all keys of a graph agree at one revision, and where not. Nothing
//! is kept or repaired.
//!
//! One pass adds up what each key says of others and takes off what they say of it (`balance`).
//! Only when something is left over each key is held against the others to name it (`naming`).

mod balance;
mod naming;

use std::fmt;

use crate::{Error, Graph, Result, StorageKey, View};

/// Most disagreements that are listed; all are counted.
const LISTED_MAX: usize = 1000;

/// A key that others do not agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The key, as stored.
    pub key: Vec<u8>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match StorageKey::decode(&self.key) {
            Ok(key) => write!(f, "{}: {key:?}", self.what),
            Err(_) => write!(f, "{}: key {:02x?}", self.what, self.key),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// The revision.
    pub revision: u64,
    /// Keys looked at.
    pub key_count: u64,
    /// Vertices.
    pub vertex_count: u64,
    /// Edges.
    pub edge_count: u64,
    /// Blocks of which no edge is left; harmless. Only counted while everything agrees.
    pub unused_block_count: u64,
    /// How many disagreements there are.
    pub disagreement_count: u64,
    /// The first thousand of them.
    pub disagreements: Vec<Disagreement>,
}

impl CheckReport {
    /// Whether everything agrees.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.disagreement_count == 0
    }

    fn note(&mut self, key: &[u8], what: impl Into<String>) {
        self.disagreement_count += 1;
        if self.disagreements.len() < LISTED_MAX {
            self.disagreements.push(Disagreement { key: key.to_vec(), what: what.into() });
        }
    }
}

impl Graph {
    /// Checks the graph as it is now.
    ///
    /// # Errors
    /// The engine's. What disagrees is in the report.
    pub fn check(&self) -> Result<CheckReport> {
        self.now().check()
    }
}

impl View {
    /// Holds every key against all others that speak of the same thing: both directions of edges,
    /// ends, labels, places, blocks, and the entries of indexes. Reads all keys once, and the keys
    /// of vertices twice more; takes 16 bytes of memory and a little for 128 packed edges. When
    /// something does not agree, a second pass with some point reads an edge names it.
    ///
    /// # Errors
    /// The engine's. What disagrees is in the report.
    pub fn check(&self) -> Result<CheckReport> {
        let definitions = match self.indexes() {
            Ok(definitions) => Some(definitions),
            Err(Error::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(definitions) = &definitions
            && let Some(report) = balance::balanced(self, definitions)?
        {
            return Ok(report);
        }
        let mut report = naming::name(self, definitions.unwrap_or_default())?;
        if report.is_intact() {
            report.note(&[], "the keys do not add up, though each one alone is as it must be");
        }
        Ok(report)
    }
}
