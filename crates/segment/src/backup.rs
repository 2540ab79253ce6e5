//! Backup: a copy of the log that opens like a store whose machine lost power at that moment.
//! Truth, in another place. Writers and readers go on meanwhile.
//!
//! The superblock is read first and the segments after it, so the copy holds at least what the
//! superblock promises. Complete segments that the target has already are not copied again,
//! which makes every further backup into the same place incremental.
//!
//! A linked copy gives complete segments a second name instead of copying them. They never
//! change: the cleaner and repairs write another file under the old name.

use std::sync::PoisonError;

use cairn_types::{Lsn, SegmentId};
use cairn_vfs::{FaultKind, OpenMode, Vfs};

use crate::format::segment_header::SEGMENT_HEADER_LEN;
use crate::format::store_file::{STORE_FILE_LEN_MAX, STORE_PATH, StoreFile};
use crate::format::superblock::SUPERBLOCK_PATH;
use crate::format::{LOG_DIR, index_path, parse_segment_name, segment_path};
use crate::keyring::{read_ring, write_ring};
use crate::recover::read_segment;
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
    /// Complete segments that got a second name.
    pub linked_count: usize,
    /// Complete segments that the target had already.
    pub kept_count: usize,
    /// Bytes copied.
    pub len: u64,
    /// LSN after the last record of the copy.
    pub end_lsn: Lsn,
}

impl Log {
    /// Copies the log into `target`, which is empty or holds an earlier backup of this store. What
    /// was appended to that backup since is replaced by what is in this log. `progress` is called
    /// with bytes done and bytes in all.
    ///
    /// # Errors
    /// [`Error::ForeignSegment`] when the target holds another store, [`Error::Invalid`] when it is
    /// ahead of this log, [`Error::Poisoned`] and [`Error::Closed`] of a log that takes no writes
    /// any more; what cannot be read or written. An interrupted backup is finished by the next one.
    pub fn backup(
        &self,
        target: &dyn Vfs,
        progress: Option<&dyn Fn(u64, u64)>,
    ) -> Result<BackedUp> {
        self.copy_into(target, false, progress)
    }

    /// As [`backup`](Self::backup), but complete segments are linked where the file system can:
    /// only the last one is copied, as far as it is written. Quick, and without protection
    /// against a failing disk. Erasing a record later leaves it in the linked copy.
    ///
    /// # Errors
    /// As [`backup`](Self::backup).
    pub fn link_checkpoint(&self, target: &dyn Vfs) -> Result<BackedUp> {
        self.copy_into(target, true, None)
    }

    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_log_copy", skip_all, err))]
    fn copy_into(
        &self,
        target: &dyn Vfs,
        link: bool,
        progress: Option<&dyn Fn(u64, u64)>,
    ) -> Result<BackedUp> {
        let _segments_stay = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.append.is_some() {
            self.sync()?;
        }
        let source = &*self.shared.store.vfs;
        refuse_other_store(target, &self.store_id())?;
        target.create_dir_all(LOG_DIR)?;
        let ring = read_ring(source)?.ring;
        if let Some(ring) = &ring {
            // What is there already may be sealed with data keys that this store has dropped.
            let there = read_ring(target)?.ring;
            write_ring(target, &there.map_or_else(|| ring.clone(), |there| ring.joined(&there)))?;
        }
        let slots = SuperblockFile::read_slots(source)?;
        let Some(superblock) = slots.newest else {
            let damage = slots.damaged.into_iter().next().expect("no slot, so both are damaged");
            return Err(Error::Corrupt(damage));
        };
        let segments = self.shared.segments.load();
        let stale = stale_behind(target, &self.store_id(), segments.last().map(|last| &**last))?;
        let total: u64 = segments.iter().map(|segment| segment.end()).sum();
        let mut backed_up = BackedUp::default();
        let mut done = 0;
        for (place, segment) in segments.iter().enumerate() {
            let complete = place + 1 < segments.len();
            let end_lsn = segment.end_lsn();
            let linked_from = (complete && link).then_some(source);
            match copy_segment(segment, target, complete, linked_from)? {
                Outcome::Kept => backed_up.kept_count += 1,
                Outcome::Linked => backed_up.linked_count += 1,
                Outcome::Copied(len) => {
                    backed_up.copied_count += 1;
                    backed_up.len += len;
                }
            }
            backed_up.end_lsn = backed_up.end_lsn.max(end_lsn);
            done += segment.end();
            if let Some(progress) = progress {
                progress(done, total);
            }
        }
        remove_dropped(target, segments.first().map(|segment| segment.header.id), &stale)?;
        let block = crate::format::superblock::Superblock {
            // The copy is no clean end: opening it looks at the last segment.
            clean: false,
            ..superblock
        };
        if target.exists(SUPERBLOCK_PATH)? {
            target.remove(SUPERBLOCK_PATH)?;
        }
        SuperblockFile::create(target, &block)?;
        target.sync_dir(LOG_DIR)?;
        let store = read_whole(source, STORE_PATH, STORE_FILE_LEN_MAX)?;
        write_whole(target, STORE_PATH, &store)?;
        target.sync_dir("")?;
        if let Some(ring) = &ring {
            write_ring(target, ring)?;
        }
        Ok(backed_up)
    }
}

