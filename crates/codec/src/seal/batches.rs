//! Batches whose bodies are sealed. Truth: the header stays readable, with its lengths, LSN, time
//! and chain value; statements (keys, streams) and payloads are inside.
//!
//! The CRC is over the sealed body, so recovery finds torn batches without a key. The place of
//! the block is the batch's first LSN; the nonce is the file's counter, which never is one.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::file_cipher::COUNTER_LEN;
use super::{BlockCipher, BlockIdentity, FileCipher, FileKind, OVERHEAD, StoreKey};
use crate::{BATCH_HEADER_LEN, BatchHeader, CodecRegistry, Error, Result, SaltedCrc};

/// Ciphers of files that are kept for reading.
const KEPT: usize = 16;

/// The key of a log, with the ciphers of files read last.
pub(crate) struct Sealing {
    secret: Zeroizing<Vec<u8>>,
    readers: Mutex<VecDeque<([u8; 16], Arc<FileCipher>)>>,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(..)")
    }
}

impl Sealing {
    fn reader(&self, crc: &SaltedCrc) -> Result<Arc<FileCipher>> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cipher)) = readers.iter().find(|(salt, _)| salt == crc.salt()) {
            return Ok(Arc::clone(cipher));
        }
        let (store_id, file) = crc.file();
        let key = StoreKey::new(store_id, &self.secret)?;
        let cipher = Arc::new(key.old_file(FileKind::Segment, file, crc.salt()));
        readers.truncate(KEPT - 1);
        readers.push_front((*crc.salt(), Arc::clone(&cipher)));
        Ok(cipher)
    }
}

impl CodecRegistry {
    /// The same codecs with a key of 32 bytes, by which batches are sealed and opened.
    ///
    /// # Errors
    /// As [`StoreKey::new`].
    pub fn with_sealing_key(mut self, secret: &[u8]) -> Result<Self> {
        StoreKey::new([0; 16], secret)?;
        let secret = Zeroizing::new(secret.to_vec());
        let sealing = Sealing { secret, readers: Mutex::default() };
        self.sealing = Some(Arc::new(sealing));
        Ok(self)
    }

    /// The cipher of another file beside the log, by its salt; `None` without a key. Only a
    /// `fresh` one, whose salt is new, seals.
    #[must_use]
    pub fn file_cipher(
        &self,
        kind: FileKind,
        store_id: [u8; 16],
        salt: &[u8; 16],
        fresh: bool,
    ) -> Option<FileCipher> {
        let key = StoreKey::new(store_id, &self.sealing.as_ref()?.secret);
        let key = key.expect("checked when it was given");
        Some(if fresh { key.new_file(kind, 0, salt) } else { key.old_file(kind, 0, salt) })
    }

    /// Whether there is a key.
    #[must_use]
    pub const fn is_sealing(&self) -> bool {
        self.sealing.is_some()
    }

    /// The cipher for a segment that is being written, whose salt is fresh; `None` without a key.
    #[must_use]
    pub fn sealer(&self, crc: &SaltedCrc) -> Option<FileCipher> {
        let (store_id, file) = crc.file();
        let key = StoreKey::new(store_id, &self.sealing.as_ref()?.secret);
        Some(key.expect("checked when it was given").new_file(FileKind::Segment, file, crc.salt()))
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

fn place_of(header: &BatchHeader, crc: &SaltedCrc) -> BlockIdentity {
    let (store_id, file) = crc.file();
    BlockIdentity { store_id, file, counter: header.first_lsn.get() }
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
