//! Backup: a copy of the log that opens like a store whose machine lost power at that moment.
//! Truth, in another place. Writers and readers go on meanwhile.
//!
//! The superblock is read first and the segments after it, so the copy holds at least what the
//! superblock promises. Complete segments that the target has already are not copied again,
//! which makes every further backup into the same place incremental.

use std::sync::PoisonError;

use cairn_types::Lsn;
use cairn_vfs::{OpenMode, Vfs};

use crate::format::segment_header::SEGMENT_HEADER_LEN;
use crate::format::store_file::{STORE_FILE_LEN_MAX, STORE_PATH, StoreFile};
use crate::format::superblock::SUPERBLOCK_PATH;
use crate::format::{LOG_DIR, index_path, parse_segment_name, segment_path};
use crate::segment::Segment;
use crate::store::{SuperblockFile, read_whole, write_whole};
use crate::{Error, Log, Result};

/// Bytes copied at a time.
const COPY_LEN: usize = 1 << 20;

/// What a backup did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackedUp {
    /// Segments copied.
    pub copied_count: usize,
    /// Complete segments that the target had already.
    pub kept_count: usize,
    /// Bytes copied.
    pub len: u64,
    /// LSN after the last record of the copy.
    pub end_lsn: Lsn,
}

impl Log {
    /// Copies the log into `target`, which is empty or holds an earlier backup of this store.
    /// `progress` is called with bytes done and bytes in all.
    ///
    /// # Errors
    /// [`Error::ForeignSegment`] when the target holds another store; what cannot be read or
    /// written. An interrupted backup is finished by the next one.
    pub fn backup(
        &self,
        target: &dyn Vfs,
        progress: Option<&dyn Fn(u64, u64)>,
    ) -> Result<BackedUp> {
        let _segments_stay = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.append.is_some() {
            self.sync()?;
        }
        let source = &*self.shared.store.vfs;
        if target.exists(STORE_PATH)? {
            let there = StoreFile::decode(&read_whole(target, STORE_PATH, STORE_FILE_LEN_MAX)?)?;
            if there.id != self.store_id() {
                return Err(Error::ForeignSegment { file: STORE_PATH.into() });
            }
        }
        target.create_dir_all(LOG_DIR)?;
        let slots = SuperblockFile::read_slots(source)?;
        let Some(superblock) = slots.newest else {
            let damage = slots.damaged.into_iter().next().expect("no slot, so both are damaged");
            return Err(Error::Corrupt(damage));
        };
        let segments = self.shared.segments.load();
        let total: u64 = segments.iter().map(|segment| segment.end()).sum();
        let mut backed_up = BackedUp::default();
        let mut done = 0;
        for (place, segment) in segments.iter().enumerate() {
            let complete = place + 1 < segments.len();
            let end_lsn = segment.end_lsn();
            let copied = copy_segment(segment, target, complete)?;
            backed_up.copied_count += usize::from(copied > 0);
            backed_up.kept_count += usize::from(copied == 0);
            backed_up.len += copied;
            backed_up.end_lsn = backed_up.end_lsn.max(end_lsn);
            done += segment.end();
            if let Some(progress) = progress {
                progress(done, total);
            }
        }
        remove_dropped(target, segments.first().map(|segment| segment.header.id.get()))?;
        let first = crate::format::superblock::Superblock {
            // The copy is no clean end: opening it looks at the last segment.
            clean: false,
            ..superblock
        };
        if target.exists(SUPERBLOCK_PATH)? {
            target.remove(SUPERBLOCK_PATH)?;
        }
        SuperblockFile::create(target, &first)?;
        target.sync_dir(LOG_DIR)?;
        let store = read_whole(source, STORE_PATH, STORE_FILE_LEN_MAX)?;
        write_whole(target, STORE_PATH, &store)?;
        target.sync_dir("")?;
        Ok(backed_up)
    }
}

/// Copies one segment up to its published end; the bytes copied, 0 when it was there.
fn copy_segment(segment: &Segment, target: &dyn Vfs, complete: bool) -> Result<u64> {
    let path = segment_path(segment.header.id);
    // A complete segment is copied with its seal; the last one as far as it can be read.
    let len = if complete { segment.file.len()? } else { segment.end() };
    if complete && target.exists(&path)? {
        let there = target.open(&path, OpenMode::Read)?;
        let mut headers = [[0; SEGMENT_HEADER_LEN]; 2];
        if there.len()? == len {
            let [ours, theirs] = &mut headers;
            segment.file.read_exact_at(0, ours)?;
            there.read_exact_at(0, theirs)?;
            // The salt in the header is of this very file.
            if ours == theirs {
                return Ok(0);
            }
        }
    }
    let temporary = format!("{path}.tmp");
    if target.exists(&temporary)? {
        target.remove(&temporary)?;
    }
    let copy = target.open(&temporary, OpenMode::Create)?;
    let mut buffer = vec![0; COPY_LEN];
    let mut position = 0;
    while position < len {
        let step = usize::try_from(len - position).unwrap_or(COPY_LEN).min(COPY_LEN);
        let bytes = &mut buffer[..step];
        segment.file.read_exact_at(position, bytes)?;
        copy.write_all_at(position, bytes)?;
        position += step as u64;
    }
    copy.sync_all()?;
    drop(copy);
    target.rename(&temporary, &path)?;
    Ok(len)
}

/// Removes from an earlier backup what retention has dropped since.
fn remove_dropped(target: &dyn Vfs, first: Option<u64>) -> Result<()> {
    for entry in target.list(LOG_DIR)? {
        let Some(id) = parse_segment_name(&entry.name) else { continue };
        if first.is_some_and(|first| id.get() < first) {
            target.remove(&segment_path(id))?;
        }
        if target.exists(&index_path(id))? {
            target.remove(&index_path(id))?;
        }
    }
    Ok(())
}
