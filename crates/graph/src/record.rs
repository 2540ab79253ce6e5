//! Vertices and edges, and the records that hold them. Truth.
//!
//! ```text
//! vertex   version 1 = 1, label count 1, (length 1, label)*, properties
//! edge     version 1 = 1, properties
//! place    version 1 = 1, source 16, target 16, length 1, label
//! properties   count 2, (length 1, name, value)*     names ascending
//! ```
//!
//! Numbers are little-endian; values as in [`crate::value`]. There is one form of each record:
//! what is decoded is encoded to the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::limits::{
    LABEL_LEN_MAX, LABELS_MAX, PROPERTIES_MAX, PROPERTY_NAME_LEN_MAX, RECORD_LEN_MAX,
};
use crate::{EdgeId, Error, Result, Value, VertexId};

const VERSION: u8 = 1;

/// A label: any text of 1 to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// Checks a label.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is empty or too long.
    pub fn new(label: &str) -> Result<Self> {
        if label.is_empty() || label.len() > LABEL_LEN_MAX {
            return Err(Error::invalid("label", "it must have 1 to 255 bytes"));
        }
        Ok(Self(label.into()))
    }

    pub(crate) fn from_utf8(bytes: &[u8]) -> Option<Self> {
        Self::new(std::str::from_utf8(bytes).ok()?).ok()
    }

    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<&str> for Label {
    type Error = Error;

    fn try_from(label: &str) -> Result<Self> {
        Self::new(label)
    }
}

/// Properties by name.
pub type Properties = BTreeMap<String, Value>;

/// A vertex.
#[derive(Debug, Clone, PartialEq)]
pub struct Vertex {
    /// Its id.
    pub id: VertexId,
    /// What it is.
    pub labels: BTreeSet<Label>,
    /// What is known about it.
    pub props: Properties,
}

impl Vertex {
    /// A vertex without labels and properties.
    #[must_use]
    pub fn new(id: impl Into<VertexId>) -> Self {
        Self { id: id.into(), labels: BTreeSet::new(), props: Properties::new() }
    }

    /// With a label.
    ///
    /// # Errors
    /// As [`Label::new`].
    pub fn label(mut self, label: &str) -> Result<Self> {
        self.labels.insert(Label::new(label)?);
        Ok(self)
    }

    /// With a property.
    #[must_use]
    pub fn prop(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.props.insert(name.into(), value.into());
        self
    }

