//! A portable snapshot as a stream of chunks, and the journal of an import. Derived: a copy of
//! the log's segments up to a batch, from which the same log opens elsewhere.
//!
//! A stream is one manifest chunk, the key ring of an encrypted log, the bytes of every segment in order, and one end chunk. A
//! chunk is a header, a payload and the running hash:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNX` |
//! | 4 | 1 | version |
//! | 5 | 1 | kind: 1 manifest, 2 bytes of a segment, 3 end, 4 the key ring |
//! | 6 | 2 | zero |
//! | 8 | 8 | number of the chunk in the stream, from 0 |
//! | 16 | 16 | snapshot id |
//! | 32 | 8 | segment number, for kind 2 |
//! | 40 | 8 | position of the payload in that segment, for kind 2 |
//! | 48 | 4 | length of the payload |
//! | 52 | 4 | CRC32 of the payload |
//! | 56 | 4 | zero |
//! | 60 | 4 | CRC32 of bytes 0..60 |
//! | 64 | length | payload |
//! | after it | 32 | running hash: SHA-256 of `CRNsnp1\0`, the running hash of the chunk before (zeros for the first), header, payload |
//!
//! Every chunk of a segment but its last has the manifest's chunk length. The snapshot id is
//! the first half of SHA-256 over `CRNsid1\0`, the manifest, the key ring, and header and length (u64)
//! of every segment: the same log cut at the same place has the same id, whoever streams it.
//!
//! The manifest, payload of chunk 0:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNM` |
//! | 4 | 1 | version |
//! | 5 | 3 | zero |
//! | 8 | 16 | store id |
//! | 24 | 8 | store created at, microseconds since 1970 |
//! | 32 | 8 | start LSN |
//! | 40 | 8 | end LSN, exclusive |
//! | 48 | 32 | chain value there |
//! | 80 | 8 | number of the first segment |
//! | 88 | 8 | how many segments |
//! | 96 | 8 | end of the batches in the last segment |
//! | 104 | 8 | bytes of all segments |
//! | 112 | 8 | chunks in the stream |
//! | 120 | 8 | revision, as the log's owner counts |
//! | 128 | 4 | chunk length |
//! | 132 | 4 | length of the key ring, 0 without one |
//! | 136 | 4 | zero |
//! | 140 | 4 | CRC32 of bytes 0..140 |
//!
//! The journal `IMPORT` of an unfinished import holds chunk 0 as it came, and at 4,096 and
//! 8,192 two slots, written in turn, that say how far the import has come on the disk:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNP` |
//! | 4 | 1 | version |
//! | 5 | 3 | zero |
//! | 8 | 8 | generation; the higher valid slot wins |
//! | 16 | 8 | next chunk |
//! | 24 | 8 | segment of the last chunk |
//! | 32 | 8 | where its bytes end |
//! | 40 | 8 | bytes of segments so far |
//! | 48 | 32 | running hash of the last chunk |
//! | 80 | 12 | zero |
//! | 92 | 4 | CRC32 of bytes 0..92 |

mod chunk;
mod manifest;
mod progress;

use sha2::{Digest, Sha256};

pub use chunk::{ChunkHeader, ChunkKind};
pub use manifest::Manifest;
pub use progress::Progress;

/// Bytes of a chunk's header.
pub const CHUNK_HEADER_LEN: usize = 64;
/// Bytes of the running hash after a payload.
pub const RUNNING_LEN: usize = 32;
/// Bytes of the manifest.
pub const MANIFEST_LEN: usize = 144;
/// Bytes of a slot of the journal.
pub const PROGRESS_LEN: usize = 96;
/// Least length of a chunk: the first of a segment holds its whole header.
pub const CHUNK_LEN_MIN: u32 = 512;
/// Greatest length of a chunk, and so the memory that an import needs.
pub const CHUNK_LEN_MAX: u32 = 4 << 20;
/// Most segments of a snapshot.
pub const SEGMENT_COUNT_MAX: u64 = 1 << 24;
/// The journal of an unfinished import. A store with it is not opened.
pub const IMPORT_PATH: &str = "IMPORT";

const _: () = assert!(CHUNK_LEN_MIN as usize > super::segment_header::SEGMENT_HEADER_LEN);

/// The running hash after a chunk.
#[must_use]
pub fn running_hash(
    before: &[u8; RUNNING_LEN],
    header: &[u8; CHUNK_HEADER_LEN],
    payload: &[u8],
) -> [u8; RUNNING_LEN] {
    let mut hasher = Sha256::new();
    hasher.update(b"CRNsnp1\0");
    hasher.update(before);
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize().into()
}

/// The id of a snapshot, from its manifest, its key ring and header and length of every segment.
#[must_use]
pub fn snapshot_id<'a>(
    manifest: &Manifest,
    ring: &[u8],
    segments: impl Iterator<Item = (&'a [u8], u64)>,
) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(b"CRNsid1\0");
    hasher.update(manifest.encode());
    hasher.update(ring);
    for (header, len) in segments {
        hasher.update(header);
        hasher.update(len.to_le_bytes());
    }
    let hash: [u8; 32] = hasher.finalize().into();
    *hash.first_chunk::<16>().expect("32 bytes begin with 16")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_types::{ChainHash, Lsn, SegmentId, Timestamp};

    fn manifest() -> Manifest {
        Manifest {
            store_id: [7; 16],
            created_at: Timestamp::from_micros(-1),
            start_lsn: Lsn::new(3),
            end_lsn: Lsn::new(9),
            chain: ChainHash::new([2; 32]),
            first_segment: SegmentId::new(4),
            segment_count: 2,
            end_position: 600,
            total_len: 2000,
            chunk_count: 7,
            revision: 5,
            chunk_len: 512,
            ring_len: 0,
        }
    }

    #[test]
    fn structures_survive_a_round_trip_and_no_flipped_bit() {
        let header = ChunkHeader {
            kind: ChunkKind::Segment,
            number: 3,
            snapshot: [9; 16],
            segment: SegmentId::new(4),
            position: 512,
            len: 512,
            payload_crc: 77,
        };
        let progress =
            Progress { generation: 4, next_chunk: 3, position: 9, ..Progress::default() };
        let bytes = header.encode();
        assert_eq!(ChunkHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(ChunkHeader::decode(&flipped).is_err(), "bit {bit}");
        }
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&flipped).is_err(), "bit {bit}");
        }
        assert_eq!(Progress::decode(&progress.encode()), Ok(progress));
    }

    #[test]
    fn segments_that_grew_when_they_were_cleaned_are_taken() {
        let total_len = 2 * u64::from(u32::MAX);
        let chunk_count = total_len.div_ceil(512) + 2;
        let grown = Manifest { total_len, chunk_count, ..manifest() };
        assert_eq!(Manifest::decode(&grown.encode()), Ok(grown));
    }

    #[test]
    fn impossible_figures_are_refused() {
        let cases = [
            Manifest { chunk_len: 511, ..manifest() },
            Manifest { segment_count: u64::MAX, ..manifest() },
            Manifest { first_segment: SegmentId::new(u64::MAX), ..manifest() },
            Manifest { total_len: u64::MAX, ..manifest() },
            Manifest { chunk_count: 8, ..manifest() },
            Manifest { end_position: 0, ..manifest() },
            Manifest { start_lsn: Lsn::new(10), ..manifest() },
        ];
        for case in cases {
            assert!(Manifest::decode(&case.encode()).is_err(), "{case:?}");
        }
    }
}
