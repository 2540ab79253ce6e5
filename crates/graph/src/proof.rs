//! Proofs that an edge existed: the key that is truth about it, its value, and the engine's proof
//! that the log has them at a revision. Derived; checked offline.
//!
//! ```text
//! cairn/graph-edge-proof@v1
//! edge 0190163d-8694-739b-aea5-966c26f8ad91
//! value AQAAAA...                                  base64 of the value of the key
//!                                                  empty line
//! cairn/key-proof@v1                               the engine's proof about the key
//! ...
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairndb::engine::proof::KeyProofFile;
use cairndb::keys::{KeyValue, LeaseId};
use cairndb::merkle::map::{Question, Verdict};
use cairndb::merkle::note::Verifier;
use cairndb::types::Bytes;

use crate::limits::CHUNK_LEN_MAX;
use crate::read::find_edge;
use crate::{Edge, EdgeId, Error, Graph, Result, StorageKey};

/// The first line.
pub const HEADER: &str = "cairn/graph-edge-proof@v1";
/// Bytes of the longest proof; the engine bounds its part more closely.
pub const EDGE_PROOF_LEN_MAX: usize = 16 << 20;
const _: () = assert!(CHUNK_LEN_MAX.div_ceil(3) * 4 < EDGE_PROOF_LEN_MAX / 2);

/// A proof about an edge, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeProof {
    /// The edge.
    pub edge: EdgeId,
    /// The value of the key that is truth about it.
    pub value: Bytes,
    /// The proof about the key.
    pub key: KeyProofFile,
}

/// What a proof about an edge shows.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeShown {
    /// The edge as it was.
    pub edge: Edge,
    /// The revision asked about.
    pub revision: u64,
    /// The revision that wrote the value.
    pub written: u64,
}

impl Graph {
    /// Proves that an edge existed at a revision, 0 for the current one.
    ///
    /// # Errors
    /// [`Error::NoEdge`] when it did not; the engine's, also about proofs.
    pub fn prove_edge(&self, id: EdgeId, revision: u64) -> Result<EdgeProof> {
        let view = if revision == 0 { self.now() } else { self.at(revision)? };
        let found = find_edge(&mut view.source(), id)?.ok_or(Error::NoEdge { id })?;
        let proofs = self.engine().proofs()?;
        let question = Question::At(view.revision());
        let name = self.keyspace().name().as_str();
        let proven = proofs.prove_map(name, &found.key, question)?;
        Ok(EdgeProof { edge: id, value: found.value, key: proven.file })
    }
}

impl EdgeProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`Error::Damaged`] unless it has its exact form; the engine's for the proof in it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |cause| Error::Damaged { what: "edge proof", cause };
        if bytes.len() > EDGE_PROOF_LEN_MAX {
            return Err(damaged("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8"))?;
        let (about, key) = text.split_once("\n\n").ok_or(damaged("no empty line"))?;
        let mut lines = about.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(damaged("another first line"));
        }
        let mut field = |name| {
            let rest = lines.next().and_then(|line| line.strip_prefix(name));
            rest.ok_or(damaged("a line is missing"))
        };
        let edge: EdgeId = field("edge ")?.parse()?;
        let value = STANDARD.decode(field("value ")?);
        let value = value.map_err(|_| damaged("it is not canonical base64"))?.into();
        let proof = Self { edge, value, key: KeyProofFile::parse(key.as_bytes())? };
        if proof.to_string() == text { Ok(proof) } else { Err(damaged("it has another form")) }
    }

    /// Checks the proof against the public keys of a log, and gives the edge.
    ///
    /// # Errors
    /// [`Error::Refused`] when it shows something else; the engine's for the proof in it.
    pub fn check(&self, keys: &[Verifier]) -> Result<EdgeShown> {
        let checked = self.key.check(keys)?;
        let Question::At(revision) = self.key.question else {
            return Err(Error::Refused("it answers another question"));
        };
        let Verdict::Value(proven) = checked.verdict else {
            return Err(Error::Refused("the edge was not there"));
        };
        if cairndb::codec::hash::payload(&self.value) != proven.version.payload_hash {
            return Err(Error::Refused("the value is another one"));
        }
        let key = StorageKey::decode(&self.key.key)?;
        let kv = KeyValue {
            key: self.key.key.clone().into(),
            value: self.value.clone(),
            create_revision: proven.version.created,
            mod_revision: proven.version.modified.main,
            version: proven.version.version,
            lease: LeaseId::NONE,
            erased: None,
        };
        let mut edges = crate::feed::edges_in(&key, &kv)?.into_iter();
        let edge = edges.find(|edge| edge.id == self.edge);
        let edge = edge.ok_or(Error::Refused("the value has no such edge"))?;
        Ok(EdgeShown { edge, revision, written: kv.mod_revision })
    }
}

impl fmt::Display for EdgeProof {
    /// The proof as text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = STANDARD.encode(&self.value);
        write!(f, "{HEADER}\nedge {}\nvalue {value}\n\n{}", self.edge, self.key)
    }
}
