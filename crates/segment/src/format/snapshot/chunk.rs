//! The header of a chunk; its table is in the module above. Derived.

use cairn_types::SegmentId;

use super::{CHUNK_HEADER_LEN, CHUNK_LEN_MAX};
use crate::format::VERSION;
use crate::format::frame::{FrameFault, FrameReader, FrameWriter};

const MAGIC: [u8; 4] = *b"CRNX";

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// The manifest; always chunk 0.
    Manifest,
    /// Bytes of a segment.
    Segment,
    /// Nothing: the stream is complete.
    End,
    /// The key ring of an encrypted log; always chunk 1.
    KeyRing,
}

impl ChunkKind {
    const fn number(self) -> u8 {
        match self {
            Self::Manifest => 1,
            Self::Segment => 2,
            Self::End => 3,
            Self::KeyRing => 4,
        }
    }
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHeader {
    /// What the chunk holds.
    pub kind: ChunkKind,
    /// Its place in the stream, from 0.
    pub number: u64,
    /// The snapshot it belongs to.
    pub snapshot: [u8; 16],
    /// The segment, for bytes of one.
    pub segment: SegmentId,
    /// Where in that segment.
    pub position: u64,
    /// Length of the payload.
    pub len: u32,
    /// CRC32 of the payload.
    pub payload_crc: u32,
}

impl ChunkHeader {
    /// The bytes in the stream.
    #[must_use]
    pub fn encode(&self) -> [u8; CHUNK_HEADER_LEN] {
        FrameWriter::<CHUNK_HEADER_LEN>::new()
            .put(&MAGIC)
            .put(&[VERSION, self.kind.number(), 0, 0])
            .u64(self.number)
            .put(&self.snapshot)
            .u64(self.segment.get())
            .u64(self.position)
            .put(&self.len.to_le_bytes())
            .put(&self.payload_crc.to_le_bytes())
            .zeros(4)
            .close(crc32fast::Hasher::new())
    }

    /// Reads a header. The length is below [`CHUNK_LEN_MAX`] then.
    ///
    /// # Errors
    /// A [`FrameFault`] that names what is wrong.
    pub fn decode(bytes: &[u8; CHUNK_HEADER_LEN]) -> Result<Self, FrameFault> {
        let mut reader = FrameReader::open(bytes, MAGIC, crc32fast::Hasher::new())?;
        let kind = match reader.u8() {
            1 => ChunkKind::Manifest,
            2 => ChunkKind::Segment,
            3 => ChunkKind::End,
            4 => ChunkKind::KeyRing,
            _ => return Err(FrameFault::Field("kind")),
        };
        reader.zeros(2)?;
        let header = Self {
            kind,
            number: reader.u64(),
            snapshot: reader.take(),
            segment: SegmentId::new(reader.u64()),
            position: reader.u64(),
            len: u32::from_le_bytes(reader.take()),
            payload_crc: u32::from_le_bytes(reader.take()),
        };
        reader.zeros(4)?;
        reader.finish();
        if header.len > CHUNK_LEN_MAX {
            return Err(FrameFault::Field("length"));
        }
        let place = (header.segment.get(), header.position);
        if header.kind != ChunkKind::Segment && place != (0, 0) {
            return Err(FrameFault::Field("segment"));
        }
        Ok(header)
    }
}
