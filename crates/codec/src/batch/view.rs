//! Reading records out of a batch whose CRC was checked, without copying.

use cairn_types::{LeafHash, PayloadHash, StreamId, Timestamp, limits};

use super::statement::{
    DROPPED, ERASED, HAS_FACTS, HAS_KEY, NEXT_SEQUENCE, Previous, SALTED, SAME_STREAM, SAME_TIME,
    Statement,
};
use super::{RESTART_INTERVAL, RESTART_LEN, restart_table_len};
use crate::draft::Facts;
use crate::{BatchHeader, Error, RecordKind, Result, varint};

/// What is left of a record's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The payload: its place in the raw payload section.
    Payload(std::ops::Range<usize>),
    /// The payload was erased; its hash is kept.
    Erased(PayloadHash),
    /// Everything but the leaf was dropped.
    Dropped(LeafHash),
}

/// One record of a batch. Of a dropped record only `index` and `content` mean anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Place in the batch, from 0.
    pub index: u32,
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
    /// What is left of the content.
    pub content: Content,
}

impl<'a> RecordView<'a> {
    /// The statement of the record.
    #[must_use]
    pub fn statement(&self) -> Statement<'a> {
        Statement {
            kind: self.kind,
            stream: self.stream,
            sequence: self.sequence,
            timestamp: self.timestamp,
            key: self.key,
            facts: self.facts,
            salted: self.salted,
            payload_len: self.payload_len,
        }
    }

    /// The payload within the raw payload section; `None` when it is gone.
    #[must_use]
    pub fn payload<'p>(&self, payloads: &'p [u8]) -> Option<&'p [u8]> {
        match &self.content {
            Content::Payload(range) => payloads.get(range.clone()),
            Content::Erased(_) | Content::Dropped(_) => None,
        }
    }
}

/// A place in the statements of a batch; it borrows nothing, so a cursor can own its batch.
#[derive(Debug, Clone, Default)]
pub struct StatementCursor {
    offset: usize,
    payload_offset: usize,
    index: u32,
    previous: Option<Previous>,
}

