//! The directory that a snapshot is imported into, before the first chunk and after the last.

use cairn_codec::seal::RING_LEN_MAX;
use cairn_types::SegmentId;
use cairn_vfs::{OpenMode, Vfs};

use super::SnapshotError;
use crate::format::segment_header::SEGMENT_HEADER_LEN;
use crate::format::snapshot::{Manifest, snapshot_id};
use crate::format::store_file::{STORE_PATH, StoreFile};
use crate::format::superblock::{SUPERBLOCK_PATH, Superblock};
use crate::format::{LOG_DIR, parse_segment_name, segment_path};
use crate::keyring::RING_PATHS;
use crate::store::{SuperblockFile, read_whole, write_whole};
use crate::{Error, Result};

/// Refuses a directory with anything of a store in it.
pub(super) fn check_empty(vfs: &dyn Vfs) -> Result<()> {
    for path in [STORE_PATH, SUPERBLOCK_PATH].into_iter().chain(RING_PATHS) {
        if vfs.exists(path)? {
            return Err(SnapshotError::NotEmpty { path: path.into() }.into());
        }
    }
    let entries = match vfs.list(LOG_DIR) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    match entries.iter().find(|entry| parse_segment_name(&entry.name).is_some()) {
        Some(entry) => {
            Err(SnapshotError::NotEmpty { path: format!("{LOG_DIR}/{}", entry.name) }.into())
        }
        None => Ok(()),
    }
}

/// Superblock and store file, as the manifest has them.
pub(super) fn write_store(vfs: &dyn Vfs, manifest: &Manifest) -> Result<()> {
    let empty = Superblock::empty(manifest.store_id, manifest.created_at);
    let superblock = match manifest.last_segment() {
        None => empty,
        Some(last) => Superblock {
            clean: false,
            segment: last,
            position: manifest.end_position,
            durable_end: manifest.end_lsn,
            chain: manifest.chain,
            start_lsn: manifest.start_lsn,
            first_segment: manifest.first_segment,
            ..empty
        },
    };
    SuperblockFile::create(vfs, &superblock)?;
    vfs.sync_dir(LOG_DIR)?;
    let store = StoreFile { id: manifest.store_id, created_at: manifest.created_at };
    write_whole(vfs, STORE_PATH, store.encode().as_bytes())?;
    Ok(vfs.sync_dir("")?)
}

/// The snapshot id that the written files have.
pub(super) fn id_of_files(vfs: &dyn Vfs, manifest: &Manifest) -> Result<[u8; 16]> {
    let mut segments = Vec::new();
    for place in 0..manifest.segment_count {
        let id = SegmentId::new(manifest.first_segment.get() + place);
        let file = vfs.open(&segment_path(id), OpenMode::Read).map_err(|error| {
            if error.is_not_found() { Error::MissingSegment { segment: id } } else { error.into() }
        })?;
        let mut header = [0; SEGMENT_HEADER_LEN];
        file.read_exact_at(0, &mut header)?;
        segments.push((header, file.len()?));
    }
    let ring = match manifest.ring_len {
        0 => Vec::new(),
        _ => read_whole(vfs, RING_PATHS[0], RING_LEN_MAX as u64)?,
    };
    Ok(snapshot_id(manifest, &ring, segments.iter().map(|(header, len)| (&header[..], *len))))
}
