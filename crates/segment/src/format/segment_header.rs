//! The first 256 bytes of a segment. Truth: it anchors the chain and names the end of the
//! segment before, so a torn predecessor needs no write of its own.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNS` |
//! | 4 | 1 | version |
//! | 5 | 3 | zero |
//! | 8 | 16 | store id |
//! | 24 | 8 | segment number |
//! | 32 | 8 | base LSN: that of the first record |
//! | 40 | 8 | created at, microseconds since 1970 |
//! | 48 | 16 | salt: seeds every CRC in this file |
//! | 64 | 32 | chain value before the first batch |
//! | 96 | 8 | end of the batches in the segment before, 0 when there is none |
//! | 104 | 8 | rewrites: how often the cleaner replaced this file |
//! | 112 | 8 | cleaned up to: a mark of the log's owner, for keys the compacted revision up to which records may be gone; 0 for none |
//! | 120 | 4 | number of the data key that seals its batches, 0 without one |
//! | 124 | 128 | zero |
//! | 252 | 4 | CRC32 of bytes 0..252 |

use cairn_codec::SaltedCrc;
use cairn_codec::seal::KeyNumber;
use cairn_types::{ChainHash, Lsn, SegmentId, Timestamp};

use super::frame::{FrameFault, FrameReader, FrameWriter};

/// Bytes of a segment header; the first batch begins here.
pub const SEGMENT_HEADER_LEN: usize = 256;
const MAGIC: [u8; 4] = *b"CRNS";

const _: () = assert!(4 + 1 + 3 + 16 + 8 * 3 + 16 + 32 + 8 * 3 + 4 + 128 + 4 == SEGMENT_HEADER_LEN);

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The store it belongs to.
    pub store_id: [u8; 16],
    /// Its number.
    pub id: SegmentId,
    /// LSN of its first record.
    pub base_lsn: Lsn,
    /// When it was created.
    pub created_at: Timestamp,
    /// Seed of every CRC in the file.
    pub salt: [u8; 16],
    /// Chain value before its first batch.
    pub prev_chain: ChainHash,
    /// Where the batches of the segment before end; 0 when there is none.
    pub prev_end: u64,
    /// How often the cleaner replaced this file.
    pub rewrites: u64,
    /// What the owner of the log cleaned it up to; greatest of all cleanings.
    pub cleaned_to: u64,
    /// The data key that seals its batches.
    pub key: KeyNumber,
}

impl SegmentHeader {
    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        FrameWriter::<SEGMENT_HEADER_LEN>::new()
            .put(&MAGIC)
            .put(&[super::VERSION, 0, 0, 0])
            .put(&self.store_id)
            .u64(self.id.get())
            .u64(self.base_lsn.get())
            .put(&self.created_at.as_micros().to_le_bytes())
            .put(&self.salt)
            .put(self.prev_chain.as_bytes())
            .u64(self.prev_end)
            .u64(self.rewrites)
            .u64(self.cleaned_to)
            .put(&self.key.get().to_le_bytes())
            .zeros(128)
            .close(crc32fast::Hasher::new())
    }

    /// Reads a header.
    ///
    /// # Errors
    /// A [`FrameFault`] that names what is wrong.
    pub fn decode(bytes: &[u8; SEGMENT_HEADER_LEN]) -> Result<Self, FrameFault> {
        let mut reader = FrameReader::open(bytes, MAGIC, crc32fast::Hasher::new())?;
        reader.zeros(3)?;
        let header = Self {
            store_id: reader.take(),
            id: SegmentId::new(reader.u64()),
            base_lsn: Lsn::new(reader.u64()),
            created_at: Timestamp::from_micros(reader.i64()),
            salt: reader.take(),
            prev_chain: ChainHash::new(reader.take()),
            prev_end: reader.u64(),
            rewrites: reader.u64(),
            cleaned_to: reader.u64(),
            key: KeyNumber::new(u32::from_le_bytes(reader.take())),
        };
        reader.zeros(128)?;
        reader.finish();
        Ok(header)
    }

    /// The CRC state that every checksum of this file starts from.
    #[must_use]
    pub fn crc(&self) -> SaltedCrc {
        SaltedCrc::new(&self.salt).of_file(self.store_id, self.id.get(), self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            store_id: [7; 16],
            id: SegmentId::new(3),
            base_lsn: Lsn::new(99),
            created_at: Timestamp::from_micros(-5),
            salt: [9; 16],
            prev_chain: ChainHash::new([1; 32]),
            prev_end: 4711,
            rewrites: 2,
            cleaned_to: 5,
            key: KeyNumber::new(3),
        }
    }

    #[test]
    fn header_survives_a_round_trip() {
        assert_eq!(SegmentHeader::decode(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_refused() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }
}