impl StatementCursor {
    /// Index of the record that comes next.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Reads the next record; `None` after the last.
    ///
    /// `statements` is the whole statements section of the batch that `header` describes.
    ///
    /// # Errors
    /// When the section is not one that the encoder writes.
    pub fn next<'a>(
        &mut self,
        header: &BatchHeader,
        statements: &'a [u8],
    ) -> Option<Result<RecordView<'a>>> {
        if self.index >= header.record_count {
            return None;
        }
        Some(self.read(header, statements))
    }

    fn read<'a>(&mut self, header: &BatchHeader, statements: &'a [u8]) -> Result<RecordView<'a>> {
        let compact_len = statements
            .len()
            .checked_sub(restart_table_len(header.record_count))
            .ok_or_else(cut_short)?;
        let compact = statements.get(..compact_len).ok_or_else(cut_short)?;
        let mut rest = compact.get(self.offset..).ok_or_else(cut_short)?;
        if self.index.is_multiple_of(RESTART_INTERVAL) {
            self.previous = None;
        }
        let record = self.read_record(header, &mut rest)?;
        self.offset = compact_len - rest.len();
        self.index += 1;
        match &record.content {
            Content::Payload(range) => self.payload_offset = range.end,
            Content::Erased(_) => {}
            Content::Dropped(_) => {
                self.previous = None;
                return Ok(record);
            }
        }
        self.previous = Some(Previous { stream: record.stream, sequence: record.sequence });
        Ok(record)
    }

    fn read_record<'a>(&self, header: &BatchHeader, rest: &mut &'a [u8]) -> Result<RecordView<'a>> {
        let (&[kind, presence], after) = rest.split_first_chunk::<2>().ok_or_else(cut_short)?;
        *rest = after;
        let mut record = RecordView {
            index: self.index,
            kind: RecordKind::new(kind)?,
            stream: StreamId::SYSTEM,
            sequence: 0,
            timestamp: header.commit_time,
            key: None,
            facts: None,
            salted: presence & SALTED != 0,
            payload_len: 0,
            content: Content::Payload(0..0),
        };
        if (presence == DROPPED) != (record.kind == RecordKind::DROPPED)
            || (presence != DROPPED && presence & DROPPED != 0)
        {
            return Err(Error::NonCanonical("presence bits of a dropped record"));
        }
        if presence == DROPPED {
            record.content = Content::Dropped(LeafHash::new(take_hash(rest)?));
            return Ok(record);
        }
        self.read_place(header, presence, &mut record, rest)?;
        self.read_content(header, presence, &mut record, rest)?;
        Ok(record)
    }

    /// Goes on to the next record without making anything of this one but what that may refer to:
    /// whether the rest of it is in canonical form is not looked at.
    fn pass(&mut self, header: &BatchHeader, statements: &[u8]) -> Result<()> {
        if self.index.is_multiple_of(RESTART_INTERVAL) {
            self.previous = None;
        }
        let rest = statements.get(self.offset..).ok_or_else(cut_short)?;
        let (&[_, presence], mut rest) = rest.split_first_chunk::<2>().ok_or_else(cut_short)?;
        self.index += 1;
        if presence == DROPPED {
            take_hash(&mut rest)?;
            self.offset = statements.len() - rest.len();
            self.previous = None;
            return Ok(());
        }
        let (stream, sequence) = self.read_sequence(presence, &mut rest)?;
        if presence & SAME_TIME == 0 {
            pass_number(&mut rest)?;
        }
        let payload_len = take(&mut rest)?;
        if presence & HAS_KEY != 0 {
            let len = usize::try_from(take(&mut rest)?).map_err(|_| cut_short())?;
            rest = rest.split_at_checked(len).ok_or_else(cut_short)?.1;
        }
        if presence & HAS_FACTS != 0 {
            pass_number(&mut rest)?;
            pass_number(&mut rest)?;
            pass_number(&mut rest)?;
        }
        if presence & ERASED != 0 {
            take_hash(&mut rest)?;
        } else {
            let limit = u64::from(header.raw_len);
            let end = (self.payload_offset as u64).checked_add(payload_len);
            let end = end.filter(|end| *end <= limit).ok_or_else(cut_short)?;
            self.payload_offset = usize::try_from(end).map_err(|_| cut_short())?;
        }
        self.offset = statements.len() - rest.len();
        self.previous = Some(Previous { stream, sequence });
        Ok(())
    }

    /// Stream, sequence, time.
    fn read_place(
        &self,
        header: &BatchHeader,
        presence: u8,
        record: &mut RecordView<'_>,
        rest: &mut &[u8],
    ) -> Result<()> {
        (record.stream, record.sequence) = self.read_sequence(presence, rest)?;
        if presence & SAME_TIME == 0 {
            let delta = varint::unzigzag(take(rest)?);
            let at = header.commit_time.as_micros().wrapping_add(delta);
            record.timestamp = Timestamp::from_micros(at);
        }
        Ok(())
    }

    #[inline]
    fn read_sequence(&self, presence: u8, rest: &mut &[u8]) -> Result<(StreamId, u64)> {
        let stream = if presence & SAME_STREAM != 0 {
            self.previous.ok_or_else(dangling)?.stream
        } else {
            let number = u32::try_from(take(rest)?).map_err(|_| dangling())?;
            StreamId::new(number)
        };
        if presence & NEXT_SEQUENCE == 0 {
            return Ok((stream, take(rest)?));
        }
        let before = self.previous.ok_or_else(dangling)?;
        if before.stream != stream {
            return Err(dangling());
        }
        Ok((stream, before.sequence.checked_add(1).ok_or_else(dangling)?))
    }

    /// Payload, key, facts.
    fn read_content<'a>(
        &self,
        header: &BatchHeader,
        presence: u8,
        record: &mut RecordView<'a>,
        rest: &mut &'a [u8],
    ) -> Result<()> {
        record.payload_len = take(rest)?;
        if presence & HAS_KEY != 0 {
            let found = take(rest)?;
            let limit = limits::MAX_KEY_LEN as u64;
            let len = usize::try_from(found).ok().filter(|_| found <= limit);
            let Some(len) = len else {
                return Err(Error::InvalidLength { what: "key", found, limit });
            };
            let (key, after) = rest.split_at_checked(len).ok_or_else(cut_short)?;
            (record.key, *rest) = (Some(key), after);
        }
        if presence & HAS_FACTS != 0 {
            let (create_revision, version, lease) = (take(rest)?, take(rest)?, take(rest)?);
            record.facts = Some(Facts { create_revision, version, lease });
        }
        record.content = if presence & ERASED != 0 {
            Content::Erased(PayloadHash::new(take_hash(rest)?))
        } else {
            let limit = u64::from(header.raw_len);
            let end = (self.payload_offset as u64).checked_add(record.payload_len);
            let Some(end) = end.filter(|end| *end <= limit) else {
                let (what, found) = ("payload", record.payload_len);
                return Err(Error::InvalidLength { what, found, limit });
            };
            Content::Payload(self.payload_offset..usize::try_from(end).map_err(|_| cut_short())?)
        };
        Ok(())
    }
}