/// How a segment came to be in the target.
enum Outcome {
    /// It was there.
    Kept,
    /// It has a second name there.
    Linked,
    /// So many bytes were copied.
    Copied(u64),
}

/// Copies one segment up to its published end, or links it from `linked_from`.
fn copy_segment(
    segment: &Segment,
    target: &dyn Vfs,
    complete: bool,
    linked_from: Option<&dyn Vfs>,
) -> Result<Outcome> {
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
                return Ok(Outcome::Kept);
            }
        }
    }
    let temporary = format!("{path}.tmp");
    if target.exists(&temporary)? {
        target.remove(&temporary)?;
    }
    if let Some(source) = linked_from {
        match source.link_into(&path, target, &temporary) {
            Ok(()) => {
                target.rename(&temporary, &path)?;
                return Ok(Outcome::Linked);
            }
            Err(error) if error.kind == FaultKind::Unsupported => {}
            Err(error) => return Err(error.into()),
        }
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
    Ok(Outcome::Copied(len))
}

fn refuse_other_store(target: &dyn Vfs, store_id: &[u8; 16]) -> Result<()> {
    if target.exists(STORE_PATH)? {
        let there = StoreFile::decode(&read_whole(target, STORE_PATH, STORE_FILE_LEN_MAX)?)?;
        if there.id != *store_id {
            return Err(Error::ForeignSegment { file: STORE_PATH.into() });
        }
    }
    Ok(())
}

/// Segments of an earlier backup behind the last one of this log. Whoever opened the backup began
/// them; left there, they would end the copy where they begin.
fn stale_behind(
    target: &dyn Vfs,
    store_id: &[u8; 16],
    last: Option<&Segment>,
) -> Result<Vec<SegmentId>> {
    let end = last.map_or(Lsn::new(0), Segment::end_lsn);
    let mut stale = Vec::new();
    for entry in target.list(LOG_DIR)? {
        let Some(id) = parse_segment_name(&entry.name) else { continue };
        if last.is_some_and(|last| id <= last.header.id) {
            continue;
        }
        let base = read_segment(target, id, store_id, OpenMode::Read)?.header.base_lsn;
        if base >= end {
            let path = segment_path(id);
            let reason = format!(
                "{path} begins at LSN {base}, and this log ends at {end}: the backup is ahead of it"
            );
            return Err(Error::Invalid { what: "target of a backup", reason });
        }
        stale.push(id);
    }
    Ok(stale)
}

/// Removes from an earlier backup what retention has dropped since, and what is stale.
fn remove_dropped(target: &dyn Vfs, first: Option<SegmentId>, stale: &[SegmentId]) -> Result<()> {
    for entry in target.list(LOG_DIR)? {
        let Some(id) = parse_segment_name(&entry.name) else { continue };
        if first.is_some_and(|first| id < first) || stale.contains(&id) {
            target.remove(&segment_path(id))?;
        }
        if target.exists(&index_path(id))? {
            target.remove(&index_path(id))?;
        }
    }
    Ok(())
}
