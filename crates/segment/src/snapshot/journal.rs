//! The journal of an import: what is imported, and how far that has come on the disk. While it
//! is there the directory is not opened as a store. Truth until the import is finished.

use std::sync::Arc;

use cairn_vfs::{OpenMode, Vfs, VfsFile};

use super::SnapshotError;
use crate::Result;
use crate::format::snapshot::{
    CHUNK_HEADER_LEN, ChunkHeader, IMPORT_PATH, MANIFEST_LEN, Manifest, PROGRESS_LEN, Progress,
    RUNNING_LEN, running_hash,
};
use crate::store::write_whole;

/// Chunk 0 as it came.
const HEAD_LEN: usize = CHUNK_HEADER_LEN + MANIFEST_LEN + RUNNING_LEN;

#[derive(Debug)]
pub(super) struct Journal {
    file: Arc<dyn VfsFile>,
    pub(super) manifest: Manifest,
    pub(super) snapshot: [u8; 16],
    /// As the slots on the disk have it.
    pub(super) saved: Progress,
}

impl Journal {
    /// Whether an import was begun here.
    pub(super) fn exists(vfs: &dyn Vfs) -> Result<bool> {
        Ok(vfs.exists(IMPORT_PATH)?)
    }

    /// Begins an import: from now on the directory is not opened as a store.
    pub(super) fn create(
        vfs: &dyn Vfs,
        header: &ChunkHeader,
        manifest: &Manifest,
        running: [u8; RUNNING_LEN],
    ) -> Result<Self> {
        let mut head = Vec::with_capacity(HEAD_LEN);
        head.extend_from_slice(&header.encode());
        head.extend_from_slice(&manifest.encode());
        head.extend_from_slice(&running);
        write_whole(vfs, IMPORT_PATH, &head)?;
        vfs.sync_dir("")?;
        Self::open(vfs)
    }

    /// Goes on with an import.
    pub(super) fn open(vfs: &dyn Vfs) -> Result<Self> {
        let file = vfs.open(IMPORT_PATH, OpenMode::ReadWrite)?;
        let damaged =
            |cause: String| SnapshotError::damaged(0, format!("in {IMPORT_PATH}: {cause}"));
        let mut header = [0; CHUNK_HEADER_LEN];
        let mut manifest = [0; MANIFEST_LEN];
        let mut running = [0; RUNNING_LEN];
        let mut position = 0;
        for part in [&mut header[..], &mut manifest[..], &mut running[..]] {
            file.read_exact_at(position, part)?;
            position += part.len() as u64;
        }
        if running_hash(&[0; RUNNING_LEN], &header, &manifest) != running {
            return Err(damaged("the hash does not match".into()).into());
        }
        let header = ChunkHeader::decode(&header).map_err(|fault| damaged(fault.to_string()))?;
        let manifest = Manifest::decode(&manifest).map_err(|fault| damaged(fault.to_string()))?;
        let segment = manifest.first_segment;
        let mut saved = Progress { next_chunk: 1, segment, running, ..Progress::default() };
        for generation in [0, 1] {
            let slot = Progress { generation, ..Progress::default() }.slot_position();
            let mut bytes = [0; PROGRESS_LEN];
            if file.read_at(slot, &mut bytes)? < PROGRESS_LEN {
                continue;
            }
            if let Ok(found) = Progress::decode(&bytes)
                && found.generation > saved.generation
                && found.slot_position() == slot
            {
                saved = found;
            }
        }
        Ok(Self { file, manifest, snapshot: header.snapshot, saved })
    }

    /// Writes down how far the import has come; the segment's bytes were synced before.
    pub(super) fn save(&mut self, progress: Progress) -> Result<()> {
        let next = Progress { generation: self.saved.generation + 1, ..progress };
        self.file.write_all_at(next.slot_position(), &next.encode())?;
        self.file.sync_all()?;
        self.saved = next;
        Ok(())
    }

    /// Ends the import: the directory can be opened.
    pub(super) fn remove(self, vfs: &dyn Vfs) -> Result<()> {
        vfs.remove(IMPORT_PATH)?;
        Ok(vfs.sync_dir("")?)
    }
}
