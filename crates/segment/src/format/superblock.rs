//! The superblock: two slots, written in turn, that hold how far the log was durable at the
//! last seal or clean close, and where the retained log begins. Truth for the retained start
//! and the evidence of durability; the rest repeats what the segments say.
//!
//! The slots lie at 0 and 4,096 of `log/superblock`. One slot:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNH` |
//! | 4 | 1 | version |
//! | 5 | 1 | flags: 1 = closed cleanly |
//! | 6 | 2 | zero |
//! | 8 | 8 | generation, counts every write; the higher valid slot wins |
//! | 16 | 16 | store id |
//! | 32 | 8 | number of the last segment |
//! | 40 | 8 | end of its durable batches, 0 when there is no segment |
//! | 48 | 8 | durable end LSN |
//! | 56 | 32 | chain value there |
//! | 88 | 8 | start LSN: the first retained record |
//! | 96 | 8 | number of the first retained segment |
//! | 104 | 8 | written at, microseconds since 1970 |
//! | 112 | 12 | zero |
//! | 124 | 4 | CRC32 of bytes 0..124 |

use cairn_types::{ChainHash, Lsn, SegmentId, Timestamp};

use super::frame::{FrameFault, FrameReader, FrameWriter};

/// Bytes of one slot.
pub const SLOT_LEN: usize = 128;
/// Distance of the slots: a torn write of one cannot touch the other.
pub const SLOT_STRIDE: u64 = 4096;
/// Path of the file.
pub const SUPERBLOCK_PATH: &str = "log/superblock";
const MAGIC: [u8; 4] = *b"CRNH";
const FLAG_CLEAN: u8 = 1;

/// One state of the superblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Whether the log was closed cleanly at this state.
    pub clean: bool,
    /// Counts every write.
    pub generation: u64,
    /// The store.
    pub store_id: [u8; 16],
    /// The last segment when this was written.
    pub segment: SegmentId,
    /// End of its durable batches; 0 when there was no segment.
    pub position: u64,
    /// Everything below was durable.
    pub durable_end: Lsn,
    /// Chain value at `durable_end`.
    pub chain: ChainHash,
    /// First retained record.
    pub start_lsn: Lsn,
    /// First retained segment.
    pub first_segment: SegmentId,
    /// When this was written.
    pub written_at: Timestamp,
}

impl Superblock {
    /// The state of a store that never held a record.
    #[must_use]
    pub fn empty(store_id: [u8; 16], now: Timestamp) -> Self {
        Self {
            clean: true,
            generation: 1,
            store_id,
            segment: SegmentId::new(0),
            position: 0,
            durable_end: Lsn::new(0),
            chain: ChainHash::GENESIS,
            start_lsn: Lsn::new(0),
            first_segment: SegmentId::new(0),
            written_at: now,
        }
    }

    /// The slot that this generation goes to.
    #[must_use]
    pub fn slot_position(&self) -> u64 {
        (self.generation % 2) * SLOT_STRIDE
    }

    /// The bytes of a slot.
    #[must_use]
    pub fn encode(&self) -> [u8; SLOT_LEN] {
        let flags = if self.clean { FLAG_CLEAN } else { 0 };
        FrameWriter::<SLOT_LEN>::new()
            .put(&MAGIC)
            .put(&[super::VERSION, flags, 0, 0])
            .u64(self.generation)
            .put(&self.store_id)
            .u64(self.segment.get())
            .u64(self.position)
            .u64(self.durable_end.get())
            .put(self.chain.as_bytes())
            .u64(self.start_lsn.get())
            .u64(self.first_segment.get())
            .put(&self.written_at.as_micros().to_le_bytes())
            .zeros(12)
            .close(crc32fast::Hasher::new())
    }

    /// Reads a slot.
    ///
    /// # Errors
    /// A [`FrameFault`] that names what is wrong.
    pub fn decode(bytes: &[u8; SLOT_LEN]) -> Result<Self, FrameFault> {
        let mut reader = FrameReader::open(bytes, MAGIC, crc32fast::Hasher::new())?;
        let flags = reader.u8();
        if flags & !FLAG_CLEAN != 0 {
            return Err(FrameFault::Field("flags"));
        }
        reader.zeros(2)?;
        let block = Self {
            clean: flags & FLAG_CLEAN != 0,
            generation: reader.u64(),
            store_id: reader.take(),
            segment: SegmentId::new(reader.u64()),
            position: reader.u64(),
            durable_end: Lsn::new(reader.u64()),
            chain: ChainHash::new(reader.take()),
            start_lsn: Lsn::new(reader.u64()),
            first_segment: SegmentId::new(reader.u64()),
            written_at: Timestamp::from_micros(reader.i64()),
        };
        reader.zeros(12)?;
        reader.finish();
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_survives_a_round_trip_and_no_flipped_bit() {
        let block = Superblock {
            generation: 12,
            position: 900,
            durable_end: Lsn::new(40),
            ..Superblock::empty([5; 16], Timestamp::from_micros(1))
        };
        let bytes = block.encode();
        assert_eq!(Superblock::decode(&bytes), Ok(block));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Superblock::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn generations_alternate_between_the_slots() {
        let mut block = Superblock::empty([0; 16], Timestamp::from_micros(0));
        let first = block.slot_position();
        block.generation += 1;
        assert_ne!(first, block.slot_position());
    }
}
