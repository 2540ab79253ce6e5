//! Stage one of an append: records collected, bounded and hashed by the caller's own thread,
//! before any lock is taken.

use cairn_types::{PayloadHash, StreamId, Timestamp, limits};

use crate::compress::{Codec, CodecId};
use crate::{Error, RecordKind, Result, hash};

/// No statement is longer but for its key: kind, presence, stream 5, sequence 10, time 10,
/// length 5, key length 3, facts 30.
const STATEMENT_LEN_MAX: usize = 65;
/// Most bytes of keys in a batch, so that all statements fit their section.
const MAX_KEYS_LEN: usize =
    limits::MAX_STATEMENTS_LEN - limits::MAX_BATCH_RECORDS * (STATEMENT_LEN_MAX + 1);

/// How a record gets its sequence in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceRule {
    /// The stream's next one, assigned at submit.
    Next,
    /// This one, chosen by the caller. Of a [sequenced](RecordKind::is_sequenced) kind it may leave
    /// a gap; the log refuses one that was passed already, and one of 2^63 or more.
    At(u64),
}

/// What a put or delete says of its key's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Revision that created the key's current generation.
    pub create_revision: u64,
    /// Version within the generation, from 1; 0 for a delete.
    pub version: u64,
    /// Lease, 0 for none.
    pub lease: u64,
}

/// One record to be appended, without its payload.
#[derive(Debug, Clone, Copy)]
pub struct RecordDraft<'a> {
    /// Kind.
    pub kind: RecordKind,
    /// Stream.
    pub stream: StreamId,
    /// How it gets its sequence.
    pub sequence: SequenceRule,
    /// Its time; the time of the commit when `None`.
    pub timestamp: Option<Timestamp>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Facts of its key.
    pub facts: Option<Facts>,
    /// The payload begins with 16 bytes of salt, which the caller put there.
    pub salted: bool,
}

impl RecordDraft<'_> {
    /// A record that takes the next sequence of its stream and the time of the commit.
    #[must_use]
    pub const fn new(kind: RecordKind, stream: StreamId) -> Self {
        Self {
            kind,
            stream,
            sequence: SequenceRule::Next,
            timestamp: None,
            key: None,
            facts: None,
            salted: false,
        }
    }
}

/// A record in a draft; its key and payload lie in the draft's arenas.
#[derive(Debug, Clone, Copy)]
pub struct RecordMeta {
    /// Kind.
    pub kind: RecordKind,
    /// Stream.
    pub stream: StreamId,
    /// How it gets its sequence.
    pub sequence: SequenceRule,
    /// Its time; the time of the commit when `None`.
    pub timestamp: Option<Timestamp>,
    /// Facts of its key.
    pub facts: Option<Facts>,
    /// The payload begins with salt.
    pub salted: bool,
    /// SHA-256 of the payload.
    pub payload_hash: PayloadHash,
    pub(crate) payload_len: u32,
    pub(crate) key: Option<(u32, u16)>,
}

/// Records that will become one batch: one commit, there whole or not at all.
///
/// ```
/// use cairn_codec::{Draft, RecordDraft, RecordKind};
/// use cairn_types::StreamId;
/// let mut draft = Draft::new();
/// draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), b"payload")?;
/// assert_eq!(draft.len(), 1);
/// # Ok::<(), cairn_codec::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Draft {
    records: Vec<RecordMeta>,
    keys: Vec<u8>,
    payloads: Vec<u8>,
    stored: Option<(CodecId, Vec<u8>)>,
    first_revision: u64,
}

impl Draft {
    /// An empty draft.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty draft with room for this many records and payload bytes.
    #[must_use]
    pub fn with_capacity(records: usize, payload_len: usize) -> Self {
        Self {
            records: Vec::with_capacity(records),
            payloads: Vec::with_capacity(payload_len),
            ..Self::default()
        }
    }

    /// Adds a record and hashes its payload.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a key, payload or batch over its limit, [`Error::UnknownKind`]
    /// for [`RecordKind::DROPPED`]; the draft is unchanged.
    pub fn push(&mut self, record: RecordDraft<'_>, payload: &[u8]) -> Result<()> {
        let hash = hash::payload(payload);
        self.push_hashed(record, payload, hash)
    }

