//! Statements: the small part of a record that is hashed, in its canonical form and in the
//! compact form on disk. Truth.
//!
//! Canonical (hashed, never stored):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version = 1 |
//! | 1 | 1 | kind |
//! | 2 | 2 | flags: 1 key, 2 facts, 4 salted |
//! | 4 | 4 | stream |
//! | 8 | 8 | sequence |
//! | 16 | 8 | timestamp, microseconds since 1970 |
//! | 24 | 8 | payload length |
//! | 32 | 32 | SHA-256 of the payload |
//! | 64 | 2 | key length |
//! | 66 | n | key |
//! | 66+n | 24 | facts: create revision, version, lease (with flag 2) |
//!
//! Compact (stored): kind, presence bits, then what the bits say, as canonical varints:
//! stream (without `SAME_STREAM`), sequence (without `NEXT_SEQUENCE`), zigzag distance of the
//! timestamp from the commit time (without `SAME_TIME`), payload length, key length and key
//! (`HAS_KEY`), three facts (`HAS_FACTS`), the payload's hash (`ERASED`). A dropped record is
//! kind 0, `DROPPED` and its 32-byte leaf. Every sixteenth record refers to no other.

use cairn_types::{LeafHash, PayloadHash, StreamId, Timestamp};

use super::RESTART_INTERVAL;
use crate::draft::Facts;
use crate::{Error, RecordKind, Result, varint};

/// Version of the canonical form.
pub const STATEMENT_VERSION: u8 = 1;
const FLAG_KEY: u16 = 1;
const FLAG_FACTS: u16 = 2;
const FLAG_SALTED: u16 = 4;

pub(crate) const SAME_STREAM: u8 = 1;
pub(crate) const NEXT_SEQUENCE: u8 = 2;
pub(crate) const SAME_TIME: u8 = 4;
pub(crate) const HAS_KEY: u8 = 8;
pub(crate) const HAS_FACTS: u8 = 16;
pub(crate) const ERASED: u8 = 32;
pub(crate) const DROPPED: u8 = 64;
pub(crate) const SALTED: u8 = 128;

/// A record's statement without the payload's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Kind.
    pub kind: RecordKind,
    /// Stream.
    pub stream: StreamId,
    /// Sequence in the stream.
    pub sequence: u64,
    /// Time.
    pub timestamp: Timestamp,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Facts of the key.
    pub facts: Option<Facts>,
    /// The payload begins with salt.
    pub salted: bool,
    /// Bytes of the payload, also when it is gone.
    pub payload_len: u64,
}

