//! The `.idx` file of a sealed segment. Derived.
//!
//! | part | content |
//! |---|---|
//! | header, 80 bytes | magic `CRNI`, version 2, flags u8 (1 = records about keys), 2 zero, store id 16, segment u64, segment salt 16, base LSN u64, end LSN u64, end position u64, last commit time i64 |
//! | batches | count u32, then first LSN (relative) u32 and position u32 each |
//! | checkpoints | count u32, then LSN (relative) u32 each |
//! | streams | count u32, then for each: stream u32, runs u32, then 28 bytes a run: sequence u64, LSN u64, length u32, latest time i64 |
//! | CRC32 | over everything before |

use cairn_types::{Lsn, StreamId, Timestamp};

use super::{Run, SegmentIndex, StreamRuns};
use crate::format::segment_header::SegmentHeader;

const MAGIC: [u8; 4] = *b"CRNI";
/// Of this file alone: an index of another version is rebuilt.
const VERSION: u8 = 2;

impl SegmentIndex {
    /// The bytes of the file, bound to this very segment file by its salt and end.
    pub(crate) fn encode(&self, header: &SegmentHeader, end: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.batches.len() * 8);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, u8::from(self.has_keys), 0, 0]);
        out.extend_from_slice(&header.store_id);
        out.extend_from_slice(&header.id.get().to_le_bytes());
        out.extend_from_slice(&header.salt);
        out.extend_from_slice(&self.base_lsn.get().to_le_bytes());
        out.extend_from_slice(&self.next_lsn.get().to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&self.last_commit_time.as_micros().to_le_bytes());
        put_count(&mut out, self.batches.len());
        for (first, position) in &self.batches {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&position.to_le_bytes());
        }
        put_count(&mut out, self.checkpoints.len());
        for lsn in &self.checkpoints {
            out.extend_from_slice(&lsn.to_le_bytes());
        }
        put_count(&mut out, self.streams.all().count());
        for (stream, runs) in self.streams.all() {
            out.extend_from_slice(&stream.get().to_le_bytes());
            put_count(&mut out, runs.len());
            for run in runs {
                out.extend_from_slice(&run.sequence.to_le_bytes());
                out.extend_from_slice(&run.lsn.get().to_le_bytes());
                out.extend_from_slice(&run.len.to_le_bytes());
                out.extend_from_slice(&run.max_time.as_micros().to_le_bytes());
            }
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a file; `None` when it is damaged or belongs to another segment, so that the
    /// caller rebuilds it.
    pub(crate) fn decode(
        bytes: &[u8],
        header: &SegmentHeader,
        end: u64,
        end_lsn: Lsn,
    ) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut rest = Reader(content);
        if rest.take::<4>()? != MAGIC {
            return None;
        }
        let [VERSION, flags @ (0 | 1), 0, 0] = rest.take::<4>()? else { return None };
        let same = rest.take::<16>()? == header.store_id
            && rest.u64()? == header.id.get()
            && rest.take::<16>()? == header.salt
            && rest.u64()? == header.base_lsn.get()
            && rest.u64()? == end_lsn.get()
            && rest.u64()? == end;
        if !same {
            return None;
        }
        let last_commit_time = Timestamp::from_micros(rest.u64()?.cast_signed());
        let batches = (0..rest.count(8)?).map(|_| Some((rest.u32()?, rest.u32()?)));
        let batches = batches.collect::<Option<Vec<_>>>()?;
        let checkpoints = (0..rest.count(4)?).map(|_| rest.u32()).collect::<Option<Vec<_>>>()?;
        let mut streams = StreamRuns::default();
        for _ in 0..rest.count(8)? {
            let stream = StreamId::new(rest.u32()?);
            let runs = (0..rest.count(28)?).map(|_| {
                Some(Run {
                    sequence: rest.u64()?,
                    lsn: Lsn::new(rest.u64()?),
                    len: rest.u32()?,
                    max_time: Timestamp::from_micros(rest.u64()?.cast_signed()),
                })
            });
            streams.insert(stream, runs.collect::<Option<Vec<_>>>()?);
        }
        rest.0.is_empty().then_some(Self {
            base_lsn: header.base_lsn,
            next_lsn: end_lsn,
            last_commit_time,
            batches,
            streams,
            checkpoints,
            has_keys: flags == 1,
        })
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("a segment holds fewer entries");
    out.extend_from_slice(&count.to_le_bytes());
}

/// Takes fields off the front; counts are checked against what is left before anything is
/// allocated.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn count(&mut self, entry_len: usize) -> Option<u32> {
        let count = self.u32()?;
        (count as usize <= self.0.len() / entry_len).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_types::{ChainHash, SegmentId};

    #[test]
    fn index_survives_a_round_trip_and_no_flipped_bit() {
        let header = SegmentHeader {
            store_id: [1; 16],
            id: SegmentId::new(2),
            base_lsn: Lsn::new(10),
            created_at: Timestamp::from_micros(0),
            salt: [3; 16],
            prev_chain: ChainHash::GENESIS,
            prev_end: 0,
            key: cairn_codec::seal::KeyNumber::NONE,
            rewrites: 0,
            cleaned_to: 0,
        };
        let mut index = SegmentIndex::growing(Lsn::new(10));
        index.add_place(Lsn::new(10), 256, 3, Timestamp::from_micros(5));
        index.add_place(Lsn::new(13), 700, 1, Timestamp::from_micros(6));
        index.streams.push(StreamId::new(1), 0, Lsn::new(10), Timestamp::from_micros(5));
        index.streams.push(StreamId::new(2), 7, Lsn::new(12), Timestamp::from_micros(5));
        index.checkpoints.push(3);
        let bytes = index.encode(&header, 900);
        let end = Lsn::new(14);
        assert_eq!(SegmentIndex::decode(&bytes, &header, 900, end).as_ref(), Some(&index));
        assert_eq!(SegmentIndex::decode(&bytes, &header, 901, end), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentIndex::decode(&flipped, &header, 900, end), None, "bit {bit}");
        }
    }
}
