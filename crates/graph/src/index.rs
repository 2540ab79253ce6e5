//! Which properties are indexed, and the entries that a vertex or edge has for it. The
//! definitions are truth, the entries are derived.
//!
//! ```text
//! definitions   version 1 = 1, next number 4, count 2,
//!               (number 4, target 1, length 1, label, length 1, property)*
//! ```

use crate::cursor::Cursor;
use crate::key::property_prefix;
use crate::limits::{INDEXES_MAX, PROPERTY_NAME_LEN_MAX};
use crate::{Edge, Error, Label, Properties, Result, StorageKey, Vertex};

const VERSION: u8 = 1;

/// What an index is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Vertices with the label.
    Vertex,
    /// Edges with the label.
    Edge,
}

/// An index over one property of everything with one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its number; never given out again.
    pub number: u32,
    /// What it is over.
    pub target: Target,
    /// The label.
    pub label: Label,
    /// The property.
    pub property: String,
}

/// All indexes of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definitions {
    next: u32,
    list: Vec<Definition>,
}

impl Definitions {
    /// The indexes.
    #[must_use]
    pub fn list(&self) -> &[Definition] {
        &self.list
    }

    /// The index over a property.
    #[must_use]
    pub fn find(&self, target: Target, label: &Label, property: &str) -> Option<&Definition> {
        let is_it = |definition: &&Definition| {
            definition.target == target
                && definition.label == *label
                && definition.property == property
        };
        self.list.iter().find(is_it)
    }

    /// One index alone.
    pub(crate) fn only(definition: Definition) -> Self {
        Self { next: definition.number.saturating_add(1), list: vec![definition] }
    }

    /// Adds an index.
    pub(crate) fn add(
        &mut self,
        target: Target,
        label: Label,
        property: &str,
    ) -> Result<Definition> {
        if property.is_empty() || property.len() > PROPERTY_NAME_LEN_MAX {
            return Err(Error::invalid("property", "its name must have 1 to 255 bytes"));
        }
        if self.list.len() >= INDEXES_MAX {
            return Err(Error::Limit { what: "indexes of a graph", limit: INDEXES_MAX as u64 });
        }
        let number = self.next;
        self.next = number
            .checked_add(1)
            .ok_or(Error::Limit { what: "indexes ever made", limit: u64::from(u32::MAX) })?;
        let definition = Definition { number, target, label, property: property.to_owned() };
        self.list.push(definition.clone());
        Ok(definition)
    }

    pub(crate) fn remove(&mut self, number: u32) {
        self.list.retain(|definition| definition.number != number);
    }

    /// Its record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.next.to_le_bytes());
        let count = u16::try_from(self.list.len()).expect("indexes are limited to fewer");
        out.extend_from_slice(&count.to_le_bytes());
        for definition in &self.list {
            out.extend_from_slice(&definition.number.to_le_bytes());
            out.push(match definition.target {
                Target::Vertex => 0,
                Target::Edge => 1,
            });
            for text in [definition.label.as_str(), &definition.property] {
                out.push(u8::try_from(text.len()).expect("checked to be short"));
                out.extend_from_slice(text.as_bytes());
            }
        }
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Damaged`] unless it has its exact form.
    pub fn decode(record: &[u8]) -> Result<Self> {
        let mut at = Cursor::new(record, "definitions of indexes");
        if at.u8()? != VERSION {
            return Err(at.damaged("an unknown version"));
        }
        let next = at.u32()?;
        let count = usize::from(at.u16()?);
        if count > INDEXES_MAX {
            return Err(at.damaged("too many indexes"));
        }
        let mut list: Vec<Definition> = Vec::new();
        for _ in 0..count {
            let number = at.u32()?;
            if number >= next || list.last().is_some_and(|last| last.number >= number) {
                return Err(at.damaged("indexes out of order"));
            }
            let target = match at.u8()? {
                0 => Target::Vertex,
                1 => Target::Edge,
                _ => return Err(at.damaged("an unknown target")),
            };
            let label = Label::from_utf8(at.short()?).ok_or(at.damaged("an invalid label"))?;
            let property = std::str::from_utf8(at.short()?).map_err(|_| at.damaged("not UTF-8"))?;
            if property.is_empty() {
                return Err(at.damaged("an empty name"));
            }
            list.push(Definition { number, target, label, property: property.to_owned() });
        }
        at.end()?;
        Ok(Self { next, list })
    }

    /// The keys that a vertex has in labels and indexes.
    pub(crate) fn keys_of_vertex(&self, vertex: &Vertex) -> Vec<Vec<u8>> {
        let labels = vertex.labels.iter();
        let labels =
            labels.map(|label| StorageKey::Label { label: label.clone(), vertex: vertex.id });
        let mut keys: Vec<Vec<u8>> = labels.map(|key| key.encode()).collect();
        for definition in &self.list {
            if definition.target == Target::Vertex && vertex.labels.contains(&definition.label) {
                keys.extend(definition.key(&vertex.props, vertex.id.to_bytes()));
            }
        }
        keys
    }

    /// The keys that an edge has in indexes.
    pub(crate) fn keys_of_edge(&self, edge: &Edge) -> Vec<Vec<u8>> {
        let over = self.list.iter().filter(|definition| {
            definition.target == Target::Edge && definition.label == edge.label
        });
        over.filter_map(|definition| definition.key(&edge.props, edge.id.to_bytes())).collect()
    }

    /// Whether edges of a label have entries.
    pub(crate) fn has_edges(&self, label: &Label) -> bool {
        let mut list = self.list.iter();
        list.any(|definition| definition.target == Target::Edge && definition.label == *label)
    }
}

impl Definition {
    fn key(&self, props: &Properties, id: [u8; 16]) -> Option<Vec<u8>> {
        let mut key = property_prefix(self.number, Some(props.get(&self.property)?));
        key.extend_from_slice(&id);
        Some(key)
    }
}
