//! The steps of opening a store for writing.

use std::sync::Arc;

use cairn_codec::seal::KeyRing;
use cairn_types::{ChainHash, Lsn, SegmentId, Timestamp};
use cairn_vfs::OpenMode;

use super::layout::{Layout, SegmentFile, read_layout, refuse_unfinished_import};
use super::report::RecoveryReport;
use super::scan::{Scanned, Stop, scan};
use super::tail;
use crate::append::{AppendStart, NextSequences, Predecessor};
use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::superblock::Superblock;
use crate::keyring::{RingRead, write_ring};
use crate::mutation::Mutation;
use crate::segment::Segment;
use crate::segment_index::SegmentIndex;
use crate::store::{Store, SuperblockFile, create_store, name_of};
use crate::{Error, Result};

/// A store that was brought into order and is ready to be written to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<Store>,
    pub(crate) superblock: SuperblockFile,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) start: AppendStart,
    pub(crate) report: RecoveryReport,
}

/// Where the recovered log ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogEnd {
    pub(super) segment: SegmentId,
    pub(super) position: u64,
    pub(super) lsn: Lsn,
    pub(super) chain: ChainHash,
}

/// Opens the store, creating it when the directory is empty. The lock is held by the caller.
pub(crate) fn open_store(mut store: Store) -> Result<Opened> {
    refuse_unfinished_import(&*store.vfs)?;
    let mut report = RecoveryReport::default();
    let layout = match read_layout(&*store.vfs, OpenMode::ReadWrite)? {
        Some(layout) => layout,
        None => {
            create_store(&*store.vfs, &*store.clock, &*store.rng)?;
            report.created = true;
            read_layout(&*store.vfs, OpenMode::ReadWrite)?.ok_or(Error::NoStore)?
        }
    };
    store.id = layout.store.id;
    store.registry = layout.unlock(&store.registry)?;
    let Layout { superblock, damaged_slots, segments: files, leftovers, ring, .. } = layout;
    report.damaged_copies = ring.damaged.clone();
    report.damaged_slots = damaged_slots;
    // Names may be in the cache alone: a process died before it synced the directory.
    store.sync_log_dir()?;
    store.vfs.sync_dir("")?;
    for path in leftovers {
        store.vfs.remove(&path)?;
        report.removed_files.push(path);
    }
    settle_ring(&mut store, &ring)?;
    let store = &Arc::new(store);
    let repaired_slot = !report.damaged_slots.is_empty();
    let superblock_file = SuperblockFile::open(&*store.vfs, superblock.clone())?;

    cut_interrupted_recovery(&files, &mut report)?;
    let mut segments = complete_segments(store, &files)?;
    let end = match files.last() {
        None => LogEnd {
            segment: superblock.segment,
            position: 0,
            lsn: superblock.start_lsn,
            chain: superblock.chain,
        },
        Some(last) => {
            open_last(store, &superblock, &superblock_file, last, &mut segments, &mut report)?
        }
    };
    if repaired_slot {
        // Write both slots anew: the damaged one must not be the only copy next time.
        superblock_file.update(|_| {})?;
        superblock_file.update(|_| {})?;
    }
    if end.lsn < superblock.durable_end {
        let cause = format!("the log ends here, but LSN {} was durable", superblock.durable_end);
        return Err(Error::Corrupt(
            crate::Corruption::new(name_of(end.segment), end.position, cause).at_lsn(end.lsn),
        ));
    }
    report.segment_count = segments.len();
    report.end_lsn = Some(end.lsn);
    let start = append_start(&segments, &end)?;
    Ok(Opened { store: store.clone(), superblock: superblock_file, segments, start, report })
}

/// Makes the key ring of a store that is to be sealed from now on, and brings up a copy that a
/// crash left behind or that is damaged.
fn settle_ring(store: &mut Store, read: &RingRead) -> Result<()> {
    match &read.ring {
        Some(ring) if read.uneven || !read.damaged.is_empty() => write_ring(&*store.vfs, ring),
        Some(_) => Ok(()),
        None => match store.registry.outer_keys().first() {
            Some(outer) => {
                let mut random = |bytes: &mut [u8]| store.rng.fill(bytes);
                let ring = KeyRing::create(store.id, outer, store.clock.now(), &mut random);
                write_ring(&*store.vfs, &ring)?;
                store.registry = store.registry.unlocked(&ring)?;
                Ok(())
            }
            None => Ok(()),
        },
    }
}

