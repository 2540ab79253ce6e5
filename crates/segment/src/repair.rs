//! Repair: giving up, on request, what damage made unreadable. Nothing is thrown away: every
//! byte that leaves the log goes to `quarantine/` first, and the report says what was lost.
//!
//! The log is kept up to the last batch before the first damage. What comes after cannot be
//! kept, because the chain through the damage cannot be shown any more. Each step can be
//! interrupted; repairing again then finishes the work.

use std::sync::Arc;

use cairn_codec::seal::KeyNumber;
use cairn_codec::{BATCH_HEADER_LEN, BatchHeader, CodecRegistry, verify_batch};
use cairn_types::{ChainHash, ErrorKind, Lsn, SegmentId};
use cairn_vfs::{Clock, OpenMode, Vfs};

use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::segment_header::SEGMENT_HEADER_LEN;
use crate::format::store_file::{STORE_FILE_LEN_MAX, STORE_PATH, StoreFile};
use crate::format::superblock::{SUPERBLOCK_PATH, Superblock};
use crate::format::{LOG_DIR, QUARANTINE_DIR, index_path, parse_segment_name, segment_path};
use crate::keyring::unlock_files;
use crate::recover::{SegmentFile, read_segment};
use crate::store::{SuperblockFile, read_whole, write_whole};
use crate::window::Window;
use crate::{Corruption, Error, Result};

/// Why a walk ended that was told where to.
const ASKED_FOR: &str = "the end that was asked for";
/// Bytes copied at a time.
const COPY_LEN: usize = 1 << 20;

/// What a repair would do, found without changing anything.
#[derive(Debug)]
pub struct Repair {
    vfs: Arc<dyn Vfs>,
    store: StoreFile,
    superblock: Superblock,
    /// The damage that is given up; `None` when only the superblock has to be written anew.
    pub damage: Option<Corruption>,
    /// Superblock slots that cannot be read.
    pub damaged_slots: Vec<Corruption>,
    /// LSN after the last record that stays.
    pub end_lsn: Lsn,
    /// LSN below which everything was durable, as far as it is known.
    pub durable_end: Lsn,
    /// Files that go to quarantine, whole or as a copy.
    pub quarantined: Vec<String>,
    /// Files that are removed without a copy: the caller has one.
    removed: Vec<String>,
    kept: Option<Kept>,
}

/// The last segment that stays, and where its whole batches end.
#[derive(Debug, Clone)]
struct Kept {
    file: SegmentFile,
    position: u64,
    lsn: Lsn,
    chain: ChainHash,
    batch_count: u64,
    /// A seal follows.
    sealed: bool,
}

impl Repair {
    /// Looks for damage that keeps the store from opening; `None` when there is none.
    ///
    /// The store must not be open: take its lock, or copy it first.
    ///
    /// # Errors
    /// [`Error::NoStore`]; what cannot be read at all, or only by a newer program or with a codec
    /// that is not registered; [`Error::Corrupt`] when nothing could be kept, or the damage lies in
    /// a file that says which store this is.
    pub fn plan(vfs: Arc<dyn Vfs>, registry: &CodecRegistry) -> Result<Option<Self>> {
        if !vfs.exists(STORE_PATH)? {
            return Err(Error::NoStore);
        }
        let store = StoreFile::decode(&read_whole(&*vfs, STORE_PATH, STORE_FILE_LEN_MAX)?)?;
        let slots = SuperblockFile::read_slots(&*vfs)?;
        let numbers = segment_numbers(&*vfs)?;
        let lost_superblock = slots.newest.is_none();
        let superblock = match slots.newest {
            Some(block) => block,
            None => anchor(&*vfs, &store, &numbers)?,
        };
        let sealed = sealed_by(&*vfs, &store, &numbers);
        let (registry, _) = &unlock_files(&*vfs, registry, &store.id, sealed)?;
        let walk = walk(&*vfs, &store, &superblock, &numbers, registry, Lsn::MAX)?;
        let durable_end = walk.durable_end.max(superblock.durable_end);
        let end_lsn = walk.kept.as_ref().map_or(superblock.start_lsn, |kept| kept.lsn);
        let mut damage = walk.damage;
        if damage.is_none() && end_lsn < durable_end {
            let file = walk.kept.as_ref().map_or(SUPERBLOCK_PATH.to_owned(), Kept::path);
            let position = walk.kept.as_ref().map_or(0, |kept| kept.position);
            let cause = format!("the log ends here, but LSN {durable_end} was durable");
            damage = Some(Corruption::new(file, position, cause).at_lsn(end_lsn));
        }
        if damage.is_none() && !lost_superblock {
            return Ok(None);
        }
        let nothing_left = walk.kept.is_none() && superblock.start_lsn > Lsn::new(0);
        if let (true, Some(damage)) = (nothing_left, &damage) {
            return Err(Error::Corrupt(damage.clone()));
        }
        let mut quarantined: Vec<String> = Vec::new();
        if let Some(kept) = &walk.kept {
            let whole = kept.position + if kept.sealed { SEAL_LEN as u64 } else { 0 };
            if kept.file.len > whole {
                quarantined.push(kept.path());
            }
        }
        quarantined.extend(walk.later.iter().map(|id| segment_path(*id)));
        Ok(Some(Self {
            vfs,
            store,
            superblock,
            damage,
            damaged_slots: slots.damaged,
            end_lsn,
            durable_end,
            quarantined,
            removed: Vec::new(),
            kept: walk.kept,
        }))
    }