impl Statement<'_> {
    /// Appends the canonical form.
    pub fn canonical(&self, payload_hash: &PayloadHash, out: &mut Vec<u8>) {
        let mut flags = 0;
        let key = self.key.unwrap_or_default();
        if self.key.is_some() {
            flags |= FLAG_KEY;
        }
        if self.facts.is_some() {
            flags |= FLAG_FACTS;
        }
        if self.salted {
            flags |= FLAG_SALTED;
        }
        let mut head = [0; 66];
        head[0] = STATEMENT_VERSION;
        head[1] = self.kind.get();
        head[2..4].copy_from_slice(&flags.to_le_bytes());
        head[4..8].copy_from_slice(&self.stream.get().to_le_bytes());
        head[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        head[16..24].copy_from_slice(&self.timestamp.as_micros().to_le_bytes());
        head[24..32].copy_from_slice(&self.payload_len.to_le_bytes());
        head[32..64].copy_from_slice(payload_hash.as_bytes());
        let key_len = u16::try_from(key.len()).expect("keys are limited to less");
        head[64..66].copy_from_slice(&key_len.to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(key);
        if let Some(facts) = &self.facts {
            out.extend_from_slice(&facts.create_revision.to_le_bytes());
            out.extend_from_slice(&facts.version.to_le_bytes());
            out.extend_from_slice(&facts.lease.to_le_bytes());
        }
    }
}

impl<'a> Statement<'a> {
    /// Reads the canonical form, of which there is one for each statement; gives the payload's
    /// hash too.
    ///
    /// # Errors
    /// [`Error::NonCanonical`] for anything else, [`Error::UnknownKind`].
    pub fn decode_canonical(bytes: &'a [u8]) -> Result<(Self, PayloadHash)> {
        let wrong = || Error::NonCanonical("canonical statement");
        let (&[version, kind], rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (flags, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (stream, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (sequence, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (timestamp, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (payload_len, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (payload_hash, rest) = rest.split_first_chunk::<32>().ok_or_else(wrong)?;
        let (key_len, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let flags = u16::from_le_bytes(*flags);
        if version != STATEMENT_VERSION || flags > FLAG_KEY | FLAG_FACTS | FLAG_SALTED {
            return Err(wrong());
        }
        let key_len = usize::from(u16::from_le_bytes(*key_len));
        let (key, rest) = rest.split_at_checked(key_len).ok_or_else(wrong)?;
        let (facts, rest) = match flags & FLAG_FACTS {
            0 => (None, rest),
            _ => decode_facts(rest).ok_or_else(wrong)?,
        };
        let has_key = flags & FLAG_KEY != 0;
        if !rest.is_empty() || (!has_key && key_len > 0) {
            return Err(wrong());
        }
        let statement = Self {
            kind: RecordKind::new(kind)?,
            stream: StreamId::new(u32::from_le_bytes(*stream)),
            sequence: u64::from_le_bytes(*sequence),
            timestamp: Timestamp::from_micros(i64::from_le_bytes(*timestamp)),
            key: has_key.then_some(key),
            facts,
            salted: flags & FLAG_SALTED != 0,
            payload_len: u64::from_le_bytes(*payload_len),
        };
        Ok((statement, PayloadHash::new(*payload_hash)))
    }
}

fn decode_facts(bytes: &[u8]) -> Option<(Option<Facts>, &[u8])> {
    let (create_revision, rest) = bytes.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (lease, rest) = rest.split_first_chunk()?;
    let facts = Facts {
        create_revision: u64::from_le_bytes(*create_revision),
        version: u64::from_le_bytes(*version),
        lease: u64::from_le_bytes(*lease),
    };
    Some((Some(facts), rest))
}

/// What of a record is stored beside its statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Its payload.
    Present,
    /// Only the payload's hash.
    Erased(PayloadHash),
    /// Nothing but its leaf.
    Dropped(LeafHash),
}

/// What a record may refer to: the one before it, unless it begins a restart interval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Previous {
    pub(crate) stream: StreamId,
    pub(crate) sequence: u64,
}

/// Writes compact records in order.
#[derive(Debug)]
pub(crate) struct CompactWriter {
    commit_time: Timestamp,
    section_start: usize,
    payload_offset: u64,
    index: u32,
    previous: Option<Previous>,
}

impl CompactWriter {
    /// Begins a section at `section_start` of the output.
    pub(crate) fn new(commit_time: Timestamp, section_start: usize) -> Self {
        Self { commit_time, section_start, payload_offset: 0, index: 0, previous: None }
    }

    /// Appends a record to `out`, and a restart entry to `restarts` where one is due.
    pub(crate) fn put(
        &mut self,
        statement: &Statement<'_>,
        form: Form,
        out: &mut Vec<u8>,
        restarts: &mut Vec<u8>,
    ) {
        if self.index > 0 && self.index.is_multiple_of(RESTART_INTERVAL) {
            self.previous = None;
            let statement_offset = out.len() - self.section_start;
            let place = |offset| u32::try_from(offset).expect("below the limit of a batch");
            restarts.extend_from_slice(&place(statement_offset as u64).to_le_bytes());
            restarts.extend_from_slice(&place(self.payload_offset).to_le_bytes());
        }
        self.index += 1;
        if let Form::Dropped(leaf) = form {
            out.extend_from_slice(&[RecordKind::DROPPED.get(), DROPPED]);
            out.extend_from_slice(leaf.as_bytes());
            self.previous = None;
            return;
        }
        self.put_statement(statement, &form, out);
        if let Form::Erased(hash) = form {
            out.extend_from_slice(hash.as_bytes());
        } else {
            self.payload_offset += statement.payload_len;
        }
        let Statement { stream, sequence, .. } = *statement;
        self.previous = Some(Previous { stream, sequence });
    }

    fn put_statement(&self, statement: &Statement<'_>, form: &Form, out: &mut Vec<u8>) {
        let mut presence = 0;
        let mut set = |bit, on| presence |= if on { bit } else { 0 };
        let same_stream = self.previous.is_some_and(|before| before.stream == statement.stream);
        let next_sequence = same_stream
            && self.previous.and_then(|before| before.sequence.checked_add(1))
                == Some(statement.sequence);
        let same_time = statement.timestamp == self.commit_time;
        set(SAME_STREAM, same_stream);
        set(NEXT_SEQUENCE, next_sequence);
        set(SAME_TIME, same_time);
        set(HAS_KEY, statement.key.is_some());
        set(HAS_FACTS, statement.facts.is_some());
        set(ERASED, matches!(form, Form::Erased(_)));
        set(SALTED, statement.salted);
        out.extend_from_slice(&[statement.kind.get(), presence]);
        if !same_stream {
            varint::put(out, u64::from(statement.stream.get()));
        }
        if !next_sequence {
            varint::put(out, statement.sequence);
        }
        if !same_time {
            let (at, base) = (statement.timestamp.as_micros(), self.commit_time.as_micros());
            varint::put(out, varint::zigzag(at.wrapping_sub(base)));
        }
        varint::put(out, statement.payload_len);
        if let Some(key) = statement.key {
            varint::put(out, key.len() as u64);
            out.extend_from_slice(key);
        }
        if let Some(facts) = &statement.facts {
            varint::put(out, facts.create_revision);
            varint::put(out, facts.version);
            varint::put(out, facts.lease);
        }
    }
}
