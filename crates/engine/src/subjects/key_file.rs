//! The keys of subjects. **Truth**, and the only copy: what a key sealed is lost with it, which is
//! what it is for. No key is ever in the log.
//!
//! `keys/subjects`: slots of 128 bytes, the first one a header, little-endian:
//!
//! | offset | size | header |
//! |---|---|---|
//! | 0 | 8 | `CRNsubj1`: what it is, and the version |
//! | 8 | 16 | store |
//! | 24 | 96 | zero |
//! | 120 | 8 | first bytes of SHA-256 over everything before |
//!
//! | offset | size | key of a subject |
//! |---|---|---|
//! | 0 | 32 | SHA-256 over `cairn subject 1`, zero, the store and the subject's name |
//! | 32 | 1 | 1 the key as it is, 2 sealed with a data key of the store's encryption at rest |
//! | 33 | 3 | zero |
//! | 36 | 4 | number of the data key that sealed it, else zero |
//! | 40 | 16 | salt of the sealing, else zero |
//! | 56 | 56 | the sealed key, or its 32 bytes and zeroes |
//! | 112 | 8 | zero |
//! | 120 | 8 | first bytes of SHA-256 over everything before |
//!
//! A new key is synced before anything is sealed with it. To drop a key its slot is overwritten
//! with zeroes and synced. A slot that is not whole belongs to a key that was never used, or to one
//! whose dropping a crash cut off: when subjects were shredded it is overwritten, too. What a
//! process left behind may be in the page cache alone, so the file is copied, synced and put in the
//! place of the old one, which is overwritten with zeroes, before a key of it seals anything. The
//! same is done to seal all keys with a newer data key.

use std::collections::HashMap;
use std::sync::Arc;

use cairn_codec::seal::{BlockCipher, BlockIdentity, FileKind, KeyNumber, StoreKey};
use cairn_merkle::hash::sha256;
use cairn_segment::Log;
use cairn_vfs::{OpenMode, VfsFile};

use crate::proof::files::{self, Keep};
use crate::{Error, Result};

/// Where the file is.
pub(super) const PATH: &str = "keys/subjects";
const MAGIC: [u8; 8] = *b"CRNsubj1";
const SLOT: usize = 128;
const SLOT_LEN: u64 = SLOT as u64;
const CHECKED: usize = SLOT - 8;
const KEY_LEN: usize = 32;
const SEALED_LEN: usize = KEY_LEN + cairn_codec::seal::OVERHEAD;
const PLAIN: u8 = 1;
const SEALED: u8 = 2;
const ZEROES: [u8; 4096] = [0; 4096];
/// Slots read at a time.
const PIECE: usize = 512;
const _: () = assert!(512 % SLOT == 0 && 56 + SEALED_LEN == 112);

/// A subject as the file knows it.
pub(super) type SubjectId = [u8; 32];

/// The file, read into memory.
#[derive(Debug)]
pub(super) struct KeyFile {
    log: Log,
    /// Made with the first key.
    file: Option<Arc<dyn VfsFile>>,
    keys: HashMap<SubjectId, Held>,
    /// Slots that hold nothing.
    free: Vec<u64>,
    /// Slots that are not whole.
    torn: Vec<u64>,
    /// The first slot behind all.
    end: u64,
}

/// A key in its slot.
#[derive(Debug, Clone)]
struct Held {
    slot: u64,
    key: Arc<StoreKey>,
    sealed_with: KeyNumber,
}

type Slot = zeroize::Zeroizing<[u8; SLOT]>;

/// What a slot says.
struct Opened {
    id: SubjectId,
    secret: zeroize::Zeroizing<Vec<u8>>,
    sealed_with: KeyNumber,
}

fn damaged(cause: &'static str) -> Error {
    Error::Proof(Arc::new(crate::proof::Error::Damaged { file: PATH, cause }))
}

fn vfs_error(error: cairn_vfs::Error) -> Error {
    Error::Log(error.into())
}

impl KeyFile {
    pub(super) fn open(log: &Log) -> Result<Self> {
        let mode = if log.is_read_only() { OpenMode::Read } else { OpenMode::ReadWrite };
        let file = match log.vfs().open(PATH, mode) {
            Ok(file) if log.is_read_only() => Some(file),
            Ok(file) => Some(copied(log, &*file)?),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(vfs_error(error)),
        };
        let mut opened = Self {
            log: log.clone(),
            file,
            keys: HashMap::new(),
            free: Vec::new(),
            torn: Vec::new(),
            end: 1,
        };
        if let Some(file) = opened.file.clone() {
            opened.read(&*file)?;
        }
        Ok(opened)
    }

    pub(super) fn id_of(log: &Log, subject: &[u8]) -> SubjectId {
        let label: &[u8] = b"cairn subject 1\0";
        *sha256(&[label, &log.store_id(), subject].concat()).as_bytes()
    }

