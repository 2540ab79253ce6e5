//! Which column of a file means what. Neither truth nor derived.

use std::collections::HashMap;
use std::io::BufRead;

use super::NewEdge;
use crate::csv::{CsvReader, CsvRow};
use crate::{Error, Label, Properties, Result, Value, Vertex, VertexId};

/// What the columns of a file of vertices mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeColumns {
    /// The column with ids: UUIDs, or names that ids are made from.
    pub id: String,
    /// Labels that every vertex gets.
    pub labels: Vec<Label>,
    /// A column with more labels, `;` between them.
    pub label_column: Option<String>,
}

/// What the columns of a file of edges mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeColumns {
    /// The column with the vertices that edges begin at.
    pub src: String,
    /// The column with the vertices that edges end at.
    pub dst: String,
    /// The label of edges that no column gives one.
    pub label: Label,
    /// A column with labels.
    pub label_column: Option<String>,
    /// A column with ids of edges.
    pub id: Option<String>,
}

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Guess,
    Int,
    Float,
    Bool,
    Text,
}

/// The first row.
pub(super) struct Header {
    names: Vec<String>,
    kinds: Vec<Kind>,
}

impl Header {
    pub(super) fn read(reader: &mut CsvReader<impl BufRead>) -> Result<Self> {
        let empty = || Error::Row { line: 1, column: 0, cause: "the input is empty".to_owned() };
        let row = reader.next_row()?.ok_or_else(empty)?;
        let (mut names, mut kinds) = (Vec::new(), Vec::new());
        for index in 0..row.len() {
            let text = row.field(index)?;
            let (name, kind) = match text.rsplit_once(':') {
                Some((name, "int")) => (name, Kind::Int),
                Some((name, "float")) => (name, Kind::Float),
                Some((name, "bool")) => (name, Kind::Bool),
                Some((name, "text")) => (name, Kind::Text),
                _ => (text, Kind::Guess),
            };
            if name.is_empty() || names.iter().any(|known| known == name) {
                return Err(row.error(index, "a column without a name, or with one taken"));
            }
            names.push(name.to_owned());
            kinds.push(kind);
        }
        Ok(Self { names, kinds })
    }

    /// Refuses a row that is longer or shorter.
    pub(super) fn check(&self, row: &CsvRow<'_>) -> Result<()> {
        if row.len() == self.names.len() {
            return Ok(());
        }
        let cause = format!("{} columns instead of {}", row.len(), self.names.len());
        Err(Error::Row { line: row.line, column: 0, cause })
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|known| known == name).ok_or_else(|| {
            let cause = format!("there is no column {name:?}");
            Error::Row { line: 1, column: 0, cause }
        })
    }

    /// The properties of a row: all columns but some.
    fn props(&self, row: &CsvRow<'_>, but: &[Option<usize>]) -> Result<Properties> {
        let mut props = Properties::new();
        for (index, (name, kind)) in self.names.iter().zip(&self.kinds).enumerate() {
            let text = row.field(index)?;
            if text.is_empty() || but.contains(&Some(index)) {
                continue;
            }
            let value = kind.read(text).ok_or_else(|| row.error(index, "not of this type"))?;
            value.check().map_err(|error| row.error(index, error.to_string()))?;
            props.insert(name.clone(), value);
        }
        Ok(props)
    }
}

impl Kind {
    fn read(self, text: &str) -> Option<Value> {
        let float = || text.parse().ok().filter(|number: &f64| number.is_finite());
        match self {
            Self::Text => Some(Value::Text(text.to_owned())),
            Self::Int => text.parse().ok().map(Value::Int),
            Self::Float => float().map(Value::Float),
            Self::Bool => text.parse().ok().map(Value::Bool),
            Self::Guess => Some(guess(text)),
        }
    }
}

