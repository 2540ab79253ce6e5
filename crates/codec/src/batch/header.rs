//! The 96 bytes before every batch.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNB` |
//! | 4 | 1 | version |
//! | 5 | 1 | codec id of the payload section |
//! | 6 | 2 | flags: 1 = cleaned (a record was erased or dropped), 2 = sealed (the body is a sealed block, 24 bytes longer than its two sections) |
//! | 8 | 4 | record count, at least 1 |
//! | 12 | 4 | length of the statements section with its restart table |
//! | 16 | 4 | stored length of the payload section |
//! | 20 | 4 | raw length of the payload section |
//! | 24 | 8 | first LSN |
//! | 32 | 8 | first revision, 0 = none |
//! | 40 | 8 | commit time, microseconds since 1970 |
//! | 48 | 8 | durable end LSN at the moment of writing, at most the first LSN |
//! | 56 | 32 | chain value before the batch |
//! | 88 | 4 | CRC32 of the body, seeded with the segment's salt |
//! | 92 | 4 | CRC32 of bytes 0..92, seeded likewise |

use cairn_types::{ChainHash, Lsn, Timestamp, limits};

use crate::hash::ChainFields;
use crate::{CodecId, Error, Result, SaltedCrc};

/// Bytes of a batch header.
pub const BATCH_HEADER_LEN: usize = 96;
/// Format version of batches.
pub const VERSION: u8 = 1;
const MAGIC: [u8; 4] = *b"CRNB";
const FLAG_CLEANED: u16 = 1;
const FLAG_SEALED: u16 = 2;
const CRC_AT: usize = 92;

const _: () = assert!(4 + 1 + 1 + 2 + 4 * 4 + 8 * 4 + 32 + 4 + 4 == BATCH_HEADER_LEN);

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Codec of the payload section.
    pub codec: CodecId,
    /// A record was erased or dropped by the cleaner.
    pub cleaned: bool,
    /// The body is sealed.
    pub sealed: bool,
    /// Records in the batch.
    pub record_count: u32,
    /// Bytes of the statements section with its restart table.
    pub statements_len: u32,
    /// Bytes of the payload section as stored.
    pub stored_len: u32,
    /// Bytes of the payload section before compression.
    pub raw_len: u32,
    /// LSN of the first record.
    pub first_lsn: Lsn,
    /// Revision of the first record, 0 without one.
    pub first_revision: u64,
    /// Time of the commit.
    pub commit_time: Timestamp,
    /// Everything below was durable when this batch was written.
    pub durable_end: Lsn,
    /// Chain value before the batch.
    pub prev_hash: ChainHash,
    /// Checksum of the body as it is stored.
    pub body_crc: u32,
}

