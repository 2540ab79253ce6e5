//! Batches whose bodies are sealed. Truth: the header stays readable, with its lengths, LSN, time
//! and chain value; statements (keys, streams) and payloads are inside.
//!
//! The CRC is over the sealed body, so recovery finds torn batches without a key. The place of
//! the block is the batch's first LSN; the nonce is the file's counter, which never is one.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::file_cipher::COUNTER_LEN;
use super::ring::{DataKey, KeyNumber, KeyRing, OuterKey};
use super::{BlockCipher, BlockIdentity, FileCipher, FileKind, OVERHEAD, StoreKey};
use crate::{BATCH_HEADER_LEN, BatchHeader, CodecRegistry, Error, Result, SaltedCrc};

/// Ciphers that are kept for reading, of the files that were opened last.
const KEPT: usize = 16;

/// The outer keys that a program has, the data keys of a store that they open, and ciphers of
/// files that were read.
pub(crate) struct Sealing {
    outer: RwLock<Vec<OuterKey>>,
    keys: RwLock<Arc<[DataKey]>>,
    readers: Mutex<VecDeque<([u8; 16], Arc<FileCipher>)>>,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(..)")
    }
}

impl Sealing {
    fn with(outer: Vec<OuterKey>) -> Self {
        let (outer, keys) = (RwLock::new(outer), RwLock::new(Arc::from([])));
        Self { outer, keys, readers: Mutex::default() }
    }

    fn outer(&self) -> Vec<OuterKey> {
        self.outer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keys(&self) -> Arc<[DataKey]> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn store_key(&self, number: KeyNumber, store_id: [u8; 16]) -> Option<StoreKey> {
        let keys = self.keys();
        let key = keys.iter().find(|key| key.number == number)?;
        Some(StoreKey::new(store_id, key.secret.as_slice()).expect("data keys are 32 bytes"))
    }

    fn reader(&self, crc: &SaltedCrc) -> Result<Arc<FileCipher>> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cipher)) = readers.iter().find(|(salt, _)| salt == crc.salt()) {
            return Ok(Arc::clone(cipher));
        }
        let (store_id, file) = crc.file();
        let key = self.store_key(crc.key(), store_id).ok_or(Error::Decrypt)?;
        let cipher = Arc::new(key.old_file(FileKind::Segment, file, crc.salt()));
        readers.truncate(KEPT - 1);
        readers.push_front((*crc.salt(), Arc::clone(&cipher)));
        Ok(cipher)
    }
}

impl CodecRegistry {
    /// The same codecs with an outer key of 32 bytes. Given several, the first wraps the data
    /// keys of a new store; each opens what it wrapped. Batches are sealed and opened once a
    /// key ring was [unlocked](Self::unlocked).
    ///
    /// # Errors
    /// As [`OuterKey::new`].
    pub fn with_sealing_key(mut self, secret: &[u8]) -> Result<Self> {
        let mut outer = self.outer_keys();
        outer.push(OuterKey::new(secret)?);
        self.sealing = Some(Arc::new(Sealing::with(outer)));
        Ok(self)
    }

    /// The outer keys given.
    #[must_use]
    pub fn outer_keys(&self) -> Vec<OuterKey> {
        self.sealing.as_ref().map(|sealing| sealing.outer()).unwrap_or_default()
    }

    /// The same codecs for the store whose key ring this is; apart from those of other stores.
    ///
    /// # Errors
    /// As [`KeyRing::check`].
    pub fn unlocked(&self, ring: &KeyRing) -> Result<Self> {
        let outer = self.outer_keys();
        let sealing = Sealing::with(outer);
        let mut unlocked = self.clone();
        unlocked.sealing = Some(Arc::new(sealing));
        unlocked.change_ring(ring, None)?;
        Ok(unlocked)
    }

    /// Goes over to another ring of the same store, with one more outer key; everybody who
    /// shares these codecs does. Data keys that it lacks stay in memory, for those who still
    /// read what they sealed.
    ///
    /// # Errors
    /// As [`KeyRing::check`]; nothing has changed then.
    pub fn change_ring(&self, ring: &KeyRing, outer: Option<&OuterKey>) -> Result<()> {
        let sealing = self.sealing.as_ref().ok_or(Error::Decrypt)?;
        // Held throughout: two changes at once must not take each other's keys away.
        let mut present = sealing.outer.write().unwrap_or_else(PoisonError::into_inner);
        let mut given = present.clone();
        given.extend(outer.cloned());
        let mut keys = ring.unwrap(&given)?;
        let lacks = |key: &&DataKey| keys.iter().all(|new| new.number != key.number);
        let mut kept: Vec<DataKey> = sealing.keys().iter().filter(lacks).cloned().collect();
        kept.append(&mut keys);
        kept.sort_by_key(|key| key.number);
        *sealing.keys.write().unwrap_or_else(PoisonError::into_inner) = kept.into();
        *present = given;
        Ok(())
    }

