//! Batches on disk: header, compact statements with a restart table, payloads. Truth.
//!
//! The header's table stands in [`header`]. The body:
//!
//! | part | content |
//! |---|---|
//! | statements | compact records, see [`statement`] |
//! | restart table | for records 16, 32, ...: statement offset u32, payload offset u32 |
//! | payloads | all payloads in order, compressed as a whole when that saves space |

pub mod header;
pub mod rewrite;
pub mod statement;
pub mod verify;
pub mod view;

use cairn_types::{ChainHash, LeafHash, Lsn, PayloadHash, Timestamp, limits};

use self::header::{BATCH_HEADER_LEN, BatchHeader};
use self::statement::{CompactWriter, Form, Statement};
use crate::seal::{COUNTER_LEN, FileCipher, TAG_LEN, place_of};
use crate::{Draft, RecordView, Result, SaltedCrc, hash};

/// Records between two entries of the restart table.
pub const RESTART_INTERVAL: u32 = 16;
/// Bytes of a restart entry.
pub const RESTART_LEN: usize = 8;

/// What a batch is told by the log that takes it.
#[derive(Debug, Clone, Copy)]
pub struct BatchContext<'a> {
    /// LSN of the first record.
    pub first_lsn: Lsn,
    /// Time of the commit.
    pub commit_time: Timestamp,
    /// Everything below was durable when this batch was written.
    pub durable_end: Lsn,
    /// Chain value before the batch.
    pub prev_hash: ChainHash,
    /// CRC state of the segment.
    pub crc: &'a SaltedCrc,
}

/// What encoding produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    /// Bytes appended to the output.
    pub len: usize,
    /// Chain value after the batch.
    pub chain: ChainHash,
}

/// Memory that encoding reuses.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    statement: Vec<u8>,
    restarts: Vec<u8>,
}

