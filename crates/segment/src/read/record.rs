//! Records as readers get them.

use bytes::Bytes;
use cairn_codec::{Content, Facts, RecordKind, RecordView};
use cairn_types::{LeafHash, Lsn, StreamId, Timestamp};

use super::batch::LoadedBatch;

/// A record that owns its bytes (or shares ownership of the mapping they lie in).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Place in the log.
    pub lsn: Lsn,
    /// Kind.
    pub kind: RecordKind,
    /// Stream.
    pub stream: StreamId,
    /// Sequence in the stream.
    pub sequence: u64,
    /// Time of the record.
    pub timestamp: Timestamp,
    /// Time of the commit.
    pub commit_time: Timestamp,
    /// Key.
    pub key: Option<Bytes>,
    /// Facts of the key.
    pub facts: Option<Facts>,
    /// Payload; `None` when it was erased.
    pub payload: Option<Bytes>,
    /// Leaf in the Merkle tree.
    pub leaf: LeafHash,
}

/// A record that borrows from the batch a scan stands on.
#[derive(Debug, Clone)]
pub struct RecordRef<'a> {
    /// Place in the log.
    pub lsn: Lsn,
    /// Statement and what is left of the content.
    pub view: RecordView<'a>,
    pub(crate) batch: &'a LoadedBatch,
}

impl<'a> RecordRef<'a> {
    /// The payload; `None` when it was erased.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.view.payload(&self.batch.payloads)
    }

    /// The payload, sharing ownership; `None` when it was erased.
    #[must_use]
    pub fn payload_bytes(&self) -> Option<Bytes> {
        match &self.view.content {
            Content::Payload(range) if range.end <= self.batch.payloads.len() => {
                Some(self.batch.payloads.slice(range.clone()))
            }
            _ => None,
        }
    }

    /// The key, sharing ownership.
    #[must_use]
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.view.key.map(|key| self.batch.body.slice_ref(key))
    }

    /// Time of the commit.
    #[must_use]
    pub fn commit_time(&self) -> Timestamp {
        self.batch.header.commit_time
    }

    /// Leaf in the Merkle tree; hashes the payload.
    #[must_use]
    pub fn leaf(&self) -> LeafHash {
        cairn_codec::leaf_of(&self.view, self.payload().unwrap_or_default())
    }

    /// The canonical statement, whose RFC 6962 leaf [`leaf`](Self::leaf) is; `None` when the
    /// cleaner left nothing but the leaf. Hashes the payload.
    #[must_use]
    pub fn statement(&self) -> Option<Vec<u8>> {
        cairn_codec::statement_of(&self.view, self.payload().unwrap_or_default())
    }

    /// A record that owns its bytes.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record {
            lsn: self.lsn,
            kind: self.view.kind,
            stream: self.view.stream,
            sequence: self.view.sequence,
            timestamp: self.view.timestamp,
            commit_time: self.commit_time(),
            key: self.key_bytes(),
            facts: self.view.facts,
            payload: self.payload_bytes(),
            leaf: self.leaf(),
        }
    }
}
