//! What belongs to a snapshot: segments and where they end, pinned by their open files.

use std::sync::Arc;

use cairn_types::{ChainHash, Lsn, SegmentId, Timestamp};
use cairn_vfs::VfsFile;

use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::segment_header::SEGMENT_HEADER_LEN;
use crate::format::snapshot::{CHUNK_LEN_MAX, CHUNK_LEN_MIN, Manifest, snapshot_id};
use crate::format::store_file::{STORE_FILE_LEN_MAX, STORE_PATH, StoreFile};
use crate::keyring::read_ring;
use crate::segment::Segment;
use crate::store::read_whole;
use crate::{Error, Log, Result};

/// What a snapshot is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// Records before this LSN, never half a batch; all that are visible without it.
    pub until: Option<Lsn>,
    /// Bytes of a chunk, 512 to 4 MiB: what an import holds in memory.
    pub chunk_len: u32,
    /// Carried along for the log's owner.
    pub revision: u64,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { until: None, chunk_len: 1 << 20, revision: 0 }
    }
}

/// A snapshot of a log, ready to be streamed. It keeps its files open.
///
/// ```
/// use cairn_codec::CodecRegistry;
/// use cairn_segment::{Draft, Log, RecordDraft, RecordKind, SnapshotImport, SnapshotOptions};
/// use cairn_types::StreamId;
/// use cairn_vfs::MemVfs;
/// use std::sync::Arc;
/// let log = Log::options().vfs(Arc::new(MemVfs::new())).open()?;
/// let mut draft = Draft::new();
/// draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), b"stone")?;
/// log.append(&draft)?;
/// let mut stream = Vec::new();
/// log.snapshot(&SnapshotOptions::default())?.write_to(&mut stream, 0, None)?;
///
/// let elsewhere = Arc::new(MemVfs::new());
/// let mut import = SnapshotImport::open(elsewhere.clone())?;
/// import.read_from(&mut stream.as_slice(), None)?;
/// import.finish(&CodecRegistry::standard())?;
/// let copy = Log::options().vfs(elsewhere).open()?;
/// assert_eq!(copy.head(), log.head());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Snapshot {
    pub(super) manifest: Manifest,
    pub(super) id: [u8; 16],
    pub(super) parts: Vec<Part>,
    /// The key ring, empty when nothing is sealed.
    pub(super) ring: Vec<u8>,
}

/// One segment of a snapshot.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: SegmentId,
    pub(super) header: [u8; SEGMENT_HEADER_LEN],
    file: Arc<dyn VfsFile>,
    /// End of the batches that belong to it.
    end: u64,
    /// A segment that the cleaner wrote needs its seal: nothing else says where it ends.
    seal: Option<[u8; SEAL_LEN]>,
}

impl Part {
    pub(super) fn len(&self) -> u64 {
        self.end + self.seal.map_or(0, |seal| seal.len() as u64)
    }

    /// Reads bytes of the part, which must lie within it.
    pub(super) fn read(&self, position: u64, out: &mut [u8]) -> Result<()> {
        let batches = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        let (from_file, from_seal) = out.split_at_mut(batches.min(out.len()));
        self.file.read_exact_at(position, from_file)?;
        if !from_seal.is_empty() {
            let at = usize::try_from(position.saturating_sub(self.end)).unwrap_or(usize::MAX);
            let seal = self.seal.as_ref().and_then(|seal| seal.get(at..at + from_seal.len()));
            from_seal.copy_from_slice(seal.expect("reads stay within the part"));
        }
        Ok(())
    }
}

/// Where a log is cut: after a whole batch.
struct Cut {
    segment: usize,
    position: u64,
    lsn: Lsn,
    chain: ChainHash,
    batch_count: u64,
    commit_time: Timestamp,
}

impl Snapshot {
    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its id: the same log cut at the same place has the same one.
    #[must_use]
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }
}

