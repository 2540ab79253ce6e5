//! The frame that closes a segment. Truth: nothing follows it, and it repeats where the log
//! stood, so that a lost end cannot pass for a clean one.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNE` |
//! | 4 | 1 | version |
//! | 5 | 3 | zero |
//! | 8 | 8 | segment number |
//! | 16 | 8 | end LSN, exclusive |
//! | 24 | 8 | batches in the segment |
//! | 32 | 8 | position of this frame |
//! | 40 | 32 | chain value after the last batch |
//! | 72 | 8 | sealed at, microseconds since 1970 |
//! | 80 | 12 | zero |
//! | 92 | 4 | CRC32 of bytes 0..92, seeded with the segment's salt |

use cairn_codec::SaltedCrc;
use cairn_types::{ChainHash, Lsn, SegmentId, Timestamp};

use super::frame::{FrameFault, FrameReader, FrameWriter};

/// Bytes of a seal: as many as a batch header, so a reader needs one read to tell them apart.
pub const SEAL_LEN: usize = 96;
const MAGIC: [u8; 4] = *b"CRNE";

/// How a segment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The segment.
    pub id: SegmentId,
    /// LSN after its last record.
    pub end_lsn: Lsn,
    /// Batches in it.
    pub batch_count: u64,
    /// Position of the seal, which is the end of the batches.
    pub position: u64,
    /// Chain value after the last batch.
    pub chain: ChainHash,
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

impl Seal {
    /// Whether the bytes begin like a seal; says nothing of their validity.
    #[must_use]
    pub fn is_magic(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self, crc: &SaltedCrc) -> [u8; SEAL_LEN] {
        FrameWriter::<SEAL_LEN>::new()
            .put(&MAGIC)
            .put(&[super::VERSION, 0, 0, 0])
            .u64(self.id.get())
            .u64(self.end_lsn.get())
            .u64(self.batch_count)
            .u64(self.position)
            .put(self.chain.as_bytes())
            .put(&self.sealed_at.as_micros().to_le_bytes())
            .zeros(12)
            .close(crc.hasher())
    }

    /// Reads a seal.
    ///
    /// # Errors
    /// A [`FrameFault`] that names what is wrong.
    pub fn decode(bytes: &[u8; SEAL_LEN], crc: &SaltedCrc) -> Result<Self, FrameFault> {
        let mut reader = FrameReader::open(bytes, MAGIC, crc.hasher())?;
        reader.zeros(3)?;
        let seal = Self {
            id: SegmentId::new(reader.u64()),
            end_lsn: Lsn::new(reader.u64()),
            batch_count: reader.u64(),
            position: reader.u64(),
            chain: ChainHash::new(reader.take()),
            sealed_at: Timestamp::from_micros(reader.i64()),
        };
        reader.zeros(12)?;
        reader.finish();
        Ok(seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seal_survives_a_round_trip_and_no_flipped_bit() {
        let crc = SaltedCrc::new(&[3; 16]);
        let seal = Seal {
            id: SegmentId::new(1),
            end_lsn: Lsn::new(20),
            batch_count: 4,
            position: 512,
            chain: ChainHash::new([8; 32]),
            sealed_at: Timestamp::from_micros(77),
        };
        let bytes = seal.encode(&crc);
        assert_eq!(Seal::decode(&bytes, &crc), Ok(seal));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Seal::decode(&flipped, &crc).is_err(), "bit {bit}");
        }
    }
}