// Made only when they are returned: an error that is made in advance has to be dropped again
// for every field of every record, which was a tenth of the time of a scan.
#[cold]
fn cut_short() -> Error {
    Error::NonCanonical("statements section (cut short)")
}

#[cold]
fn dangling() -> Error {
    Error::NonCanonical("reference to a record before")
}

fn take(rest: &mut &[u8]) -> Result<u64> {
    let Some(value) = varint::take(rest) else { return Err(Error::NonCanonical("varint")) };
    Ok(value)
}

fn pass_number(rest: &mut &[u8]) -> Result<()> {
    let Some(()) = varint::skip(rest) else { return Err(Error::NonCanonical("varint")) };
    Ok(())
}

fn take_hash(rest: &mut &[u8]) -> Result<[u8; 32]> {
    let (hash, after) = rest.split_first_chunk::<32>().ok_or_else(cut_short)?;
    *rest = after;
    Ok(*hash)
}

/// A batch's statements, ready to be read from the beginning or from any record.
#[derive(Debug, Clone, Copy)]
pub struct BatchView<'a> {
    header: &'a BatchHeader,
    statements: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// A view of a body whose CRC was checked.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] when the body is shorter than its statements section.
    pub fn new(header: &'a BatchHeader, body: &'a [u8]) -> Result<Self> {
        let statements =
            body.get(..header.statements_len as usize).ok_or_else(|| Error::LengthMismatch {
                what: "batch body",
                expected: header.body_len() as u64,
                found: body.len() as u64,
            })?;
        Ok(Self { header, statements })
    }

    /// All records in order. After an error nothing follows: where the next record would begin
    /// is then unknown.
    pub fn records(self) -> impl Iterator<Item = Result<RecordView<'a>>> {
        let mut cursor = StatementCursor::default();
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let record = cursor.next(self.header, self.statements);
            failed = matches!(record, Some(Err(_)));
            record
        })
    }

    /// A cursor whose next record is the one at `index`, found through the restart table.
    ///
    /// # Errors
    /// When the batch has no such record or its table is damaged.
    pub fn seek(self, index: u32) -> Result<StatementCursor> {
        if index >= self.header.record_count {
            let (found, limit) = (u64::from(index), u64::from(self.header.record_count));
            return Err(Error::InvalidLength { what: "record index", found, limit });
        }
        let mut cursor = StatementCursor::default();
        let entry = index / RESTART_INTERVAL;
        if entry > 0 {
            let table_len = restart_table_len(self.header.record_count);
            let table_at = self.statements.len().checked_sub(table_len).ok_or_else(cut_short)?;
            let at = table_at + (entry as usize - 1) * RESTART_LEN;
            let entry_bytes = self.statements.get(at..at + RESTART_LEN).ok_or_else(cut_short)?;
            let (offset, payload) = entry_bytes.split_first_chunk::<4>().ok_or_else(cut_short)?;
            let payload = payload.first_chunk::<4>().ok_or_else(cut_short)?;
            cursor.offset = u32::from_le_bytes(*offset) as usize;
            cursor.payload_offset = u32::from_le_bytes(*payload) as usize;
            cursor.index = entry * RESTART_INTERVAL;
        }
        while cursor.index < index {
            cursor.pass(self.header, self.statements)?;
        }
        Ok(cursor)
    }
}