/// A recovery that was interrupted after it copied a tail left that tail in the old file.
fn cut_interrupted_recovery(files: &[SegmentFile], report: &mut RecoveryReport) -> Result<()> {
    for (this, next) in files.iter().zip(files.iter().skip(1)) {
        let end = next.header.prev_end;
        if this.header.rewrites > 0 || this.len <= end {
            continue;
        }
        let mut magic = [0; 4];
        this.file.read_at(end, &mut magic)?;
        // A whole seal has exactly this length; a damaged one is left for verification.
        let sealed = Seal::is_magic(&magic) && this.len == end + SEAL_LEN as u64;
        if !sealed {
            this.file.set_len(end)?;
            this.file.sync_all()?;
            report.cut_at = Some((this.header.id, end));
            report.cut_len += this.len - end;
            report.cut_cause = Some("an earlier recovery was interrupted".into());
        }
    }
    Ok(())
}

/// Every segment but the last: the next header says where it ends.
fn complete_segments(store: &Arc<Store>, files: &[SegmentFile]) -> Result<Vec<Arc<Segment>>> {
    let pairs = files.iter().zip(files.iter().skip(1));
    let open = |(this, next): (&SegmentFile, &SegmentFile)| {
        Segment::open_complete(store, this.clone(), &next.header).map(Arc::new)
    };
    pairs.map(open).collect()
}

/// The last segment: closed cleanly, sealed, or to be recovered.
fn open_last(
    store: &Arc<Store>,
    superblock: &Superblock,
    superblock_file: &SuperblockFile,
    last: &SegmentFile,
    segments: &mut Vec<Arc<Segment>>,
    report: &mut RecoveryReport,
) -> Result<LogEnd> {
    if superblock.segment == last.header.id && superblock.position != 0 {
        // Sealed or recovered before; nothing was written to it since.
        let end = settled_end(superblock, last)?;
        report.clean = superblock.clean;
        segments.push(open_settled(store, last, &end)?);
        return Ok(end);
    }
    let mut index = SegmentIndex::growing(last.header.base_lsn);
    let crc = last.header.crc();
    let scanned = scan(&last.file, &last.header, true, |batch, position, body| {
        index.add_batch(batch, position, &store.registry.plain_body(batch, body, &crc)?)
    })?;
    check_anchor(&last.header, &scanned)?;
    let durable_end = scanned.durable_end.max(last.header.base_lsn).max(superblock.durable_end);
    let sealed = matches!(scanned.stop, Stop::Sealed(_));
    if scanned.end_lsn < durable_end && !store.mutations.has(Mutation::CutDamage) {
        return Err(damage(last, &scanned, durable_end));
    }
    note_cut(last, &scanned, report);
    let end = if sealed {
        keep_sealed(superblock_file, last, &scanned)?
    } else {
        tail::recover(store, superblock_file, last, &scanned, durable_end, segments, report)?
    };
    if end.segment == last.header.id {
        let segment = open_settled(store, last, &end)?;
        // When a tail was cut off the index covers too much, and is rebuilt on first use.
        if index.next_lsn() == end.lsn {
            segment.adopt_index(index);
        }
        segments.push(segment);
    }
    Ok(end)
}

/// The end that the superblock states for the last segment, checked against the file.
fn settled_end(superblock: &Superblock, last: &SegmentFile) -> Result<LogEnd> {
    let end = LogEnd {
        segment: last.header.id,
        position: superblock.position,
        lsn: superblock.durable_end,
        chain: superblock.chain,
    };
    let path = name_of(end.segment);
    if last.len < end.position {
        let cause = format!("the file ends here, its batches reach to byte {}", end.position);
        return Err(Error::corrupt(path, last.len, cause));
    }
    if last.len > end.position {
        let mut bytes = [0; SEAL_LEN];
        let got = last.file.read_at(end.position, &mut bytes)?;
        let seal = (got == SEAL_LEN).then(|| Seal::decode(&bytes, &last.header.crc()));
        match seal {
            Some(Ok(seal)) if seal.end_lsn == end.lsn && seal.chain == end.chain => {
                if last.len > end.position + SEAL_LEN as u64 {
                    last.file.set_len(end.position + SEAL_LEN as u64)?;
                    last.file.sync_all()?;
                }
            }
            _ if superblock.clean => {
                return Err(Error::corrupt(
                    path,
                    end.position,
                    "the seal of a clean close is damaged",
                ));
            }
            // Recovery ended the segment here; what follows was never acknowledged.
            _ => {
                last.file.set_len(end.position)?;
                last.file.sync_all()?;
            }
        }
    } else if superblock.clean {
        return Err(Error::corrupt(path, end.position, "the seal of a clean close is missing"));
    }
    Ok(end)
}

