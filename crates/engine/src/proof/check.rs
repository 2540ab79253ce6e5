//! Checking a proof about a record, offline. Pure: no files, no database. The same steps, in
//! another language, are `docs/verify_proof.py`.

use cairn_codec::batch::statement::Statement;
use cairn_codec::hash;
use cairn_merkle::hash::leaf_hash;
use cairn_merkle::log::TreeHead;
use cairn_merkle::note::{Cosignature, Policy, Verifier};
use cairn_merkle::proof_file::ProofFile;
use cairn_segment::{Facts, RecordKind};
use cairn_types::{Lsn, PayloadHash, StreamId, Timestamp};

use super::{Error, Result};

/// What a proof file shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which log.
    pub origin: String,
    /// Place of the record in it.
    pub lsn: Lsn,
    /// The signed head that has it.
    pub head: TreeHead,
    /// Known witnesses that signed it.
    pub cosignatures: Vec<Cosignature>,
    /// Kind of the record.
    pub kind: RecordKind,
    /// Its stream: a partition or a keyspace by number.
    pub stream: StreamId,
    /// Its sequence: an event's offset, a change's revision.
    pub sequence: u64,
    /// Its time.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Facts of the key.
    pub facts: Option<Facts>,
    /// Bytes of its payload.
    pub payload_len: u64,
    /// SHA-256 of its payload.
    pub payload_hash: PayloadHash,
}

impl Checked {
    /// Checks that these bytes are the payload.
    ///
    /// # Errors
    /// [`Error::Refused`] when they are not.
    pub fn check_payload(&self, payload: &[u8]) -> Result<()> {
        let same =
            self.payload_len == payload.len() as u64 && self.payload_hash == hash::payload(payload);
        if same { Ok(()) } else { Err(Error::Refused("the payload is not that of the record")) }
    }
}

/// Checks a proof file of one log. The leaf is in the file's extra data; one that is given must
/// be the same. All keys must have the same name, which is the log's origin.
///
/// # Errors
/// [`Error::Malformed`] and [`Error::Merkle`] for a file that shows nothing, [`Error::Refused`] for
/// a leaf that is missing or another one.
pub fn record(bytes: &[u8], leaf: Option<&[u8]>, keys: &[Verifier]) -> Result<Checked> {
    checked(&ProofFile::parse(bytes)?, leaf, keys)
}

/// Checks a proof file that was parsed.
pub(super) fn checked(file: &ProofFile, leaf: Option<&[u8]>, keys: &[Verifier]) -> Result<Checked> {
    let extra = Some(file.extra()).filter(|extra| !extra.is_empty());
    let leaf = match (extra, leaf) {
        (Some(extra), Some(leaf)) if extra != leaf => {
            return Err(Error::Refused("the leaf given is not the one in the file"));
        }
        (Some(leaf), _) | (None, Some(leaf)) => leaf,
        (None, None) => return Err(Error::Refused("the file has no leaf and none was given")),
    };
    let Some(first) = keys.first() else { return Err(Error::Refused("no key was given")) };
    if keys.iter().any(|key| key.name() != first.name()) {
        return Err(Error::Refused("the keys are of several logs"));
    }
    let policy = Policy::new(first.name().as_str(), keys.to_vec());
    let verified = file.verify(&leaf_hash(leaf), &policy)?;
    let statement = Statement::decode_canonical(leaf);
    let (statement, payload_hash) =
        statement.map_err(|_| Error::Refused("the leaf is no statement of a record"))?;
    Ok(Checked {
        origin: verified.origin,
        lsn: Lsn::new(verified.index),
        head: verified.head,
        cosignatures: verified.cosignatures,
        kind: statement.kind,
        stream: statement.stream,
        sequence: statement.sequence,
        timestamp: statement.timestamp,
        key: statement.key.map(<[u8]>::to_vec),
        facts: statement.facts,
        payload_len: statement.payload_len,
        payload_hash,
    })
}