impl Log {
    /// Takes a snapshot of everything visible, or of what comes before an LSN. Writers and
    /// readers go on; the snapshot stays as it is.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a place that the log does not hold, [`Error::Invalid`] for a
    /// chunk length out of bounds; what cannot be read.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_snapshot_take", skip_all, err)
    )]
    pub fn snapshot(&self, options: &SnapshotOptions) -> Result<Snapshot> {
        if !(CHUNK_LEN_MIN..=CHUNK_LEN_MAX).contains(&options.chunk_len) {
            let reason =
                format!("{} is not in {CHUNK_LEN_MIN}..={CHUNK_LEN_MAX}", options.chunk_len);
            return Err(Error::Invalid { what: "chunk length", reason });
        }
        if self.shared.append.is_some() {
            self.sync()?;
        }
        let (start, end) = (self.start_lsn(), self.visible_end());
        let until = options.until.unwrap_or(end);
        if until < start || until > end {
            return Err(Error::OutOfRange { lsn: until, start, end });
        }
        let before = read_ring(&*self.shared.store.vfs)?.ring;
        let segments = self.shared.segments.load();
        let cut = self.find_cut(&segments, until)?;
        if cut.as_ref().map_or(start.get() > 0, |cut| cut.lsn < start) {
            return Err(Error::OutOfRange { lsn: until, start, end });
        }
        let taken = cut.as_ref().map_or(0, |cut| cut.segment + 1);
        let mut parts = Vec::with_capacity(taken);
        for (place, segment) in segments.iter().take(taken).enumerate() {
            let cut = cut.as_ref().filter(|cut| cut.segment == place);
            parts.push(part(segment, cut)?);
        }
        let source = &*self.shared.store.vfs;
        let store = StoreFile::decode(&read_whole(source, STORE_PATH, STORE_FILE_LEN_MAX)?)?;
        // Keys may be added or dropped meanwhile: what is in the one or the other opens all.
        let after = read_ring(source)?.ring;
        let ring = match (&after, &before) {
            (Some(after), Some(before)) => after.joined(before).encode(),
            (Some(ring), None) | (None, Some(ring)) => ring.encode(),
            (None, None) => Vec::new(),
        };
        let chunks = |part: &Part| part.len().div_ceil(u64::from(options.chunk_len));
        let manifest = Manifest {
            store_id: store.id,
            created_at: store.created_at,
            start_lsn: start,
            end_lsn: cut.as_ref().map_or(start, |cut| cut.lsn),
            chain: cut.as_ref().map_or(ChainHash::GENESIS, |cut| cut.chain),
            first_segment: parts.first().map_or(SegmentId::new(0), |part| part.id),
            segment_count: parts.len() as u64,
            end_position: cut.as_ref().map_or(0, |cut| cut.position),
            total_len: parts.iter().map(Part::len).sum(),
            chunk_count: parts.iter().map(chunks).sum::<u64>() + 2 + u64::from(!ring.is_empty()),
            revision: options.revision,
            chunk_len: options.chunk_len,
            ring_len: u32::try_from(ring.len()).expect("rings are limited"),
        };
        let id =
            snapshot_id(&manifest, &ring, parts.iter().map(|part| (&part.header[..], part.len())));
        Ok(Snapshot { manifest, id, parts, ring })
    }

    /// The end of the last whole batch at or before an LSN; `None` when there is none.
    fn find_cut(&self, segments: &[Arc<Segment>], until: Lsn) -> Result<Option<Cut>> {
        let mut until = until;
        loop {
            let place = segments.iter().rposition(|segment| segment.header.base_lsn < until);
            let Some(place) = place else { return Ok(None) };
            let segment = &segments[place];
            let last = Lsn::new(until.get().min(segment.end_lsn().get()).saturating_sub(1));
            let found = segment.with_index(|index| index.locate(last))?;
            let missing = || Error::OutOfRange {
                lsn: last,
                start: segment.header.base_lsn,
                end: segment.end_lsn(),
            };
            let found = found.ok_or_else(missing)?;
            let batch = segment.read_batch(found.position, found.ordinal)?;
            if batch.header.end_lsn() > until {
                until = batch.header.first_lsn;
                continue;
            }
            let registry = &self.shared.store.registry;
            let verified =
                cairn_codec::verify_batch(&batch.header, &batch.body, registry, &segment.crc);
            let chain = verified
                .map_err(|error| Error::of_batch(segment.path.clone(), found.position, error))?
                .chain;
            return Ok(Some(Cut {
                segment: place,
                position: found.position + batch.header.total_len() as u64,
                lsn: batch.header.end_lsn(),
                chain,
                batch_count: found.ordinal as u64 + 1,
                commit_time: batch.header.commit_time,
            }));
        }
    }
}

fn part(segment: &Segment, cut: Option<&Cut>) -> Result<Part> {
    let mut header = [0; SEGMENT_HEADER_LEN];
    segment.file.read_exact_at(0, &mut header)?;
    let end = cut.map_or_else(|| segment.end(), |cut| cut.position);
    let seal = match cut {
        _ if segment.header.rewrites == 0 => None,
        Some(cut) => {
            let seal = Seal {
                id: segment.header.id,
                end_lsn: cut.lsn,
                batch_count: cut.batch_count,
                position: cut.position,
                chain: cut.chain,
                // Not the clock's: the same place has the same bytes whenever it is exported.
                sealed_at: cut.commit_time,
            };
            Some(seal.encode(&segment.crc))
        }
        None => {
            let mut bytes = [0; SEAL_LEN];
            segment.file.read_exact_at(end, &mut bytes)?;
            Some(bytes)
        }
    };
    Ok(Part { id: segment.header.id, header, file: segment.file.clone(), end, seal })
}
