//! A slot of an import's journal; its table is in the module above. Truth until the import is
//! finished.

use cairn_types::SegmentId;

use super::{PROGRESS_LEN, RUNNING_LEN};
use crate::format::VERSION;
use crate::format::frame::{FrameFault, FrameReader, FrameWriter};

const MAGIC: [u8; 4] = *b"CRNP";

/// How far an import has come on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Counts every write.
    pub generation: u64,
    /// The chunk that comes next.
    pub next_chunk: u64,
    /// Segment of the last chunk.
    pub segment: SegmentId,
    /// Where its bytes end.
    pub position: u64,
    /// Bytes of segments so far.
    pub len: u64,
    /// Running hash of the last chunk.
    pub running: [u8; RUNNING_LEN],
}

impl Progress {
    /// Where the slot of this generation lies.
    #[must_use]
    pub const fn slot_position(&self) -> u64 {
        4096 * (1 + self.generation % 2)
    }

    /// The bytes of a slot.
    #[must_use]
    pub fn encode(&self) -> [u8; PROGRESS_LEN] {
        FrameWriter::<PROGRESS_LEN>::new()
            .put(&MAGIC)
            .put(&[VERSION, 0, 0, 0])
            .u64(self.generation)
            .u64(self.next_chunk)
            .u64(self.segment.get())
            .u64(self.position)
            .u64(self.len)
            .put(&self.running)
            .zeros(12)
            .close(crc32fast::Hasher::new())
    }

    /// Reads a slot.
    ///
    /// # Errors
    /// A [`FrameFault`] that names what is wrong.
    pub fn decode(bytes: &[u8; PROGRESS_LEN]) -> Result<Self, FrameFault> {
        let mut reader = FrameReader::open(bytes, MAGIC, crc32fast::Hasher::new())?;
        reader.zeros(3)?;
        let progress = Self {
            generation: reader.u64(),
            next_chunk: reader.u64(),
            segment: SegmentId::new(reader.u64()),
            position: reader.u64(),
            len: reader.u64(),
            running: reader.take(),
        };
        reader.zeros(12)?;
        reader.finish();
        Ok(progress)
    }
}