    /// As [`push`](Self::push) with the payload's SHA-256, which the caller computed before it
    /// took a lock. A wrong hash makes a record that does not verify.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Panics
    /// For a wrong hash, with debug assertions only.
    pub fn push_hashed(
        &mut self,
        record: RecordDraft<'_>,
        payload: &[u8],
        payload_hash: PayloadHash,
    ) -> Result<()> {
        debug_assert_eq!(payload_hash, hash::payload(payload), "the hash is the payload's");
        check("bytes of a payload", payload.len(), limits::MAX_PAYLOAD_LEN)?;
        check("bytes of a key", record.key.map_or(0, <[u8]>::len), limits::MAX_KEY_LEN)?;
        let payloads_len = self.payloads.len() + payload.len();
        check("bytes of payloads of a batch", payloads_len, limits::MAX_BATCH_RAW_LEN)?;
        let keys_len = self.keys.len() + record.key.map_or(0, <[u8]>::len);
        check("bytes of keys of a batch", keys_len, MAX_KEYS_LEN)?;
        if record.kind == RecordKind::DROPPED {
            // Only the cleaner makes these, from records that were something else.
            return Err(Error::UnknownKind(RecordKind::DROPPED.get()));
        }
        check("records of a batch", self.records.len() + 1, limits::MAX_BATCH_RECORDS)?;
        let key = match record.key {
            None => None,
            Some(key) => {
                let start = u32::try_from(self.keys.len()).expect("below the limit of keys");
                self.keys.extend_from_slice(key);
                Some((start, u16::try_from(key.len()).expect("below the key limit")))
            }
        };
        self.payloads.extend_from_slice(payload);
        self.stored = None;
        self.records.push(RecordMeta {
            kind: record.kind,
            stream: record.stream,
            sequence: record.sequence,
            timestamp: record.timestamp,
            facts: record.facts,
            salted: record.salted,
            payload_hash,
            payload_len: u32::try_from(payload.len()).expect("below the payload limit"),
            key,
        });
        Ok(())
    }

    /// Compresses the payloads with `codec`; they stay as they are when that saves nothing. A
    /// record that is pushed later undoes it.
    ///
    /// # Errors
    /// [`Error::Codec`] when the codec fails.
    pub fn compress(&mut self, codec: &dyn Codec) -> Result<()> {
        if codec.id() == CodecId::NONE || self.payloads.is_empty() {
            self.stored = None;
            return Ok(());
        }
        let mut out = self.stored.take().map(|(_, buffer)| buffer).unwrap_or_default();
        out.clear();
        codec.compress(&self.payloads, &mut out)?;
        self.stored = (out.len() < self.payloads.len()).then(|| (codec.id(), out));
        Ok(())
    }

    /// Whether its payloads were compressed.
    #[must_use]
    pub const fn is_compressed(&self) -> bool {
        self.stored.is_some()
    }

    /// Sets the revision of the first record; 0 for none.
    pub fn set_first_revision(&mut self, revision: u64) {
        self.first_revision = revision;
    }

    /// The revision of the first record, 0 without one.
    #[must_use]
    pub const fn first_revision(&self) -> u64 {
        self.first_revision
    }

    /// Empties the draft and keeps its memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.keys.clear();
        self.payloads.clear();
        self.stored = None;
        self.first_revision = 0;
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all payloads before compression.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payloads.len()
    }

    /// The records in order.
    #[must_use]
    pub fn records(&self) -> &[RecordMeta] {
        &self.records
    }

    /// Key of one of this draft's records.
    #[must_use]
    pub fn key_of(&self, record: &RecordMeta) -> Option<&[u8]> {
        let (start, len) = record.key?;
        let start = start as usize;
        self.keys.get(start..start + usize::from(len))
    }

    /// No encoding of this draft is longer in bytes; sealing adds [`OVERHEAD`](crate::seal::OVERHEAD).
    #[must_use]
    pub fn encoded_len_max(&self) -> usize {
        crate::BATCH_HEADER_LEN
            + self.records.len() * (STATEMENT_LEN_MAX + 1)
            + self.keys.len()
            + self.stored_payloads().1.len()
    }

    /// The payload section as it will be stored.
    pub(crate) fn stored_payloads(&self) -> (CodecId, &[u8]) {
        match &self.stored {
            Some((codec, bytes)) => (*codec, bytes),
            None => (CodecId::NONE, &self.payloads),
        }
    }
}

fn check(what: &'static str, found: usize, limit: usize) -> Result<()> {
    if found > limit {
        return Err(Error::TooLarge { what, found: found as u64, limit: limit as u64 });
    }
    Ok(())
}
