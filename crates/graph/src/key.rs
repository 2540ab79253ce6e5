//! Keys of a graph in its keyspace. Truth: what is stored where.
//!
//! | tag | key after the tag | value |
//! |---|---|---|
//! | `01` | none | the definitions of property indexes |
//! | `10` | vertex 16 | the vertex: labels and properties |
//! | `11` | source 16, label, `00`, target 16, edge 16 | the edge: its properties |
//! | `11` | source 16, label, `01`, batch 12, number 4 | a chunk of edges that were imported together |
//! | `12` | target 16, label, `00`, source 16, edge 16 | empty |
//! | `12` | target 16, label, `01`, batch 12, number 4 | a chunk: the same edges from their other end |
//! | `13` | edge 16 | source 16, target 16, label: where a single edge is |
//! | `14` | batch 12, number 4 | a block: in which chunks the edges of a batch were put |
//! | `15` | label, vertex 16 | empty |
//! | `16` | index 4, ordered value, vertex or edge 16 | empty |
//!
//! A label is UTF-8 of 1 to 255 bytes with each `00` as `00 FF`, and `00 01` after it: whatever
//! it holds, it cannot run into what follows, and labels stand in their order. Numbers are
//! big-endian. Edges are truth in the keys `11`; `12` to `16` are derived from them and from
//! `10`, and change with them in one commit.

use crate::cursor::Cursor;
use crate::limits::LABEL_LEN_MAX;
use crate::value::{escape, skip_ordered, unescape};
use crate::{BatchId, EdgeId, Label, Result, Value, VertexId};

pub(crate) const DEFINITIONS: u8 = 0x01;
pub(crate) const VERTEX: u8 = 0x10;
pub(crate) const OUT: u8 = 0x11;
pub(crate) const IN: u8 = 0x12;
pub(crate) const EDGE: u8 = 0x13;
pub(crate) const BLOCK: u8 = 0x14;
pub(crate) const LABEL: u8 = 0x15;
pub(crate) const PROPERTY: u8 = 0x16;

const SINGLE: u8 = 0;
const CHUNK: u8 = 1;

/// A key of a graph.
///
/// ```
/// use cairn_graph::{Label, StorageKey, VertexId};
/// let key = StorageKey::Label { label: Label::new("airport")?, vertex: VertexId::named("SFO") };
/// assert_eq!(StorageKey::decode(&key.encode())?, key);
/// # Ok::<(), cairn_graph::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageKey {
    /// The definitions of property indexes.
    Definitions,
    /// A vertex.
    Vertex(VertexId),
    /// A single edge, at its source.
    Out(Adjacent),
    /// Edges of one batch, at their source.
    OutChunk(ChunkKey),
    /// A single edge, at its target.
    In(Adjacent),
    /// Edges of one batch, at their target.
    InChunk(ChunkKey),
    /// Where a single edge is.
    Edge(EdgeId),
    /// Where the edges of a batch are, from a number on.
    Block {
        /// The batch.
        batch: BatchId,
        /// Number of the block.
        number: u32,
    },
    /// A vertex with a label.
    Label {
        /// The label.
        label: Label,
        /// The vertex.
        vertex: VertexId,
    },
    /// A vertex or edge with a value.
    Property {
        /// Number of the index.
        index: u32,
        /// The ordered form of the value.
        value: Vec<u8>,
        /// Id of the vertex or edge.
        id: [u8; 16],
    },
}

/// An edge as one of its ends sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Adjacent {
    /// This end.
    pub near: VertexId,
    /// Label of the edge.
    pub label: Label,
    /// The other end.
    pub far: VertexId,
    /// The edge.
    pub edge: EdgeId,
}

/// Edges of one batch, one label and one end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// The end that they share.
    pub near: VertexId,
    /// Their label.
    pub label: Label,
    /// Their batch.
    pub batch: BatchId,
    /// Number of the chunk in its batch.
    pub number: u32,
}

