//! What every part of one open log shares: files, clock, randomness, settings, identity.

use std::sync::{Arc, Mutex, PoisonError};

use cairn_codec::CodecRegistry;
use cairn_types::SegmentId;
use cairn_vfs::{Clock, OpenMode, Rng, Vfs, VfsFile};

use crate::format::superblock::{SLOT_LEN, SLOT_STRIDE, SUPERBLOCK_PATH, Superblock};
use crate::format::{LOG_DIR, store_file};
use crate::mutation::{Mutation, Mutations};
use crate::observe::Counters;
use crate::{Corruption, Error, LogConfig, Result};

/// Surroundings of one open log.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) config: LogConfig,
    pub(crate) registry: CodecRegistry,
    pub(crate) id: [u8; 16],
    pub(crate) mutations: Mutations,
    pub(crate) read_only: bool,
    pub(crate) counters: Counters,
}

impl Store {
    /// Sixteen random bytes for a new segment.
    pub(crate) fn fresh_salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.rng.fill(&mut salt);
        salt
    }

    /// Makes names in the log directory survive a power cut.
    pub(crate) fn sync_log_dir(&self) -> Result<()> {
        if self.mutations.has(Mutation::NoDirectorySync) {
            return Ok(());
        }
        Ok(self.vfs.sync_dir(LOG_DIR)?)
    }

    /// Writes a whole small file so that it is there completely or not at all.
    pub(crate) fn write_whole(&self, path: &str, bytes: &[u8]) -> Result<()> {
        write_whole(&*self.vfs, path, bytes)
    }
}

/// Writes `bytes` to a temporary name, syncs, and renames it to `path`; the caller syncs the
/// directory.
pub(crate) fn write_whole(vfs: &dyn Vfs, path: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{path}.tmp");
    if vfs.exists(&temporary)? {
        vfs.remove(&temporary)?;
    }
    let file = vfs.open(&temporary, OpenMode::Create)?;
    file.write_all_at(0, bytes)?;
    file.sync_all()?;
    drop(file);
    Ok(vfs.rename(&temporary, path)?)
}

/// Reads a whole file of at most `len_max` bytes.
pub(crate) fn read_whole(vfs: &dyn Vfs, path: &str, len_max: u64) -> Result<Vec<u8>> {
    let file = vfs.open(path, OpenMode::Read)?;
    let len = file.len()?;
    if len > len_max {
        return Err(Error::corrupt(
            path,
            len_max,
            format!("{len} bytes, at most {len_max} expected"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("len_max is small")];
    file.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}

/// The superblock file with its newest state.
#[derive(Debug)]
pub(crate) struct SuperblockFile {
    file: Arc<dyn VfsFile>,
    current: Mutex<Superblock>,
}

/// What was found in the two slots.
#[derive(Debug)]
pub(crate) struct SlotsRead {
    pub(crate) newest: Option<Superblock>,
    pub(crate) damaged: Vec<Corruption>,
}

impl SuperblockFile {
    /// Writes both slots of a new store and syncs them; the caller syncs the directory.
    pub(crate) fn create(vfs: &dyn Vfs, first: &Superblock) -> Result<()> {
        let file = vfs.open(SUPERBLOCK_PATH, OpenMode::CreateOrOpen)?;
        file.set_len(0)?;
        for generation in [first.generation, first.generation + 1] {
            let block = Superblock { generation, ..first.clone() };
            file.write_all_at(block.slot_position(), &block.encode())?;
        }
        Ok(file.sync_all()?)
    }

    /// Reads both slots.
    pub(crate) fn read_slots(vfs: &dyn Vfs) -> Result<SlotsRead> {
        let mut read = SlotsRead { newest: None, damaged: Vec::new() };
        let file = match vfs.open(SUPERBLOCK_PATH, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => {
                read.damaged.push(Corruption::new(SUPERBLOCK_PATH, 0, "the file is missing"));
                return Ok(read);
            }
            Err(error) => return Err(error.into()),
        };
        for position in [0, SLOT_STRIDE] {
            let mut bytes = [0; SLOT_LEN];
            let got = file.read_at(position, &mut bytes)?;
            let slot = if got < SLOT_LEN {
                Err(format!("the slot ends after {got} bytes"))
            } else {
                Superblock::decode(&bytes).map_err(|fault| fault.to_string()).and_then(|block| {
                    let place = block.slot_position() == position;
                    if place {
                        Ok(block)
                    } else {
                        Err("the slot holds the other slot's state".into())
                    }
                })
            };
            match slot {
                Ok(block) => {
                    if read.newest.as_ref().is_none_or(|best| best.generation < block.generation) {
                        read.newest = Some(block);
                    }
                }
                Err(cause) => {
                    read.damaged.push(Corruption::new(SUPERBLOCK_PATH, position, cause));
                }
            }
        }
        Ok(read)
    }

    /// Opens the file for writing on from `current`.
    pub(crate) fn open(vfs: &dyn Vfs, current: Superblock) -> Result<Self> {
        let file = vfs.open(SUPERBLOCK_PATH, OpenMode::CreateOrOpen)?;
        Ok(Self { file, current: Mutex::new(current) })
    }

    /// The newest state.
    pub(crate) fn current(&self) -> Superblock {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the state, writes it to the other slot and syncs it.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Superblock)) -> Result<()> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = current.clone();
        change(&mut next);
        assert!(next.durable_end >= next.start_lsn, "the retained log cannot start past its end");
        next.generation = current.generation + 1;
        self.file.write_all_at(next.slot_position(), &next.encode())?;
        self.file.sync_data()?;
        *current = next;
        Ok(())
    }
}

/// Creates the files of a new store. `CAIRN` comes last: its presence says "finished".
pub(crate) fn create_store(
    vfs: &dyn Vfs,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<store_file::StoreFile> {
    let now = clock.now();
    let mut random = [0; 10];
    rng.fill(&mut random);
    let id = cairn_types::EventId::v7(now, random).to_bytes();
    let store = store_file::StoreFile { id, created_at: now };
    vfs.create_dir_all(LOG_DIR)?;
    SuperblockFile::create(vfs, &Superblock::empty(id, now))?;
    vfs.sync_dir(LOG_DIR)?;
    write_whole(vfs, store_file::STORE_PATH, store.encode().as_bytes())?;
    vfs.sync_dir("")?;
    Ok(store)
}

/// Name of a segment for messages.
pub(crate) fn name_of(id: SegmentId) -> String {
    crate::format::segment_path(id)
}