    /// The data key that seals; [`KeyNumber::NONE`] when nothing is sealed.
    #[must_use]
    pub fn active_key(&self) -> KeyNumber {
        let keys = self.sealing.as_ref().map(|sealing| sealing.keys());
        keys.and_then(|keys| keys.last().map(|key| key.number)).unwrap_or_default()
    }

    /// The cipher for a file beside the log that is being written, whose salt is fresh, and the
    /// data key behind it; `None` when nothing is sealed.
    #[must_use]
    pub fn new_file_cipher(
        &self,
        kind: FileKind,
        store_id: [u8; 16],
        salt: &[u8; 16],
    ) -> Option<(KeyNumber, FileCipher)> {
        let number = self.active_key();
        let key = self.sealing.as_ref()?.store_key(number, store_id)?;
        Some((number, key.new_file(kind, 0, salt)))
    }

    /// The cipher of a file beside the log; `None` without its data key.
    #[must_use]
    pub fn old_file_cipher(
        &self,
        kind: FileKind,
        store_id: [u8; 16],
        salt: &[u8; 16],
        number: KeyNumber,
    ) -> Option<FileCipher> {
        let key = self.sealing.as_ref()?.store_key(number, store_id)?;
        Some(key.old_file(kind, 0, salt))
    }

    /// Whether what is written is sealed.
    #[must_use]
    pub fn is_sealing(&self) -> bool {
        self.active_key() != KeyNumber::NONE
    }

    /// The cipher for a segment that is being written, whose salt is fresh; `None` when its
    /// header names no data key.
    #[must_use]
    pub fn sealer(&self, crc: &SaltedCrc) -> Option<FileCipher> {
        let (store_id, file) = crc.file();
        let key = self.sealing.as_ref()?.store_key(crc.key(), store_id)?;
        Some(key.new_file(FileKind::Segment, file, crc.salt()))
    }

    /// The body of a batch as it was before it was sealed; the caller checked its CRC.
    ///
    /// # Errors
    /// [`Error::Decrypt`] without the key, with another one, or when the body was changed or moved.
    pub fn plain_body<'a>(
        &self,
        header: &BatchHeader,
        body: &'a [u8],
        crc: &SaltedCrc,
    ) -> Result<Cow<'a, [u8]>> {
        if !header.sealed {
            return Ok(Cow::Borrowed(body));
        }
        let sealing = self.sealing.as_ref().ok_or(Error::Decrypt)?;
        let mut plain = Vec::with_capacity(body.len());
        sealing.reader(crc)?.open(&place_of(header, crc), body, &mut plain)?;
        Ok(Cow::Owned(plain))
    }
}

pub(crate) fn place_of(header: &BatchHeader, crc: &SaltedCrc) -> BlockIdentity {
    let (store_id, file) = crc.file();
    BlockIdentity { store_id, file, place: header.first_lsn.get() }
}

/// Seals the batch that begins at `start` of `out` and ends with it.
///
/// # Errors
/// When it is no plain batch under `crc`, or the cipher's counter is used up; `out` is then to
/// be thrown away from `start` on.
pub fn seal_batch(
    out: &mut Vec<u8>,
    start: usize,
    crc: &SaltedCrc,
    cipher: &FileCipher,
) -> Result<()> {
    let mut header = BatchHeader::decode(out.get(start..).unwrap_or_default(), crc)?;
    let body_at = start + BATCH_HEADER_LEN;
    let end = out.len();
    if header.sealed || end - body_at != header.body_len() {
        return Err(Error::NonCanonical("batch that is to be sealed"));
    }
    out.resize(end + OVERHEAD, 0);
    out.copy_within(body_at..end, body_at + COUNTER_LEN);
    header.sealed = true;
    cipher.seal_between(&place_of(&header, crc), &mut out[body_at..])?;
    header.body_crc = crc.checksum(&out[body_at..]);
    out[start..body_at].copy_from_slice(&header.encode(crc));
    Ok(())
}

/// Copies a whole batch to `out` for another segment: with its CRCs, and sealed for it when there
/// is a cipher.
///
/// # Errors
/// When the batch is not valid under `old`, or [`Error::Decrypt`].
pub fn copy_batch(
    bytes: &[u8],
    old: &SaltedCrc,
    registry: &CodecRegistry,
    new: &SaltedCrc,
    cipher: Option<&FileCipher>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut header = BatchHeader::decode(bytes, old)?;
    let stored = bytes.get(BATCH_HEADER_LEN..header.total_len()).unwrap_or_default();
    header.check_body(stored, old)?;
    let plain = registry.plain_body(&header, stored, old)?;
    header.sealed = false;
    header.body_crc = new.checksum(&plain);
    let start = out.len();
    out.extend_from_slice(&header.encode(new));
    out.extend_from_slice(&plain);
    match cipher {
        Some(cipher) => seal_batch(out, start, new, cipher),
        None => Ok(()),
    }
}
