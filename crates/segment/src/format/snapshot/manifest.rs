//! What a snapshot says of itself; its table is in the module above. Derived.

use cairn_codec::seal::RING_LEN_MAX;
use cairn_types::{ChainHash, Lsn, SegmentId, Timestamp, limits};

use super::{CHUNK_LEN_MAX, CHUNK_LEN_MIN, MANIFEST_LEN, SEGMENT_COUNT_MAX};
use crate::format::VERSION;
use crate::format::frame::{FrameFault, FrameReader, FrameWriter};
use crate::format::seal::SEAL_LEN;

const MAGIC: [u8; 4] = *b"CRNM";
/// Longest file of a segment: what the cleaner may make of one, and its seal.
const SEGMENT_LEN_MAX: u64 = u32::MAX as u64 + SEAL_LEN as u64;

const _: () = assert!(limits::MAX_SEGMENT_SIZE < SEGMENT_LEN_MAX);
const _: () = assert!(SEGMENT_COUNT_MAX.checked_mul(SEGMENT_LEN_MAX).is_some());

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The store.
    pub store_id: [u8; 16],
    /// When the store was created.
    pub created_at: Timestamp,
    /// First retained record.
    pub start_lsn: Lsn,
    /// LSN after the last record.
    pub end_lsn: Lsn,
    /// Chain value there.
    pub chain: ChainHash,
    /// The first segment.
    pub first_segment: SegmentId,
    /// How many segments.
    pub segment_count: u64,
    /// End of the batches in the last one; 0 when there is none.
    pub end_position: u64,
    /// Bytes of all segments.
    pub total_len: u64,
    /// Chunks in the stream, manifest and end included.
    pub chunk_count: u64,
    /// The revision, as the log's owner counts; 0 when it does not.
    pub revision: u64,
    /// Length of every chunk but the last of a segment.
    pub chunk_len: u32,
    /// Length of the key ring, 0 when nothing is sealed.
    pub ring_len: u32,
}

impl Manifest {
    /// The bytes of the manifest.
    #[must_use]
    pub fn encode(&self) -> [u8; MANIFEST_LEN] {
        FrameWriter::<MANIFEST_LEN>::new()
            .put(&MAGIC)
            .put(&[VERSION, 0, 0, 0])
            .put(&self.store_id)
            .put(&self.created_at.as_micros().to_le_bytes())
            .u64(self.start_lsn.get())
            .u64(self.end_lsn.get())
            .put(self.chain.as_bytes())
            .u64(self.first_segment.get())
            .u64(self.segment_count)
            .u64(self.end_position)
            .u64(self.total_len)
            .u64(self.chunk_count)
            .u64(self.revision)
            .put(&self.chunk_len.to_le_bytes())
            .put(&self.ring_len.to_le_bytes())
            .zeros(4)
            .close(crc32fast::Hasher::new())
    }

    /// Reads a manifest whose figures fit together.
    ///
    /// # Errors
    /// A [`FrameFault`] that names what is wrong.
    pub fn decode(bytes: &[u8; MANIFEST_LEN]) -> Result<Self, FrameFault> {
        let mut reader = FrameReader::open(bytes, MAGIC, crc32fast::Hasher::new())?;
        reader.zeros(3)?;
        let manifest = Self {
            store_id: reader.take(),
            created_at: Timestamp::from_micros(reader.i64()),
            start_lsn: Lsn::new(reader.u64()),
            end_lsn: Lsn::new(reader.u64()),
            chain: ChainHash::new(reader.take()),
            first_segment: SegmentId::new(reader.u64()),
            segment_count: reader.u64(),
            end_position: reader.u64(),
            total_len: reader.u64(),
            chunk_count: reader.u64(),
            revision: reader.u64(),
            chunk_len: u32::from_le_bytes(reader.take()),
            ring_len: u32::from_le_bytes(reader.take()),
        };
        reader.zeros(4)?;
        reader.finish();
        manifest.check()?;
        Ok(manifest)
    }

    /// Number of the last segment, if there is one.
    #[must_use]
    pub fn last_segment(&self) -> Option<SegmentId> {
        let before_last = self.segment_count.checked_sub(1)?;
        self.first_segment.get().checked_add(before_last).map(SegmentId::new)
    }

    fn check(&self) -> Result<(), FrameFault> {
        let refused = |what| Err(FrameFault::Field(what));
        if !(CHUNK_LEN_MIN..=CHUNK_LEN_MAX).contains(&self.chunk_len) {
            return refused("chunk length");
        }
        if self.segment_count > SEGMENT_COUNT_MAX
            || (self.segment_count > 0 && self.last_segment().is_none())
        {
            return refused("segment count");
        }
        if self.total_len > self.segment_count * SEGMENT_LEN_MAX {
            return refused("length");
        }
        if self.end_position > self.total_len
            || (self.end_position == 0) != (self.segment_count == 0)
        {
            return refused("end of the last segment");
        }
        if self.start_lsn > self.end_lsn {
            return refused("end LSN");
        }
        if self.ring_len as usize > RING_LEN_MAX {
            return refused("length of the key ring");
        }
        let full = self.total_len / u64::from(self.chunk_len);
        let others = 2 + u64::from(self.ring_len > 0);
        let chunks = full.max(self.segment_count) + others..=full + self.segment_count + others;
        if chunks.contains(&self.chunk_count) { Ok(()) } else { refused("chunk count") }
    }
}