impl BatchHeader {
    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self, crc: &SaltedCrc) -> [u8; BATCH_HEADER_LEN] {
        let mut out = [0; BATCH_HEADER_LEN];
        let flags =
            if self.cleaned { FLAG_CLEANED } else { 0 } | if self.sealed { FLAG_SEALED } else { 0 };
        out[..4].copy_from_slice(&MAGIC);
        out[4] = VERSION;
        out[5] = self.codec.get();
        out[6..8].copy_from_slice(&flags.to_le_bytes());
        out[8..12].copy_from_slice(&self.record_count.to_le_bytes());
        out[12..16].copy_from_slice(&self.statements_len.to_le_bytes());
        out[16..20].copy_from_slice(&self.stored_len.to_le_bytes());
        out[20..24].copy_from_slice(&self.raw_len.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_lsn.get().to_le_bytes());
        out[32..40].copy_from_slice(&self.first_revision.to_le_bytes());
        out[40..48].copy_from_slice(&self.commit_time.as_micros().to_le_bytes());
        out[48..56].copy_from_slice(&self.durable_end.get().to_le_bytes());
        out[56..88].copy_from_slice(self.prev_hash.as_bytes());
        out[88..92].copy_from_slice(&self.body_crc.to_le_bytes());
        let sum = crc.checksum(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads the header at the front of `bytes`: magic, then CRC, then everything else.
    ///
    /// # Errors
    /// Says which check failed; nothing is believed before the CRC matched.
    pub fn decode(bytes: &[u8], crc: &SaltedCrc) -> Result<Self> {
        let Some(bytes) = bytes.first_chunk::<BATCH_HEADER_LEN>() else {
            let (found, expected) = (bytes.len() as u64, BATCH_HEADER_LEN as u64);
            return Err(Error::CutShort { what: "batch header", found, expected });
        };
        if bytes[..4] != MAGIC {
            return Err(Error::BadMagic);
        }
        let (expected, found) = (crc.checksum(&bytes[..CRC_AT]), u32_at(bytes, CRC_AT));
        if expected != found {
            return Err(Error::HeaderCrc { expected, found });
        }
        if bytes[4] != VERSION {
            return Err(Error::UnsupportedVersion { found: bytes[4] });
        }
        let flags = u16::from_le_bytes([bytes[6], bytes[7]]);
        if flags & !(FLAG_CLEANED | FLAG_SEALED) != 0 {
            return Err(Error::UnknownFlag(flags));
        }
        let mut prev_hash = [0; 32];
        prev_hash.copy_from_slice(&bytes[56..88]);
        let header = Self {
            codec: CodecId::new(bytes[5]),
            cleaned: flags & FLAG_CLEANED != 0,
            sealed: flags & FLAG_SEALED != 0,
            record_count: u32_at(bytes, 8),
            statements_len: u32_at(bytes, 12),
            stored_len: u32_at(bytes, 16),
            raw_len: u32_at(bytes, 20),
            first_lsn: Lsn::new(u64_at(bytes, 24)),
            first_revision: u64_at(bytes, 32),
            commit_time: Timestamp::from_micros(u64_at(bytes, 40).cast_signed()),
            durable_end: Lsn::new(u64_at(bytes, 48)),
            prev_hash: ChainHash::new(prev_hash),
            body_crc: u32_at(bytes, 88),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        let within = |what, found: u32, limit: usize| {
            let (found, limit) = (u64::from(found), limit as u64);
            if found > limit { Err(Error::InvalidLength { what, found, limit }) } else { Ok(()) }
        };
        within("record count", self.record_count, limits::MAX_BATCH_RECORDS)?;
        within("statements section", self.statements_len, limits::MAX_STATEMENTS_LEN)?;
        within("stored payloads", self.stored_len, limits::MAX_BATCH_RAW_LEN)?;
        within("raw payloads", self.raw_len, limits::MAX_BATCH_RAW_LEN)?;
        let statements_min =
            self.record_count as usize * 2 + super::restart_table_len(self.record_count);
        if self.record_count == 0 {
            return Err(Error::NonCanonical("batch without a record"));
        }
        if (self.statements_len as usize) < statements_min {
            let (found, expected) = (u64::from(self.statements_len), statements_min as u64);
            return Err(Error::CutShort { what: "statements section", found, expected });
        }
        if self.codec == CodecId::NONE && self.stored_len != self.raw_len {
            return Err(Error::LengthMismatch {
                what: "payloads without a codec",
                expected: u64::from(self.raw_len),
                found: u64::from(self.stored_len),
            });
        }
        if self.durable_end > self.first_lsn {
            return Err(Error::NonCanonical("durable end after the batch's own LSN"));
        }
        if self.first_lsn.checked_add(u64::from(self.record_count)).is_none() {
            return Err(Error::NonCanonical("LSN range past the largest LSN"));
        }
        Ok(())
    }

    /// Bytes of the body as it is stored, sealed or not.
    #[must_use]
    pub const fn body_len(&self) -> usize {
        let sealed = if self.sealed { crate::seal::OVERHEAD } else { 0 };
        self.statements_len as usize + self.stored_len as usize + sealed
    }

    /// Bytes of header and body.
    #[must_use]
    pub const fn total_len(&self) -> usize {
        BATCH_HEADER_LEN + self.body_len()
    }

    /// LSN after the last record.
    #[must_use]
    pub fn end_lsn(&self) -> Lsn {
        Lsn::new(self.first_lsn.get() + u64::from(self.record_count))
    }

    /// Checks the body's length and CRC.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::BodyCrc`].
    pub fn check_body(&self, body: &[u8], crc: &SaltedCrc) -> Result<()> {
        if body.len() != self.body_len() {
            return Err(Error::LengthMismatch {
                what: "batch body",
                expected: self.body_len() as u64,
                found: body.len() as u64,
            });
        }
        let expected = crc.checksum(body);
        if expected != self.body_crc {
            return Err(Error::BodyCrc { expected, found: self.body_crc });
        }
        Ok(())
    }

    /// The fields that the chain value commits to.
    #[must_use]
    pub const fn chain_fields(&self) -> ChainFields {
        ChainFields {
            record_count: self.record_count,
            first_lsn: self.first_lsn,
            first_revision: self.first_revision,
            commit_time: self.commit_time,
            durable_end: self.durable_end,
        }
    }
}

fn u32_at(bytes: &[u8; BATCH_HEADER_LEN], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8; BATCH_HEADER_LEN], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}