/// A number only if nothing is lost by reading it as one: `007` stays text.
fn guess(text: &str) -> Value {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let begins = digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let has_zeros = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if begins && !has_zeros {
        if let Ok(number) = text.parse() {
            return Value::Int(number);
        }
        let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if let (true, Ok(number)) = (is_decimal && digits.contains('.'), text.parse()) {
            return Value::Float(number);
        }
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => Value::Text(text.to_owned()),
    }
}

/// The columns of a file of vertices, by index.
pub(super) struct NodePlaces {
    id: usize,
    labels: Vec<Label>,
    label: Option<usize>,
}

impl NodeColumns {
    pub(super) fn find(&self, header: &Header) -> Result<NodePlaces> {
        let label = self.label_column.as_ref().map(|name| header.find(name)).transpose()?;
        Ok(NodePlaces { id: header.find(&self.id)?, labels: self.labels.clone(), label })
    }
}

impl NodePlaces {
    pub(super) fn vertex(&self, header: &Header, row: &CsvRow<'_>) -> Result<Vertex> {
        let name = row.field(self.id)?;
        if name.is_empty() {
            return Err(row.error(self.id, "an empty id"));
        }
        let mut vertex = Vertex::new(VertexId::named(name));
        vertex.labels.extend(self.labels.iter().cloned());
        if let Some(index) = self.label {
            for label in row.field(index)?.split(';').filter(|label| !label.is_empty()) {
                let label = Label::new(label).map_err(|error| row.error(index, error.to_string()));
                vertex.labels.insert(label?);
            }
        }
        vertex.props = header.props(row, &[self.label])?;
        // A code stays the text that it is, also when it looks like a number.
        let id = header.names.get(self.id).cloned().unwrap_or_default();
        vertex.props.insert(id, Value::Text(name.to_owned()));
        Ok(vertex)
    }
}

/// The columns of a file of edges, by index.
pub(super) struct EdgePlaces {
    src: usize,
    dst: usize,
    id: Option<usize>,
    label: Option<usize>,
    labels: std::cell::RefCell<HashMap<String, Label>>,
    default: Label,
}

impl EdgeColumns {
    pub(super) fn find(&self, header: &Header) -> Result<EdgePlaces> {
        let find = |name: &Option<String>| name.as_ref().map(|name| header.find(name)).transpose();
        Ok(EdgePlaces {
            src: header.find(&self.src)?,
            dst: header.find(&self.dst)?,
            id: find(&self.id)?,
            label: find(&self.label_column)?,
            labels: std::cell::RefCell::default(),
            default: self.label.clone(),
        })
    }
}

impl EdgePlaces {
    pub(super) fn edge(&self, header: &Header, row: &CsvRow<'_>) -> Result<NewEdge> {
        let end = |index| match row.field(index)? {
            "" => Err(row.error(index, "an empty id")),
            name => Ok(VertexId::named(name)),
        };
        let id = match self.id {
            None => None,
            Some(index) => {
                let id = row.field(index)?.parse();
                Some(id.map_err(|error: Error| row.error(index, error.to_string()))?)
            }
        };
        let label = match self.label {
            None => self.default.clone(),
            Some(index) => self.label(row, index)?,
        };
        let but = [Some(self.src), Some(self.dst), self.id, self.label];
        Ok(NewEdge {
            id,
            src: end(self.src)?,
            dst: end(self.dst)?,
            label,
            props: header.props(row, &but)?,
        })
    }

    fn label(&self, row: &CsvRow<'_>, index: usize) -> Result<Label> {
        let text = row.field(index)?;
        if text.is_empty() {
            return Ok(self.default.clone());
        }
        if let Some(label) = self.labels.borrow().get(text) {
            return Ok(label.clone());
        }
        let label = Label::new(text).map_err(|error| row.error(index, error.to_string()))?;
        let mut known = self.labels.borrow_mut();
        // A file where every row has another label must not fill memory.
        if known.len() < 4096 {
            known.insert(text.to_owned(), label.clone());
        }
        Ok(label)
    }
}