fn open_settled(store: &Arc<Store>, last: &SegmentFile, end: &LogEnd) -> Result<Arc<Segment>> {
    let (header, file) = (last.header.clone(), last.file.clone());
    Segment::open(store, header, file, end.position, end.lsn, end.chain).map(Arc::new)
}

/// The first batch continues the chain that the header names.
fn check_anchor(
    header: &crate::format::segment_header::SegmentHeader,
    scanned: &Scanned,
) -> Result<()> {
    match scanned.batches.first() {
        Some(first) if first.prev_hash != header.prev_chain => Err(Error::ChainMismatch {
            segment: header.id,
            cause: "its first batch does not continue the chain value in its header".into(),
        }),
        _ => Ok(()),
    }
}

fn damage(last: &SegmentFile, scanned: &Scanned, durable_end: Lsn) -> Error {
    let found = match &scanned.stop {
        Stop::Invalid(cause) => cause.clone(),
        Stop::EndOfFile => "the file ends".into(),
        Stop::Unwritten => "only zero bytes follow".into(),
        Stop::Sealed(_) => "the segment is sealed".into(),
    };
    let cause = format!("{found}; records below LSN {durable_end} were durable");
    Error::Corrupt(
        crate::Corruption::new(name_of(last.header.id), scanned.end, cause).at_lsn(scanned.end_lsn),
    )
}

fn note_cut(last: &SegmentFile, scanned: &Scanned, report: &mut RecoveryReport) {
    if let Stop::Invalid(cause) = &scanned.stop {
        report.cut_len = scanned.file_len - scanned.end;
        report.cut_at = Some((last.header.id, scanned.end));
        report.cut_cause = Some(cause.clone());
        report.cut_later_batches = scanned.later_batches;
    }
}

/// A valid seal proves that everything before it was synced: it is written after that sync.
fn keep_sealed(
    superblock: &SuperblockFile,
    last: &SegmentFile,
    scanned: &Scanned,
) -> Result<LogEnd> {
    let Stop::Sealed(seal) = &scanned.stop else { unreachable!("only called for a seal") };
    let end = LogEnd {
        segment: last.header.id,
        position: scanned.end,
        lsn: scanned.end_lsn,
        chain: seal.chain,
    };
    // The cut to the seal's end may not have happened, or not on the disk.
    last.file.set_len(end.position + SEAL_LEN as u64)?;
    last.file.sync_all()?;
    write_end(superblock, &end)?;
    Ok(end)
}

/// Writes down where the log ends after recovery.
pub(super) fn write_end(superblock: &SuperblockFile, end: &LogEnd) -> Result<()> {
    superblock.update(|block| {
        block.clean = false;
        block.segment = end.segment;
        block.position = end.position;
        block.durable_end = end.lsn;
        block.chain = end.chain;
    })
}

fn append_start(segments: &[Arc<Segment>], end: &LogEnd) -> Result<AppendStart> {
    let mut next_sequence = NextSequences::default();
    let mut last_commit_time = Timestamp::from_micros(i64::MIN);
    let mut checkpoint_count = 0;
    for segment in segments {
        segment.with_index(|index| {
            for (stream, next) in index.next_sequences() {
                let entry = next_sequence.entry(stream).or_insert(next);
                *entry = (*entry).max(next);
            }
            last_commit_time = last_commit_time.max(index.last_commit_time());
            checkpoint_count += index.checkpoints().count() as u64;
        })?;
    }
    let has_segment = end.position != 0;
    Ok(AppendStart {
        next_lsn: end.lsn,
        chain: end.chain,
        last_commit_time,
        next_sequence,
        predecessor: Predecessor {
            next_id: SegmentId::new(end.segment.get() + u64::from(has_segment)),
            prev_end: end.position,
        },
        checkpoint_count,
    })
}