    fn read(&mut self, file: &dyn VfsFile) -> Result<()> {
        let len = file.len().map_err(vfs_error)?;
        let slots = len / SLOT_LEN;
        let mut number = 0;
        let mut piece = vec![0; PIECE * SLOT];
        while number < slots {
            let count = usize::try_from(slots - number).unwrap_or(PIECE).min(PIECE);
            let bytes = piece.get_mut(..count * SLOT).expect("no more than a piece");
            file.read_exact_at(number * SLOT_LEN, bytes).map_err(vfs_error)?;
            for slot in bytes.chunks_exact(SLOT) {
                self.take(number, slot.try_into().expect("a whole slot"))?;
                number += 1;
            }
        }
        self.end = slots.max(1);
        if len % SLOT_LEN != 0 {
            // The last key was never used: it did not come to the disk whole.
            self.torn.push(self.end);
            self.end += 1;
        }
        Ok(())
    }

    fn take(&mut self, number: u64, slot: &[u8; SLOT]) -> Result<()> {
        if number == 0 {
            let is_ours = *slot == header(&self.log);
            return if is_ours { Ok(()) } else { Err(damaged("it is of another store or format")) };
        }
        if slot == &[0; SLOT] {
            self.free.push(number);
            return Ok(());
        }
        if check(&slot[..CHECKED]) != slot[CHECKED..] {
            self.torn.push(number);
            return Ok(());
        }
        let Opened { id, secret, sealed_with } = self.opened(slot)?;
        let key = Arc::new(StoreKey::new(self.log.store_id(), &secret)?);
        self.keys.insert(id, Held { slot: number, key, sealed_with });
        Ok(())
    }

    /// The key of a whole slot.
    fn opened(&self, slot: &[u8; SLOT]) -> Result<Opened> {
        let id: SubjectId = *slot.first_chunk().expect("the slot is longer");
        let sealed_with = u32::from_le_bytes(slot[36..40].try_into().expect("4 bytes"));
        let sealed_with = KeyNumber::new(sealed_with);
        let body = &slot[56..112];
        let mut secret = zeroize::Zeroizing::new(Vec::with_capacity(SEALED_LEN));
        match slot[32] {
            PLAIN => secret.extend_from_slice(&body[..KEY_LEN]),
            SEALED => {
                let salt = slot[40..56].try_into().expect("16 bytes");
                let (codecs, store) = (self.log.codecs(), self.log.store_id());
                let cipher =
                    || codecs.old_file_cipher(FileKind::Subject, store, &salt, sealed_with);
                // Another process may have added it.
                let cipher = match cipher() {
                    None => self.log.refresh_keys().map(|()| cipher())?,
                    known => known,
                };
                let cipher = cipher.ok_or(damaged("its keys need a data key of the store"))?;
                cipher
                    .open(&self.place(), body, &mut secret)
                    .map_err(|_| damaged("a key was sealed with another key of the store"))?;
            }
            _ => return Err(damaged("a key of an unknown form")),
        }
        Ok(Opened { id, secret, sealed_with })
    }

