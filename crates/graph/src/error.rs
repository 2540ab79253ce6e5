//! Why a call failed. Neither truth nor derived: only words.

use cairndb::types::ErrorKind;

use crate::{EdgeId, VertexId};

/// Result of an operation on a graph.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such graph.
    #[error("there is no graph {name}; import or create one first")]
    NoGraph {
        /// Its name.
        name: String,
    },
    /// There is no such vertex.
    #[error("there is no vertex {id}")]
    NoVertex {
        /// Which one.
        id: VertexId,
    },
    /// There is no such edge.
    #[error("there is no edge {id}")]
    NoEdge {
        /// Which one.
        id: EdgeId,
    },
    /// The id is taken by another vertex.
    #[error("vertex {id} exists already")]
    VertexExists {
        /// Which one.
        id: VertexId,
    },
    /// The id is taken by another edge.
    #[error("edge {id} exists already")]
    EdgeExists {
        /// Which one.
        id: EdgeId,
    },
    /// A vertex that still has edges was to be deleted alone.
    #[error("vertex {id} still has edges; delete them first, or cascade")]
    HasEdges {
        /// Which one.
        id: VertexId,
    },
    /// There is no index on this label and property.
    #[error("there is no index on {property} of {label}; create it first")]
    NoIndex {
        /// The label.
        label: String,
        /// The property.
        property: String,
    },
    /// More was asked for than a stated limit allows.
    #[error("{what}: more than {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The argument can never work as it is.
    #[error("invalid {what}: {cause}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// Bytes of the store that are no key or record of a graph.
    #[error("damaged {what}: {cause}")]
    Damaged {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A row of an imported file.
    #[error("line {line}, column {column}: {cause}")]
    Row {
        /// Line, from 1.
        line: u64,
        /// Column, from 1; 0 for the whole row.
        column: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// A proof does not show what it claims.
    #[error("the proof does not hold: {0}")]
    Refused(&'static str),
    /// Reading the input of an import.
    #[error("reading the input")]
    Input(#[from] std::io::Error),
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] cairndb::engine::Error),
    /// The engine's, about proofs.
    #[error(transparent)]
    Proof(#[from] cairndb::engine::proof::Error),
}

impl From<cairndb::keys::Error> for Error {
    fn from(error: cairndb::keys::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl Error {
    /// What the caller can do about it. `Denied` means: do not believe this, whoever brings it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoGraph { .. }
            | Self::NoVertex { .. }
            | Self::NoEdge { .. }
            | Self::NoIndex { .. } => ErrorKind::NotFound,
            Self::VertexExists { .. } | Self::EdgeExists { .. } | Self::HasEdges { .. } => {
                ErrorKind::Conflict
            }
            Self::Limit { .. } | Self::Invalid { .. } | Self::Row { .. } => ErrorKind::Invalid,
            Self::Input(_) => ErrorKind::Unavailable,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Refused(_) => ErrorKind::Denied,
            Self::Proof(error) => error.kind(),
            Self::Engine(error) => error.kind(),
        }
    }

    /// Whether somebody else changed what a transaction rests on: repeat it.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Engine(cairndb::engine::Error::Keys(cairndb::keys::Error::Conflict { .. }))
        )
    }

    pub(crate) fn invalid(what: &'static str, cause: impl Into<String>) -> Self {
        Self::Invalid { what, cause: cause.into() }
    }
}