    /// Records that are known to be lost: durable once, and not before the damage.
    #[must_use]
    pub fn lost_count(&self) -> u64 {
        self.durable_end.get().saturating_sub(self.end_lsn.get())
    }

    /// Does it: copies to quarantine, then ends the log where it is whole.
    ///
    /// # Errors
    /// When a file cannot be written; repair again then.
    pub fn carry_out(&self, clock: &dyn Clock) -> Result<()> {
        let vfs = &*self.vfs;
        vfs.create_dir_all(QUARANTINE_DIR)?;
        for path in &self.quarantined {
            set_aside(vfs, path)?;
        }
        vfs.sync_dir(QUARANTINE_DIR)?;
        self.end_log(clock)?;
        let kept_path = self.kept.as_ref().map(Kept::path);
        let gone = self.quarantined.iter().chain(&self.removed).rev();
        for path in gone.filter(|path| Some(*path) != kept_path.as_ref()) {
            vfs.remove(path)?;
        }
        for id in segment_numbers(vfs)? {
            if vfs.exists(&index_path(id))? {
                vfs.remove(&index_path(id))?;
            }
        }
        Ok(vfs.sync_dir(LOG_DIR)?)
    }

    /// Seals the last kept segment at its end and writes both slots of the superblock.
    fn end_log(&self, clock: &dyn Clock) -> Result<()> {
        let now = clock.now();
        let mut block = Superblock {
            store_id: self.store.id,
            clean: false,
            written_at: now,
            ..self.superblock.clone()
        };
        if let Some(kept) = &self.kept {
            let seal = Seal {
                id: kept.file.header.id,
                end_lsn: kept.lsn,
                batch_count: kept.batch_count,
                position: kept.position,
                chain: kept.chain,
                sealed_at: now,
            };
            end_file(&*self.vfs, kept, &seal)?;
            block.segment = kept.file.header.id;
            block.position = kept.position;
            block.durable_end = kept.lsn;
            block.chain = kept.chain;
        } else {
            block.position = 0;
            block.durable_end = block.start_lsn;
            block.segment = block.first_segment;
            block.chain = ChainHash::GENESIS;
        }
        block.generation += 1;
        SuperblockFile::create(&*self.vfs, &block)?;
        Ok(self.vfs.sync_dir(LOG_DIR)?)
    }
}

/// Ends a copy of a log before the batch that holds `until` (or after the last one before it):
/// how a backup is restored to an earlier place. What comes after is removed from the copy, so
/// the backup itself must be kept. Returns where the copy ends. The copy must not be open.
///
/// # Errors
/// [`Error::NoStore`], [`Error::OutOfRange`] when retention has dropped that place; damage
/// before it.
pub fn cut(
    vfs: Arc<dyn Vfs>,
    registry: &CodecRegistry,
    clock: &dyn Clock,
    until: Lsn,
) -> Result<Lsn> {
    if !vfs.exists(STORE_PATH)? {
        return Err(Error::NoStore);
    }
    let store = StoreFile::decode(&read_whole(&*vfs, STORE_PATH, STORE_FILE_LEN_MAX)?)?;
    let numbers = segment_numbers(&*vfs)?;
    let slots = SuperblockFile::read_slots(&*vfs)?;
    let superblock = match slots.newest {
        Some(block) => block,
        None => anchor(&*vfs, &store, &numbers)?,
    };
    let start = superblock.start_lsn;
    if until < start {
        return Err(Error::OutOfRange { lsn: until, start, end: superblock.durable_end });
    }
    let sealed = sealed_by(&*vfs, &store, &numbers);
    let (registry, _) = &unlock_files(&*vfs, registry, &store.id, sealed)?;
    let walk = walk(&*vfs, &store, &superblock, &numbers, registry, until)?;
    if let Some(damage) = walk.damage {
        return Err(Error::Corrupt(damage));
    }
    let end_lsn = walk.kept.as_ref().map_or(start, |kept| kept.lsn);
    let repair = Repair {
        vfs,
        store,
        superblock,
        damage: None,
        damaged_slots: Vec::new(),
        end_lsn,
        durable_end: end_lsn,
        quarantined: Vec::new(),
        removed: walk.later.iter().map(|id| segment_path(*id)).collect(),
        kept: walk.kept,
    };
    repair.carry_out(clock)?;
    Ok(end_lsn)
}