/// Appends the batch to `out` and computes its chain value.
///
/// `sequences` holds the resolved sequence of each record.
///
/// # Panics
/// When `sequences` is not as long as the draft, the draft is empty or over the limits that
/// [`Draft::push`] keeps, or the durable end lies past the batch's own first LSN: nothing is
/// written that the decoder would refuse.
pub fn encode(
    draft: &Draft,
    context: &BatchContext<'_>,
    sequences: &[u64],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Encoded {
    encode_sealed(draft, context, sequences, scratch, None, out).expect("only a cipher fails")
}

/// As [`encode`], with the body sealed by a cipher when there is one: in place, where it was
/// encoded, and with one checksum over what is stored.
///
/// # Errors
/// When the cipher's counter is used up; `out` is then to be thrown away from its old end on.
///
/// # Panics
/// As [`encode`].
pub fn encode_sealed(
    draft: &Draft,
    context: &BatchContext<'_>,
    sequences: &[u64],
    scratch: &mut Scratch,
    cipher: Option<&FileCipher>,
    out: &mut Vec<u8>,
) -> Result<Encoded> {
    assert_eq!(draft.len(), sequences.len(), "each record has a sequence");
    assert!(!draft.is_empty(), "a batch holds a record");
    assert!(context.durable_end <= context.first_lsn, "only earlier batches can be durable");
    let start = out.len();
    let (codec, payloads) = draft.stored_payloads();
    let mut header = BatchHeader {
        codec,
        cleaned: false,
        sealed: false,
        record_count: u32::try_from(draft.len()).expect("below the limit of records"),
        statements_len: 0,
        stored_len: u32::try_from(payloads.len()).expect("below the limit of a batch"),
        raw_len: u32::try_from(draft.payload_len()).expect("below the limit of a batch"),
        first_lsn: context.first_lsn,
        first_revision: draft.first_revision(),
        commit_time: context.commit_time,
        durable_end: context.durable_end,
        prev_hash: context.prev_hash,
        body_crc: 0,
    };
    let gap = if cipher.is_some() { COUNTER_LEN } else { 0 };
    out.resize(start + BATCH_HEADER_LEN + gap, 0);
    let mut chain = hash::BatchChain::new(&context.prev_hash, &header.chain_fields());
    let mut writer = CompactWriter::new(context.commit_time, out.len());
    scratch.restarts.clear();
    for (record, &sequence) in draft.records().iter().zip(sequences) {
        let statement = Statement {
            kind: record.kind,
            stream: record.stream,
            sequence,
            timestamp: record.timestamp.unwrap_or(context.commit_time),
            key: draft.key_of(record),
            facts: record.facts,
            salted: record.salted,
            payload_len: u64::from(record.payload_len),
        };
        chain.push(&leaf_with(&statement, &record.payload_hash, &mut scratch.statement));
        writer.put(&statement, Form::Present, out, &mut scratch.restarts);
    }
    out.extend_from_slice(&scratch.restarts);
    let statements_len = out.len() - start - BATCH_HEADER_LEN - gap;
    assert!(statements_len <= limits::MAX_STATEMENTS_LEN, "keys are limited with the draft");
    header.statements_len = u32::try_from(statements_len).expect("below the limit of a batch");
    out.extend_from_slice(payloads);
    if let Some(cipher) = cipher {
        out.resize(out.len() + TAG_LEN, 0);
        header.sealed = true;
        let place = place_of(&header, context.crc);
        cipher.seal_between(&place, &mut out[start + BATCH_HEADER_LEN..])?;
    }
    header.body_crc = context.crc.checksum(&out[start + BATCH_HEADER_LEN..]);
    out[start..start + BATCH_HEADER_LEN].copy_from_slice(&header.encode(context.crc));
    Ok(Encoded { len: out.len() - start, chain: chain.finish() })
}

/// Leaf of a statement, with reused memory for its canonical form.
pub(crate) fn leaf_with(
    statement: &Statement<'_>,
    payload_hash: &PayloadHash,
    scratch: &mut Vec<u8>,
) -> LeafHash {
    scratch.clear();
    scratch.push(hash::LEAF_PREFIX);
    statement.canonical(payload_hash, scratch);
    hash::leaf_of_prefixed(scratch)
}

/// Leaf of a stored record; its payload is hashed when it is still there.
///
/// ```
/// # use cairn_codec::*;
/// # use cairn_types::*;
/// # let mut draft = Draft::new();
/// # draft.push(RecordDraft::new(RecordKind::EVENT, StreamId::new(1)), b"abc")?;
/// # let crc = SaltedCrc::new(&[0; 16]);
/// # let context = BatchContext { first_lsn: Lsn::new(0), commit_time: Timestamp::default(),
/// #     durable_end: Lsn::new(0), prev_hash: ChainHash::GENESIS, crc: &crc };
/// # let mut out = Vec::new();
/// # encode(&draft, &context, &[0], &mut Scratch::default(), &mut out);
/// let header = BatchHeader::decode(&out, &crc)?;
/// let body = &out[BATCH_HEADER_LEN..];
/// let view = BatchView::new(&header, body)?;
/// let record = view.records().next().expect("one record")?;
/// let leaf = leaf_of(&record, b"abc");
/// let one = hash::record_chain(&ChainHash::GENESIS, &leaf);
/// assert_ne!(one, ChainHash::GENESIS);
/// # Ok::<(), Error>(())
/// ```
#[must_use]
pub fn leaf_of(record: &RecordView<'_>, payload: &[u8]) -> LeafHash {
    let statement = record.statement();
    match &record.content {
        view::Content::Dropped(leaf) => *leaf,
        view::Content::Erased(payload_hash) => {
            leaf_with(&statement, payload_hash, &mut Vec::with_capacity(128))
        }
        view::Content::Payload(_) => {
            leaf_with(&statement, &hash::payload(payload), &mut Vec::with_capacity(128))
        }
    }
}

/// The canonical statement of a stored record: what its leaf is the hash of. `None` when only the
/// leaf is left.
#[must_use]
pub fn statement_of(record: &RecordView<'_>, payload: &[u8]) -> Option<Vec<u8>> {
    let payload_hash = match &record.content {
        view::Content::Dropped(_) => return None,
        view::Content::Erased(payload_hash) => *payload_hash,
        view::Content::Payload(_) => hash::payload(payload),
    };
    let mut statement = Vec::with_capacity(128);
    record.statement().canonical(&payload_hash, &mut statement);
    Some(statement)
}

/// Bytes of the restart table of a batch.
pub(crate) fn restart_table_len(record_count: u32) -> usize {
    (record_count.saturating_sub(1) / RESTART_INTERVAL) as usize * RESTART_LEN
}