impl StorageKey {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Definitions => out.push(DEFINITIONS),
            Self::Vertex(id) => begin(&mut out, VERTEX, &id.to_bytes()),
            Self::Out(at) => adjacent(&mut out, OUT, at),
            Self::In(at) => adjacent(&mut out, IN, at),
            Self::OutChunk(at) => chunk(&mut out, OUT, at),
            Self::InChunk(at) => chunk(&mut out, IN, at),
            Self::Edge(id) => begin(&mut out, EDGE, &id.to_bytes()),
            Self::Block { batch, number } => {
                begin(&mut out, BLOCK, &batch.to_bytes());
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Label { label, vertex } => {
                out.push(LABEL);
                put_label(&mut out, label);
                out.extend_from_slice(&vertex.to_bytes());
            }
            Self::Property { index, value, id } => {
                begin(&mut out, PROPERTY, &index.to_be_bytes());
                out.extend_from_slice(value);
                out.extend_from_slice(id);
            }
        }
        out
    }

    /// Reads a key. Allocates no more than the key is long.
    ///
    /// # Errors
    /// [`Damaged`](crate::Error::Damaged) unless it is exactly what [`encode`](Self::encode)
    /// writes.
    pub fn decode(key: &[u8]) -> Result<Self> {
        let mut at = Cursor::new(key, "key");
        let decoded = match at.u8()? {
            DEFINITIONS => Self::Definitions,
            VERTEX => Self::Vertex(VertexId::from_bytes(at.array()?)),
            tag @ (OUT | IN) => Self::decode_adjacent(tag, &mut at)?,
            EDGE => Self::Edge(EdgeId::from_bytes(at.array()?)),
            BLOCK => {
                let batch = BatchId::from_bytes(at.array()?);
                Self::Block { batch, number: u32::from_be_bytes(at.array()?) }
            }
            LABEL => {
                let label = take_label(&mut at)?;
                Self::Label { label, vertex: VertexId::from_bytes(at.array()?) }
            }
            PROPERTY => {
                let index = u32::from_be_bytes(at.array()?);
                let from = at.rest();
                skip_ordered(&mut at)?;
                let len = from.len() - at.rest().len();
                let value = from.get(..len).unwrap_or_default().to_vec();
                Self::Property { index, value, id: at.array()? }
            }
            _ => return Err(at.damaged("an unknown tag")),
        };
        at.end()?;
        Ok(decoded)
    }

    fn decode_adjacent(tag: u8, at: &mut Cursor<'_>) -> Result<Self> {
        let near = VertexId::from_bytes(at.array()?);
        let label = take_label(at)?;
        match at.u8()? {
            SINGLE => {
                let far = VertexId::from_bytes(at.array()?);
                let edge = EdgeId::from_bytes(at.array()?);
                let at = Adjacent { near, label, far, edge };
                Ok(if tag == OUT { Self::Out(at) } else { Self::In(at) })
            }
            CHUNK => {
                let batch = BatchId::from_bytes(at.array()?);
                let number = u32::from_be_bytes(at.array()?);
                let at = ChunkKey { near, label, batch, number };
                Ok(if tag == OUT { Self::OutChunk(at) } else { Self::InChunk(at) })
            }
            _ => Err(at.damaged("neither an edge nor a chunk")),
        }
    }
}

fn begin(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn put_label(out: &mut Vec<u8>, label: &Label) {
    escape(label.as_str().as_bytes(), out);
    out.push(1);
}

fn take_label(at: &mut Cursor<'_>) -> Result<Label> {
    let (bytes, end) = unescape(at, LABEL_LEN_MAX)?;
    if end != 1 {
        return Err(at.damaged("an unknown end of a label"));
    }
    Label::from_utf8(&bytes).ok_or(at.damaged("an invalid label"))
}

fn adjacent(out: &mut Vec<u8>, tag: u8, at: &Adjacent) {
    begin(out, tag, &at.near.to_bytes());
    put_label(out, &at.label);
    out.push(SINGLE);
    out.extend_from_slice(&at.far.to_bytes());
    out.extend_from_slice(&at.edge.to_bytes());
}

fn chunk(out: &mut Vec<u8>, tag: u8, at: &ChunkKey) {
    begin(out, tag, &at.near.to_bytes());
    put_label(out, &at.label);
    out.push(CHUNK);
    out.extend_from_slice(&at.batch.to_bytes());
    out.extend_from_slice(&at.number.to_be_bytes());
}

/// What all edges at one end begin with, or those of one label.
pub(crate) fn adjacent_prefix(tag: u8, near: VertexId, label: Option<&Label>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    begin(&mut out, tag, &near.to_bytes());
    if let Some(label) = label {
        put_label(&mut out, label);
    }
    out
}

/// What all vertices of a label begin with.
pub(crate) fn label_prefix(label: &Label) -> Vec<u8> {
    let mut out = vec![LABEL];
    put_label(&mut out, label);
    out
}

/// What all entries of an index begin with, or those of a value.
pub(crate) fn property_prefix(index: u32, value: Option<&Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    begin(&mut out, PROPERTY, &index.to_be_bytes());
    if let Some(value) = value {
        value.encode_ordered(&mut out);
    }
    out
}