impl Kept {
    fn path(&self) -> String {
        segment_path(self.file.header.id)
    }
}

fn segment_numbers(vfs: &dyn Vfs) -> Result<Vec<SegmentId>> {
    let mut numbers: Vec<SegmentId> =
        vfs.list(LOG_DIR)?.iter().filter_map(|entry| parse_segment_name(&entry.name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A data key that some segment names.
fn sealed_by(vfs: &dyn Vfs, store: &StoreFile, numbers: &[SegmentId]) -> KeyNumber {
    let key =
        |id: &SegmentId| Some(read_segment(vfs, *id, &store.id, OpenMode::Read).ok()?.header.key);
    numbers.iter().filter_map(key).max().unwrap_or_default()
}

/// Where the retained log begins, as the first segment says it, when both slots are lost.
fn anchor(vfs: &dyn Vfs, store: &StoreFile, numbers: &[SegmentId]) -> Result<Superblock> {
    let mut block = Superblock::empty(store.id, store.created_at);
    if let Some(first) = numbers.first() {
        let file = read_segment(vfs, *first, &store.id, OpenMode::Read)?;
        block.first_segment = *first;
        block.segment = *first;
        block.start_lsn = file.header.base_lsn;
        block.chain = file.header.prev_chain;
    }
    Ok(block)
}

/// What walking through all segments found.
struct Walk {
    kept: Option<Kept>,
    damage: Option<Corruption>,
    durable_end: Lsn,
    /// Segments after the damage.
    later: Vec<SegmentId>,
}

/// Verifies segment after segment until the first damage, or the batch that holds `until`.
fn walk(
    vfs: &dyn Vfs,
    store: &StoreFile,
    superblock: &Superblock,
    numbers: &[SegmentId],
    registry: &CodecRegistry,
    until: Lsn,
) -> Result<Walk> {
    let retained: Vec<SegmentId> =
        numbers.iter().copied().filter(|id| *id >= superblock.first_segment).collect();
    let mut walk =
        Walk { kept: None, damage: None, durable_end: superblock.start_lsn, later: Vec::new() };
    let mut expected = superblock.first_segment;
    for (place, id) in retained.iter().enumerate() {
        let opened = if *id == expected {
            read_segment(vfs, *id, &store.id, OpenMode::Read).and_then(|file| {
                continues(walk.kept.as_ref(), &file)?;
                Ok(file)
            })
        } else {
            Err(Error::MissingSegment { segment: expected })
        };
        let file = match opened {
            Ok(file) => file,
            Err(error @ Error::Vfs(_)) => return Err(error),
            Err(error) if error.is_unsupported() => return Err(error),
            Err(error) => {
                walk.damage = Some(as_corruption(error, *id));
                walk.later = retained.get(place..).unwrap_or_default().to_vec();
                return Ok(walk);
            }
        };
        expected = SegmentId::new(id.get() + 1);
        let next = retained
            .get(place + 1)
            .and_then(|id| read_segment(vfs, *id, &store.id, OpenMode::Read).ok());
        let limit = match &next {
            Some(next) if file.header.rewrites == 0 => next.header.prev_end,
            _ => file.len,
        };
        if file.header.base_lsn >= until && walk.kept.is_some() {
            walk.later = retained.get(place..).unwrap_or_default().to_vec();
            return Ok(walk);
        }
        let (kept, stop) = whole_batches(&file, limit, until, registry, &mut walk.durable_end)?;
        let reached = next.as_ref().is_none_or(|next| {
            next.header.base_lsn == kept.lsn && next.header.prev_chain == kept.chain
        });
        let (at, lsn, path) = (kept.position, kept.lsn, kept.path());
        walk.kept = Some(kept);
        if stop == ASKED_FOR {
            walk.later = retained.get(place + 1..).unwrap_or_default().to_vec();
            return Ok(walk);
        }
        // What a later segment's header hides is named when its turn comes.
        if !reached {
            walk.damage = Some(Corruption::new(path, at, stop).at_lsn(lsn));
            walk.later = retained.get(place + 1..).unwrap_or_default().to_vec();
            return Ok(walk);
        }
    }
    Ok(walk)
}

fn continues(before: Option<&Kept>, file: &SegmentFile) -> Result<()> {
    let fits = before.is_none_or(|kept| {
        kept.lsn == file.header.base_lsn && kept.chain == file.header.prev_chain
    });
    if fits {
        return Ok(());
    }
    let cause = "it does not begin where the segment before it ends".to_owned();
    Err(Error::ChainMismatch { segment: file.header.id, cause })
}

fn as_corruption(error: Error, segment: SegmentId) -> Corruption {
    match error {
        Error::Corrupt(corruption) => corruption,
        other => Corruption::new(segment_path(segment), 0, other.to_string()),
    }
}

/// Verifies batches up to `limit`; returns where they end and why there.
fn whole_batches(
    file: &SegmentFile,
    limit: u64,
    until: Lsn,
    registry: &CodecRegistry,
    durable_end: &mut Lsn,
) -> Result<(Kept, String)> {
    let crc = file.header.crc();
    let mut window = Window::new(file.file.clone())?;
    let mut kept = Kept {
        file: file.clone(),
        position: SEGMENT_HEADER_LEN as u64,
        lsn: file.header.base_lsn,
        chain: file.header.prev_chain,
        batch_count: 0,
        sealed: false,
    };
    let stop = loop {
        if kept.position >= limit {
            break "the batches end here".to_owned();
        }
        let head = window.get(kept.position, BATCH_HEADER_LEN)?;
        if let Ok(bytes) = <&[u8; SEAL_LEN]>::try_from(head)
            && let Ok(seal) = Seal::decode(bytes, &crc)
        {
            *durable_end = (*durable_end).max(seal.end_lsn);
            kept.sealed = true;
            break "the segment is sealed here".to_owned();
        }
        let header = match BatchHeader::decode(head, &crc) {
            Ok(header) => header,
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error.into()),
            Err(error) => break format!("batch header: {error}"),
        };
        if header.end_lsn() > until {
            break ASKED_FOR.to_owned();
        }
        if header.first_lsn != kept.lsn || header.prev_hash != kept.chain {
            break "the batch does not continue the hash chain".to_owned();
        }
        let body = window.get(kept.position + BATCH_HEADER_LEN as u64, header.body_len())?;
        match verify_batch(&header, body, registry, &crc) {
            Ok(verified) => {
                *durable_end = (*durable_end).max(header.durable_end);
                kept.position += header.total_len() as u64;
                kept.lsn = header.end_lsn();
                kept.chain = verified.chain;
                kept.batch_count += 1;
            }
            // Its CRC is right: the key is at fault, and nothing may be given up for that.
            Err(cairn_codec::Error::Decrypt) => {
                let file = segment_path(file.header.id);
                return Err(Error::Sealed {
                    file,
                    cause: "repair needs the key that opens it".into(),
                });
            }
            // Nor for what a newer program wrote, or with a codec that is not registered.
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error.into()),
            Err(error) => break format!("batch: {error}"),
        }
    };
    Ok((kept, stop))
}

/// Ends a segment's file with a seal. The file may have another name in a linked copy, which
/// must not change: the part that stays is copied and takes the file's place.
fn end_file(vfs: &dyn Vfs, kept: &Kept, seal: &Seal) -> Result<()> {
    let path = kept.path();
    let temporary = format!("{path}.tmp");
    if vfs.exists(&temporary)? {
        vfs.remove(&temporary)?;
    }
    let from = vfs.open(&path, OpenMode::Read)?;
    let to = vfs.open(&temporary, OpenMode::Create)?;
    let mut buffer = vec![0; COPY_LEN];
    let mut position = 0;
    while position < kept.position {
        let left = usize::try_from(kept.position - position).unwrap_or(COPY_LEN);
        let bytes = &mut buffer[..left.min(COPY_LEN)];
        from.read_exact_at(position, bytes)?;
        to.write_all_at(position, bytes)?;
        position += bytes.len() as u64;
    }
    to.write_all_at(position, &seal.encode(&kept.file.header.crc()))?;
    to.sync_all()?;
    drop((from, to));
    vfs.rename(&temporary, &path)?;
    Ok(vfs.sync_dir(LOG_DIR)?)
}

/// Copies a file to quarantine under a name that is free there.
fn set_aside(vfs: &dyn Vfs, path: &str) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut target = format!("{QUARANTINE_DIR}/{name}");
    let mut number = 1_u32;
    while vfs.exists(&target)? {
        target = format!("{QUARANTINE_DIR}/{name}.{number}");
        number += 1;
    }
    let from = vfs.open(path, OpenMode::Read)?;
    let temporary = format!("{target}.tmp");
    if vfs.exists(&temporary)? {
        vfs.remove(&temporary)?;
    }
    let to = vfs.open(&temporary, OpenMode::Create)?;
    let mut buffer = vec![0; COPY_LEN];
    let mut position = 0;
    loop {
        let count = from.read_at(position, &mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        to.write_all_at(position, bytes)?;
        position += count as u64;
    }
    to.sync_all()?;
    vfs.rename(&temporary, &target)?;
    let note = format!("copied from {path} before a repair, {position} bytes\n");
    write_whole(vfs, &format!("{target}.txt"), note.as_bytes())
}