    /// The data keys that sealed something here; none's number for what is not sealed.
    pub(super) fn data_keys(&self) -> Vec<KeyNumber> {
        let mut numbers: Vec<_> = self.keys.values().map(|held| held.sealed_with).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Seals every key with the newest data key, in a copy of the file that takes its place.
    pub(super) fn reseal(&mut self) -> Result<()> {
        let active = self.log.codecs().active_key();
        let Some(file) = self.file.clone() else { return Ok(()) };
        if self.keys.values().all(|held| held.sealed_with == active) {
            return Ok(());
        }
        let mut bytes = whole(&*file)?;
        let mut resealed = self.keys.clone();
        for held in resealed.values_mut() {
            let at = usize::try_from(held.slot * SLOT_LEN).map_err(|_| too_long())?;
            let slot = bytes.get_mut(at..at + SLOT).and_then(|slot| slot.first_chunk_mut::<SLOT>());
            let slot = slot.ok_or(damaged("it is shorter than it was"))?;
            let Opened { id, secret, .. } = self.opened(slot)?;
            let (number, sealed) = self.slot_of(&id, &secret)?;
            slot.copy_from_slice(&sealed[..]);
            held.sealed_with = number;
        }
        self.file = Some(put_in_place(&self.log, &*file, &bytes)?);
        self.keys = resealed;
        Ok(())
    }

    fn place(&self) -> BlockIdentity {
        BlockIdentity { store_id: self.log.store_id(), file: 0, place: 0 }
    }

    /// The key of a subject.
    pub(super) fn get(&self, id: &SubjectId) -> Option<Arc<StoreKey>> {
        self.keys.get(id).map(|held| held.key.clone())
    }

    /// The key of a subject, made and on the disk when it had none.
    pub(super) fn get_or_make(&mut self, id: &SubjectId) -> Result<Arc<StoreKey>> {
        if let Some(key) = self.get(id) {
            return Ok(key);
        }
        let mut secret = zeroize::Zeroizing::new([0; KEY_LEN]);
        self.log.rng().fill(secret.as_mut_slice());
        let (sealed_with, slot) = self.slot_of(id, secret.as_slice())?;
        let number = self.free.last().copied().unwrap_or(self.end);
        let file = self.file_for_writing()?;
        file.write_all_at(number * SLOT_LEN, &slot[..]).map_err(vfs_error)?;
        file.sync_all().map_err(vfs_error)?;
        if self.free.pop().is_none() {
            self.end += 1;
        }
        let key = Arc::new(StoreKey::new(self.log.store_id(), secret.as_slice())?);
        self.keys.insert(*id, Held { slot: number, key: key.clone(), sealed_with });
        Ok(key)
    }

    /// A slot, and the data key that seals what is in it: another may be the newest by now.
    fn slot_of(&self, id: &SubjectId, secret: &[u8]) -> Result<(KeyNumber, Slot)> {
        let mut slot = zeroize::Zeroizing::new([0; SLOT]);
        slot[..32].copy_from_slice(id);
        let mut salt = [0; 16];
        self.log.rng().fill(&mut salt);
        let (codecs, store) = (self.log.codecs(), self.log.store_id());
        let sealed_with = match codecs.new_file_cipher(FileKind::Subject, store, &salt) {
            None => {
                slot[32] = PLAIN;
                slot[56..56 + KEY_LEN].copy_from_slice(secret);
                KeyNumber::NONE
            }
            Some((number, cipher)) => {
                slot[32] = SEALED;
                slot[36..40].copy_from_slice(&number.get().to_le_bytes());
                slot[40..56].copy_from_slice(&salt);
                let mut sealed = Vec::with_capacity(SEALED_LEN);
                cipher.seal(&self.place(), secret, &mut sealed)?;
                slot[56..112].copy_from_slice(&sealed);
                number
            }
        };
        let check = check(&slot[..CHECKED]);
        slot[CHECKED..].copy_from_slice(&check);
        Ok((sealed_with, slot))
    }

    /// The file, made with its header when there is none.
    fn file_for_writing(&mut self) -> Result<Arc<dyn VfsFile>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let vfs = &**self.log.vfs();
        files::replace(vfs, PATH, &header(&self.log), Keep::Durably)
            .map_err(|error| Error::Proof(Arc::new(error)))?;
        let file = vfs.open(PATH, OpenMode::ReadWrite).map_err(vfs_error)?;
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Overwrites the key of a subject, durably; says whether there was one.
    pub(super) fn forget(&mut self, id: &SubjectId) -> Result<bool> {
        let (Some(held), Some(file)) = (self.keys.get(id), &self.file) else {
            return Ok(false);
        };
        let number = held.slot;
        wipe(&**file, number)?;
        self.keys.remove(id);
        self.free.push(number);
        Ok(true)
    }

    /// Overwrites slots that are not whole.
    pub(super) fn wipe_torn(&mut self) -> Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        while let Some(number) = self.torn.last().copied() {
            wipe(&*file, number)?;
            self.torn.pop();
            self.free.push(number);
        }
        Ok(())
    }
}

/// The file again, and certainly on the disk.
fn copied(log: &Log, old: &dyn VfsFile) -> Result<Arc<dyn VfsFile>> {
    let bytes = whole(old)?;
    put_in_place(log, old, &bytes)
}

fn too_long() -> Error {
    damaged("it does not fit memory")
}

fn whole(file: &dyn VfsFile) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let len = file.len().map_err(vfs_error)?;
    let len = usize::try_from(len).map_err(|_| too_long())?;
    let mut bytes = zeroize::Zeroizing::new(vec![0; len]);
    file.read_exact_at(0, &mut bytes).map_err(vfs_error)?;
    Ok(bytes)
}

/// Puts a file of these bytes, as long as the old one, in its place and overwrites the old one.
fn put_in_place(log: &Log, old: &dyn VfsFile, bytes: &[u8]) -> Result<Arc<dyn VfsFile>> {
    files::replace(&**log.vfs(), PATH, bytes, Keep::Durably)
        .map_err(|error| Error::Proof(Arc::new(error)))?;
    for piece in 0..bytes.len().div_ceil(ZEROES.len()) {
        let at = piece * ZEROES.len();
        let zeroes = ZEROES.get(..bytes.len() - at).unwrap_or(&ZEROES);
        old.write_all_at(at as u64, zeroes).map_err(vfs_error)?;
    }
    old.sync_all().map_err(vfs_error)?;
    log.vfs().open(PATH, OpenMode::ReadWrite).map_err(vfs_error)
}

fn wipe(file: &dyn VfsFile, number: u64) -> Result<()> {
    file.write_all_at(number * SLOT_LEN, &[0; SLOT]).map_err(vfs_error)?;
    file.sync_all().map_err(vfs_error)
}

fn check(bytes: &[u8]) -> [u8; 8] {
    *sha256(bytes).as_bytes().first_chunk().expect("a hash is longer")
}

fn header(log: &Log) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&MAGIC);
    slot[8..24].copy_from_slice(&log.store_id());
    let check = check(&slot[..CHECKED]);
    slot[CHECKED..].copy_from_slice(&check);
    slot
}
