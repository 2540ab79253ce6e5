//! Streaming a snapshot out, from its beginning or from any chunk on.

use std::io::Write;

use cairn_types::SegmentId;

use super::SnapshotError;
use super::plan::{Part, Snapshot};
use crate::Result;
use crate::format::snapshot::{ChunkHeader, ChunkKind, RUNNING_LEN, running_hash};

/// What an export wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Chunks.
    pub chunk_count: u64,
    /// Bytes, headers and hashes included.
    pub len: u64,
}

/// The stream so far.
struct Stream<'a> {
    out: &'a mut dyn Write,
    from_chunk: u64,
    number: u64,
    running: [u8; RUNNING_LEN],
    snapshot: [u8; 16],
    exported: Exported,
}

impl Stream<'_> {
    fn put(
        &mut self,
        kind: ChunkKind,
        (segment, position): (SegmentId, u64),
        payload: &[u8],
    ) -> Result<(), SnapshotError> {
        let header = ChunkHeader {
            kind,
            number: self.number,
            snapshot: self.snapshot,
            segment,
            position,
            len: u32::try_from(payload.len()).expect("chunks are limited to less"),
            payload_crc: crc32fast::hash(payload),
        };
        let header = header.encode();
        self.running = running_hash(&self.running, &header, payload);
        if self.number >= self.from_chunk {
            for part in [&header[..], payload, &self.running] {
                self.out.write_all(part)?;
                self.exported.len += part.len() as u64;
            }
            self.exported.chunk_count += 1;
        }
        self.number += 1;
        Ok(())
    }
}

impl Snapshot {
    /// Writes the chunks from `from_chunk` on, 0 for the whole stream. Chunks before it are
    /// still read, because the running hash covers them. `progress` is called with bytes done
    /// and bytes in all.
    ///
    /// # Errors
    /// [`SnapshotError::NoSuchChunk`], [`SnapshotError::Stream`] when `out` fails; what cannot
    /// be read.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_snapshot_export", skip_all, err)
    )]
    pub fn write_to(
        &self,
        out: &mut dyn Write,
        from_chunk: u64,
        progress: Option<&dyn Fn(u64, u64)>,
    ) -> Result<Exported> {
        let count = self.manifest.chunk_count;
        if from_chunk >= count {
            return Err(SnapshotError::NoSuchChunk { chunk: from_chunk, count }.into());
        }
        let mut stream = Stream {
            out,
            from_chunk,
            number: 0,
            running: [0; RUNNING_LEN],
            snapshot: self.id,
            exported: Exported::default(),
        };
        let nowhere = (SegmentId::new(0), 0);
        stream.put(ChunkKind::Manifest, nowhere, &self.manifest.encode())?;
        if !self.ring.is_empty() {
            stream.put(ChunkKind::KeyRing, nowhere, &self.ring)?;
        }
        let chunk_len = self.manifest.chunk_len as usize;
        let mut buffer = vec![0; chunk_len];
        let mut done = 0;
        for part in &self.parts {
            let mut position = 0;
            while position < part.len() {
                let payload = read_chunk(part, position, &mut buffer)?;
                stream.put(ChunkKind::Segment, (part.id, position), payload)?;
                position += payload.len() as u64;
                done += payload.len() as u64;
                if let Some(progress) = progress {
                    progress(done, self.manifest.total_len);
                }
            }
        }
        stream.put(ChunkKind::End, nowhere, &[])?;
        assert_eq!(stream.number, count, "the manifest counted these chunks");
        stream.out.flush().map_err(SnapshotError::from)?;
        Ok(stream.exported)
    }
}

fn read_chunk<'b>(part: &Part, position: u64, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let left = usize::try_from(part.len() - position).unwrap_or(usize::MAX);
    let len = left.min(buffer.len());
    let bytes = &mut buffer[..len];
    part.read(position, bytes)?;
    Ok(bytes)
}