    /// Its record.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Invalid`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = vec![VERSION];
        let count = within(self.labels.len(), LABELS_MAX, "labels of a vertex")?;
        out.push(u8::try_from(count).expect("limited to fewer"));
        for label in &self.labels {
            short(label.as_str().as_bytes(), &mut out);
        }
        encode_properties(&self.props, &mut out)?;
        within(out.len(), RECORD_LEN_MAX, "bytes of a vertex")?;
        Ok(out)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Damaged`] unless it is exactly what [`encode`](Self::encode) writes.
    pub fn decode(id: VertexId, record: &[u8]) -> Result<Self> {
        let mut at = begin(record, "vertex")?;
        let mut labels = BTreeSet::new();
        for _ in 0..at.u8()? {
            let label = Label::from_utf8(at.short()?).ok_or(at.damaged("an invalid label"))?;
            if labels.last().is_some_and(|last| *last >= label) {
                return Err(at.damaged("labels out of order"));
            }
            labels.insert(label);
        }
        if labels.len() > LABELS_MAX {
            return Err(at.damaged("too many labels"));
        }
        let props = decode_properties(&mut at)?;
        at.end()?;
        Ok(Self { id, labels, props })
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let labels: Vec<&str> = self.labels.iter().map(Label::as_str).collect();
        let props = properties_json(&self.props);
        serde_json::json!({ "id": self.id.to_string(), "labels": labels, "props": props })
    }
}

/// An edge from one vertex to another; both may be the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Its id.
    pub id: EdgeId,
    /// Where it begins.
    pub src: VertexId,
    /// Where it ends.
    pub dst: VertexId,
    /// What it is; never changes, as its ends.
    pub label: Label,
    /// What is known about it.
    pub props: Properties,
}

impl Edge {
    /// An edge without properties.
    ///
    /// # Errors
    /// As [`Label::new`].
    pub fn new(id: impl Into<EdgeId>, src: VertexId, dst: VertexId, label: &str) -> Result<Self> {
        let (id, label) = (id.into(), Label::new(label)?);
        Ok(Self { id, src, dst, label, props: Properties::new() })
    }

    /// With a property.
    #[must_use]
    pub fn prop(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.props.insert(name.into(), value.into());
        self
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id.to_string(),
            "src": self.src.to_string(),
            "dst": self.dst.to_string(),
            "label": self.label.as_str(),
            "props": properties_json(&self.props),
        })
    }
}

/// The record of an edge.
pub(crate) fn encode_edge(props: &Properties) -> Result<Vec<u8>> {
    let mut out = vec![VERSION];
    encode_properties(props, &mut out)?;
    within(out.len(), RECORD_LEN_MAX, "bytes of an edge")?;
    Ok(out)
}

/// Reads the record of an edge.
///
/// # Errors
/// [`Error::Damaged`] unless it has its exact form.
pub fn decode_edge(record: &[u8]) -> Result<Properties> {
    let mut at = begin(record, "edge")?;
    let props = decode_properties(&mut at)?;
    at.end()?;
    Ok(props)
}

/// Where a single edge is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it begins.
    pub src: VertexId,
    /// Where it ends.
    pub dst: VertexId,
    /// Its label.
    pub label: Label,
}

impl Place {
    /// Its record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        out.push(VERSION);
        out.extend_from_slice(&self.src.to_bytes());
        out.extend_from_slice(&self.dst.to_bytes());
        short(self.label.as_str().as_bytes(), &mut out);
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Damaged`] unless it has its exact form.
    pub fn decode(record: &[u8]) -> Result<Self> {
        let mut at = begin(record, "place of an edge")?;
        let (src, dst) = (at.array()?, at.array()?);
        let label = Label::from_utf8(at.short()?).ok_or(at.damaged("an invalid label"))?;
        at.end()?;
        let (src, dst) = (VertexId::from_bytes(src), VertexId::from_bytes(dst));
        Ok(Self { src, dst, label })
    }
}

fn begin<'a>(record: &'a [u8], what: &'static str) -> Result<Cursor<'a>> {
    let mut at = Cursor::new(record, what);
    if record.len() > RECORD_LEN_MAX {
        return Err(at.damaged("too long"));
    }
    match at.u8()? {
        VERSION => Ok(at),
        _ => Err(at.damaged("an unknown version")),
    }
}

fn short(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(u8::try_from(bytes.len()).expect("checked to be short"));
    out.extend_from_slice(bytes);
}

fn encode_properties(props: &Properties, out: &mut Vec<u8>) -> Result<()> {
    let count = within(props.len(), PROPERTIES_MAX, "properties")?;
    out.extend_from_slice(&u16::try_from(count).expect("limited to fewer").to_le_bytes());
    for (name, value) in props {
        if name.is_empty() || name.len() > PROPERTY_NAME_LEN_MAX {
            return Err(Error::invalid("property", "its name must have 1 to 255 bytes"));
        }
        value.check()?;
        short(name.as_bytes(), out);
        value.encode(out);
    }
    Ok(())
}

fn decode_properties(at: &mut Cursor<'_>) -> Result<Properties> {
    let count = usize::from(at.u16()?);
    if count > PROPERTIES_MAX {
        return Err(at.damaged("too many properties"));
    }
    let mut props = Properties::new();
    for _ in 0..count {
        let name = at.short()?;
        let name = std::str::from_utf8(name).map_err(|_| at.damaged("not UTF-8"))?;
        if name.is_empty() || props.last_key_value().is_some_and(|(last, _)| &**last >= name) {
            return Err(at.damaged("properties out of order"));
        }
        let value = Value::decode(at)?;
        props.insert(name.to_owned(), value);
    }
    Ok(props)
}

fn properties_json(props: &Properties) -> serde_json::Value {
    let pairs = props.iter().map(|(name, value)| (name.clone(), value.to_json()));
    serde_json::Value::Object(pairs.collect())
}

fn within(found: usize, limit: usize, what: &'static str) -> Result<usize> {
    if found > limit { Err(Error::Limit { what, limit: limit as u64 }) } else { Ok(found) }
}
