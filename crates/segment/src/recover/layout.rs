//! Which files there are, and whether they fit together by name, number and header.

use std::sync::Arc;

use cairn_codec::CodecRegistry;
use cairn_types::{Lsn, SegmentId};
use cairn_vfs::{OpenMode, Vfs, VfsFile};

use crate::format::frame::FrameFault;
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::format::snapshot::IMPORT_PATH;
use crate::format::store_file::{STORE_FILE_LEN_MAX, STORE_PATH, StoreFile};
use crate::format::superblock::Superblock;
use crate::format::{LOG_DIR, VERSION, parse_segment_name, segment_path};
use crate::keyring::{RingRead, read_ring, unlock};
use crate::store::{SuperblockFile, read_whole};
use crate::{Corruption, Error, Result, SnapshotError};

/// A segment file whose header was read.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFile {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) len: u64,
}

/// Everything found in a store's directory.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) store: StoreFile,
    pub(crate) superblock: Superblock,
    pub(crate) damaged_slots: Vec<Corruption>,
    /// Retained segments in order.
    pub(crate) segments: Vec<SegmentFile>,
    /// Both copies of the key ring.
    pub(crate) ring: RingRead,
    /// Paths of temporary files and of segments before the retained start.
    pub(crate) leftovers: Vec<String>,
}

/// Reads the layout; `None` when there is no store (or one whose creation never finished).
pub(crate) fn read_layout(vfs: &dyn Vfs, mode: OpenMode) -> Result<Option<Layout>> {
    let (numbers, mut leftovers) = list_log(vfs)?;
    if !vfs.exists(STORE_PATH)? {
        if let Some(id) = numbers.first() {
            let cause = format!("the file is missing, but {} exists", segment_path(*id));
            return Err(Error::corrupt(STORE_PATH, 0, cause));
        }
        return Ok(None);
    }
    let store = StoreFile::decode(&read_whole(vfs, STORE_PATH, STORE_FILE_LEN_MAX)?)?;
    let slots = SuperblockFile::read_slots(vfs)?;
    let Some(superblock) = slots.newest else {
        let first = slots.damaged.into_iter().next().expect("no slot, so both are damaged");
        return Err(Error::Corrupt(first));
    };
    if superblock.store_id != store.id {
        return Err(Error::ForeignSegment { file: "log/superblock".into() });
    }
    let mut segments = Vec::with_capacity(numbers.len());
    for id in numbers {
        if id < superblock.first_segment {
            leftovers.push(segment_path(id));
            continue;
        }
        segments.push(read_segment(vfs, id, &store.id, mode)?);
    }
    check_order(&superblock, &segments)?;
    let (ring, damaged_slots) = (read_ring(vfs)?, slots.damaged);
    Ok(Some(Layout { store, superblock, damaged_slots, segments, ring, leftovers }))
}

impl Layout {
    /// The codecs with the data keys of this store.
    pub(crate) fn unlock(&self, registry: &CodecRegistry) -> Result<CodecRegistry> {
        let sealed = self.segments.iter().map(|segment| segment.header.key).max();
        unlock(registry, &self.store.id, &self.ring, sealed.unwrap_or_default())
    }
}

/// A snapshot that is being imported is no store before all of it was verified.
pub(crate) fn refuse_unfinished_import(vfs: &dyn Vfs) -> Result<()> {
    if vfs.exists(IMPORT_PATH)? { Err(SnapshotError::Unfinished.into()) } else { Ok(()) }
}

/// Segment numbers in order, and temporary files.
fn list_log(vfs: &dyn Vfs) -> Result<(Vec<SegmentId>, Vec<String>)> {
    let (mut numbers, mut leftovers) = (Vec::new(), Vec::new());
    let entries = match vfs.list(LOG_DIR) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return Ok((numbers, leftovers)),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        if let Some(id) = parse_segment_name(&entry.name) {
            numbers.push(id);
        } else if entry.name.ends_with(".tmp") {
            leftovers.push(format!("{LOG_DIR}/{}", entry.name));
        }
    }
    numbers.sort_unstable();
    Ok((numbers, leftovers))
}

/// Opens a segment file and reads its header.
pub(crate) fn read_segment(
    vfs: &dyn Vfs,
    id: SegmentId,
    store_id: &[u8; 16],
    mode: OpenMode,
) -> Result<SegmentFile> {
    let path = segment_path(id);
    let file = vfs.open(&path, mode)?;
    let len = file.len()?;
    let mut bytes = [0; SEGMENT_HEADER_LEN];
    if len < SEGMENT_HEADER_LEN as u64 {
        return Err(Error::corrupt(path, len, "the file ends within its header"));
    }
    file.read_exact_at(0, &mut bytes)?;
    let header = SegmentHeader::decode(&bytes).map_err(|fault| match fault {
        FrameFault::Version(found) => {
            Error::UnsupportedVersion { file: path.clone(), found, supported: VERSION }
        }
        fault => Error::corrupt(path.clone(), 0, format!("segment header: {fault}")),
    })?;
    if header.store_id != *store_id {
        return Err(Error::ForeignSegment { file: path });
    }
    if header.id != id {
        return Err(Error::DuplicateSegment { file: path, expected: id, found: header.id });
    }
    Ok(SegmentFile { header, file, len })
}

/// Numbers without a gap, LSNs that grow, ends that the files reach.
fn check_order(superblock: &Superblock, segments: &[SegmentFile]) -> Result<()> {
    let mut expected = superblock.first_segment;
    for segment in segments {
        if segment.header.id != expected {
            return Err(Error::MissingSegment { segment: expected });
        }
        expected = SegmentId::new(expected.get() + 1);
    }
    let holds_data = superblock.position != 0;
    if holds_data && expected <= superblock.segment {
        return Err(Error::MissingSegment { segment: expected });
    }
    if let Some(first) = segments.first() {
        let (base, start) = (first.header.base_lsn, superblock.start_lsn);
        if base > start || (start == Lsn::new(0) && base != start) {
            return Err(Error::ChainMismatch {
                segment: first.header.id,
                cause: format!("it begins at LSN {base}, the retained log at {start}"),
            });
        }
    }
    for pair in segments.windows(2) {
        let (before, after) = (&pair[0], &pair[1].header);
        if after.base_lsn < before.header.base_lsn {
            return Err(Error::ChainMismatch {
                segment: after.id,
                cause: format!("base LSN {} runs backwards", after.base_lsn),
            });
        }
        let rewritten = before.header.rewrites > 0;
        if (!rewritten && before.len < after.prev_end) || after.prev_end < SEGMENT_HEADER_LEN as u64
        {
            return Err(Error::corrupt(
                segment_path(before.header.id),
                before.len,
                format!("the file ends here, its batches reach to byte {}", after.prev_end),
            ));
        }
    }
    Ok(())
}
