//! Taking a snapshot in: chunk by chunk, each checked before it is written, and the whole
//! verified before it can be opened.

use std::io::Read;
use std::sync::Arc;

use cairn_codec::CodecRegistry;
use cairn_codec::seal::{KeyRing, RING_LEN_MAX};
use cairn_types::{Lsn, SegmentId};
use cairn_vfs::{OpenMode, Vfs, VfsFile, VfsLock};

use super::SnapshotError;
use super::error::shown;
use super::journal::Journal;
use super::place::{check_empty, id_of_files, write_store};
use crate::format::frame::FrameFault;
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::format::snapshot::{
    CHUNK_HEADER_LEN, ChunkHeader, ChunkKind, MANIFEST_LEN, Manifest, Progress, RUNNING_LEN,
    running_hash,
};
use crate::format::{LOG_DIR, VERSION, segment_path};
use crate::keyring::write_ring;
use crate::log::LOCK_PATH;
use crate::{Corruption, Result, VerifyOptions, verify_store};

/// Bytes after which the journal is written: what a power cut makes an import do again.
const SYNC_LEN: u64 = 8 << 20;

/// An import that was begun, now or earlier. Nobody else can use the directory meanwhile.
#[derive(Debug)]
pub struct SnapshotImport {
    vfs: Arc<dyn Vfs>,
    journal: Option<Journal>,
    progress: Progress,
    /// The segment that is being written.
    file: Option<(SegmentId, Arc<dyn VfsFile>)>,
    _lock: Box<dyn VfsLock>,
}

/// What an import made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// LSN after the last record.
    pub end_lsn: Lsn,
    /// Records that were verified.
    pub record_count: u64,
    /// Bytes of segments.
    pub len: u64,
    /// The revision that the snapshot was taken at, as its owner counts.
    pub revision: u64,
}

/// A chunk that was read and checked against itself.
struct Chunk {
    header: ChunkHeader,
    running: [u8; RUNNING_LEN],
    payload: Vec<u8>,
}

impl SnapshotImport {
    /// Begins an import into an empty directory, or goes on with one that was interrupted.
    ///
    /// # Errors
    /// [`SnapshotError::NotEmpty`]; the vfs's [`Locked`](cairn_vfs::FaultKind::Locked).
    pub fn open(vfs: Arc<dyn Vfs>) -> Result<Self> {
        let lock = vfs.lock(LOCK_PATH)?;
        let journal = if Journal::exists(&*vfs)? {
            Some(Journal::open(&*vfs)?)
        } else {
            check_empty(&*vfs)?;
            None
        };
        let progress = journal.as_ref().map_or_else(Progress::default, |journal| journal.saved);
        Ok(Self { vfs, journal, progress, file: None, _lock: lock })
    }

    /// The chunk that comes next: an export may start there, or at 0.
    #[must_use]
    pub const fn next_chunk(&self) -> u64 {
        self.progress.next_chunk
    }

    /// What is imported, once its first chunk has come.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.journal.as_ref().map(|journal| &journal.manifest)
    }

    /// Whether all chunks have come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.manifest().is_some_and(|manifest| manifest.chunk_count == self.next_chunk())
    }

    /// Reads chunks up to the end of the snapshot and not a byte further. The stream begins at
    /// chunk 0, whose bytes and those of chunks that are here already are checked again, or at
    /// [`next_chunk`](Self::next_chunk). After an error everything up to the last whole chunk
    /// is kept. `progress` is called with bytes done and bytes in all.
    ///
    /// # Errors
    /// [`SnapshotError`] names the chunk and what is wrong with it; what cannot be written.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_snapshot_import", skip_all, err)
    )]
    pub fn read_from(
        &mut self,
        input: &mut dyn Read,
        progress: Option<&dyn Fn(u64, u64)>,
    ) -> Result<()> {
        let outcome = self.read_chunks(input, progress);
        let saved = self.save();
        outcome.and(saved)
    }

    fn read_chunks(
        &mut self,
        input: &mut dyn Read,
        progress: Option<&dyn Fn(u64, u64)>,
    ) -> Result<()> {
        // Number and running hash of the chunk that the stream has next, once it is known.
        let mut at: Option<(u64, [u8; RUNNING_LEN])> = None;
        loop {
            if at.is_some_and(|(number, _)| number >= self.next_chunk()) && self.is_complete() {
                return Ok(());
            }
            let chunk = self.read_chunk(input, &mut at)?;
            if chunk.header.number < self.next_chunk() {
                self.check_repeated(&chunk)?;
            } else {
                self.take(&chunk)?;
            }
            if let (Some(progress), Some(manifest)) = (progress, self.manifest()) {
                progress(self.progress.len, manifest.total_len);
            }
        }
    }

    /// Reads a chunk and checks everything about it that its place in the stream decides.
    fn read_chunk(
        &self,
        input: &mut dyn Read,
        at: &mut Option<(u64, [u8; RUNNING_LEN])>,
    ) -> Result<Chunk, SnapshotError> {
        let expected = at.map_or(self.next_chunk(), |(number, _)| number);
        let mut bytes = [0; CHUNK_HEADER_LEN];
        fill(input, &mut bytes, expected)?;
        let header = ChunkHeader::decode(&bytes).map_err(|fault| match fault {
            FrameFault::Magic if at.is_none() => SnapshotError::NotASnapshot,
            FrameFault::Version(found) => {
                SnapshotError::UnsupportedVersion { found, supported: VERSION }
            }
            fault => SnapshotError::damaged(expected, format!("header: {fault}")),
        })?;
        if let Some(journal) = &self.journal
            && journal.snapshot != header.snapshot
        {
            let (expected, found) = (shown(&journal.snapshot), shown(&header.snapshot));
            return Err(SnapshotError::Foreign { chunk: header.number, expected, found });
        }
        let found = header.number;
        let before = match *at {
            Some((number, running)) if number == found => running,
            None if found == 0 => [0; RUNNING_LEN],
            None if found == self.next_chunk() => self.progress.running,
            _ => return Err(SnapshotError::OutOfOrder { expected, found }),
        };
        let limit = self.manifest().map_or(MANIFEST_LEN, |manifest| manifest.chunk_len as usize);
        if header.len as usize > limit.max(MANIFEST_LEN).max(RING_LEN_MAX) {
            return Err(SnapshotError::damaged(found, "it is longer than the manifest allows"));
        }
        let mut payload = vec![0; header.len as usize];
        fill(input, &mut payload, found)?;
        if crc32fast::hash(&payload) != header.payload_crc {
            return Err(SnapshotError::damaged(found, "CRC32 of its payload"));
        }
        let mut running = [0; RUNNING_LEN];
        fill(input, &mut running, found)?;
        if running_hash(&before, &bytes, &payload) != running {
            let cause = "the running hash does not continue that of the chunk before";
            return Err(SnapshotError::damaged(found, cause));
        }
        *at = Some((found + 1, running));
        Ok(Chunk { header, running, payload })
    }

    /// A chunk that is here already: the last of them must lead to where the import stands.
    fn check_repeated(&self, chunk: &Chunk) -> Result<(), SnapshotError> {
        let last = chunk.header.number + 1 == self.next_chunk();
        if last && chunk.running != self.progress.running {
            let cause = "it is not the chunk that was imported under this number";
            return Err(SnapshotError::damaged(chunk.header.number, cause));
        }
        Ok(())
    }

    /// Takes in the chunk that comes next.
    fn take(&mut self, chunk: &Chunk) -> Result<()> {
        let number = chunk.header.number;
        match (chunk.header.kind, self.journal.is_some()) {
            (ChunkKind::Manifest, false) => {
                let bytes = <&[u8; MANIFEST_LEN]>::try_from(chunk.payload.as_slice());
                let bytes =
                    bytes.map_err(|_| SnapshotError::damaged(0, "length of the manifest"))?;
                let manifest = Manifest::decode(bytes)
                    .map_err(|fault| SnapshotError::damaged(0, format!("manifest: {fault}")))?;
                self.vfs.create_dir_all(LOG_DIR)?;
                let journal = Journal::create(&*self.vfs, &chunk.header, &manifest, chunk.running)?;
                self.progress = journal.saved;
                self.journal = Some(journal);
                return Ok(());
            }
            (ChunkKind::KeyRing, true) => self.write_ring(chunk)?,
            (ChunkKind::Segment, true) => self.write(chunk)?,
            (ChunkKind::End, true) => {
                let manifest = &self.journal.as_ref().expect("there is a journal").manifest;
                let last = manifest.last_segment().is_none_or(|id| id == self.progress.segment);
                let whole = number + 1 == manifest.chunk_count
                    && self.progress.len == manifest.total_len
                    && last
                    && chunk.payload.is_empty();
                if !whole {
                    let cause = "the end comes before everything the manifest promises";
                    return Err(SnapshotError::damaged(number, cause).into());
                }
            }
            _ => return Err(SnapshotError::damaged(number, "a chunk of this kind here").into()),
        }
        self.progress.next_chunk = number + 1;
        self.progress.running = chunk.running;
        Ok(())
    }

    /// Writes the key ring, which comes before all segments.
    fn write_ring(&self, chunk: &Chunk) -> Result<()> {
        let number = chunk.header.number;
        let manifest = &self.journal.as_ref().expect("it comes after the manifest").manifest;
        let refused = |cause| Err(SnapshotError::damaged(number, cause).into());
        if number != 1 || chunk.payload.len() != manifest.ring_len as usize {
            return refused("a key ring that the manifest does not promise here");
        }
        match KeyRing::decode(&chunk.payload) {
            Ok(ring) if *ring.store_id() == manifest.store_id => write_ring(&*self.vfs, &ring),
            Ok(_) => refused("the key ring of another store"),
            Err(_) => refused("it is no key ring"),
        }
    }

    /// Writes bytes of a segment, which must follow those before.
    fn write(&mut self, chunk: &Chunk) -> Result<()> {
        let ChunkHeader { number, segment, position, .. } = chunk.header;
        let journal = self.journal.as_ref().expect("a chunk of a segment comes after the manifest");
        let manifest = &journal.manifest;
        let refused = |cause| Err(SnapshotError::damaged(number, cause).into());
        let before = self.progress;
        let ring_is_there = manifest.ring_len == 0 || number > 1;
        let follows = ring_is_there
            && if before.len == 0 {
                segment == manifest.first_segment && position == 0
            } else if segment == before.segment {
                // Only the last chunk of a segment may be short.
                position == before.position && position % u64::from(manifest.chunk_len) == 0
            } else {
                segment.get() == before.segment.get() + 1 && position == 0
            };
        let len = before.len + chunk.payload.len() as u64;
        let room = len <= manifest.total_len
            && manifest.last_segment().is_some_and(|last| segment <= last)
            && number + 1 < manifest.chunk_count;
        if !follows || !room || chunk.payload.is_empty() {
            return refused("its bytes do not follow those of the chunk before");
        }
        if position == 0 {
            let head = chunk.payload.first_chunk::<SEGMENT_HEADER_LEN>();
            let header = head.and_then(|head| SegmentHeader::decode(head).ok());
            let fits = |header: &SegmentHeader| {
                header.store_id == manifest.store_id && header.id == segment
            };
            if !header.as_ref().is_some_and(fits) {
                return refused("it does not begin with the header of its segment");
            }
            self.save()?;
        }
        let file = self.segment_file(segment)?;
        file.write_all_at(position, &chunk.payload)?;
        self.progress.segment = segment;
        self.progress.position = position + chunk.payload.len() as u64;
        self.progress.len = len;
        let saved = self.journal.as_ref().map_or(0, |journal| journal.saved.len);
        if len - saved >= SYNC_LEN {
            // Only what was taken in whole counts: this chunk does once it is written.
            self.progress.next_chunk = number + 1;
            self.progress.running = chunk.running;
            self.save()?;
        }
        Ok(())
    }

    fn segment_file(&mut self, segment: SegmentId) -> Result<Arc<dyn VfsFile>> {
        if let Some((open, file)) = &self.file
            && *open == segment
        {
            return Ok(file.clone());
        }
        let file = self.vfs.open(&segment_path(segment), OpenMode::CreateOrOpen)?;
        self.file = Some((segment, file.clone()));
        Ok(file)
    }

    /// Syncs what was written and notes in the journal how far that is.
    fn save(&mut self) -> Result<()> {
        let progress = self.progress;
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if journal.saved.next_chunk == progress.next_chunk {
            return Ok(());
        }
        if let Some((_, file)) = &self.file {
            file.sync_all()?;
        }
        self.vfs.sync_dir(LOG_DIR)?;
        journal.save(progress)
    }

    /// Verifies everything from the files and makes the directory a store.
    ///
    /// # Errors
    /// [`SnapshotError::Incomplete`] when chunks are missing, [`SnapshotError::Rejected`] when
    /// what came is no whole log; the directory cannot be opened then.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_snapshot_verify", skip_all, err)
    )]
    pub fn finish(mut self, registry: &CodecRegistry) -> Result<Imported> {
        let count = self.manifest().map_or(0, |manifest| manifest.chunk_count);
        if !self.is_complete() {
            return Err(SnapshotError::Incomplete { next: self.next_chunk(), count }.into());
        }
        self.save()?;
        let journal = self.journal.take().expect("it is complete");
        let manifest = journal.manifest.clone();
        let vfs = &*self.vfs;
        let id = id_of_files(vfs, &manifest)?;
        if id != journal.snapshot {
            let cause = "the snapshot's id is not that of its segments";
            return Err(SnapshotError::damaged(0, cause).into());
        }
        write_store(vfs, &manifest)?;
        let report = verify_store(vfs, registry, &VerifyOptions::default())?;
        if let Some(damage) = report.damage.first() {
            return Err(SnapshotError::Rejected(damage.clone()).into());
        }
        let reached = (report.end_lsn, report.chain);
        let promised = (Some(manifest.end_lsn), Some(manifest.chain));
        if manifest.segment_count > 0 && reached != promised {
            let cause = "the log does not end where the manifest says";
            let damage = Corruption::new(LOG_DIR, 0, cause).at_lsn(manifest.end_lsn);
            return Err(SnapshotError::Rejected(damage).into());
        }
        journal.remove(vfs)?;
        Ok(Imported {
            end_lsn: manifest.end_lsn,
            record_count: report.record_count,
            len: manifest.total_len,
            revision: manifest.revision,
        })
    }
}

/// Reads exactly; a stream that ends before is named by its chunk.
fn fill(input: &mut dyn Read, bytes: &mut [u8], chunk: u64) -> Result<(), SnapshotError> {
    input.read_exact(bytes).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            SnapshotError::Truncated { chunk }
        } else {
            error.into()
        }
    })
}
