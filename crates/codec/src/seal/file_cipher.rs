//! AES-256-GCM with a key of its own for every file. Neither truth nor derived: keys come from
//! outside, and what is sealed is as true as what went in.
//!
//! The key of a file is HKDF-SHA-256 (RFC 5869) of the store's key with the file's random salt;
//! `info` is the label `cairn file key 1` and a zero, the store's id (16 bytes), the number of
//! the file (u64) and its kind (1 byte), so that no two files, kinds or stores share a key. A sealed block:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 8 | counter, from 0, never twice under one key |
//! | 8 | n | ciphertext, as long as the plaintext |
//! | 8 + n | 16 | tag |
//!
//! The nonce (96 bits, NIST SP 800-38D section 8.2.1) is four zeroes and the counter. The
//! associated data is the store's id, the number of the file, its kind and the place of the
//! block. All numbers are little-endian.
//!
//! Invariants: a counter is used once, also when a write fails and is repeated, because the
//! counter moves with every sealing and only a cipher made with [`StoreKey::new_file`], from a
//! salt that is fresh, seals at all. It is never a position in the log: a tail that was cut
//! gives its LSNs to other records, and two plaintexts under one nonce reveal each other.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{BlockCipher, BlockIdentity};
use crate::{Error, Result};

/// Bytes of a file's random salt.
pub const FILE_SALT_LEN: usize = 16;
pub(crate) const COUNTER_LEN: usize = 8;
pub(crate) const TAG_LEN: usize = 16;
/// Bytes that sealing adds: counter and tag.
pub const OVERHEAD: usize = COUNTER_LEN + TAG_LEN;
const KEY_LEN: usize = 32;
const LABEL: &[u8] = b"cairn file key 1\0";
/// Blocks under one key. SP 800-38D allows 2^32 with random nonces and sets no such bound for
/// counters; staying below keeps the total within the cipher's confidentiality margin.
const COUNTER_MAX: u64 = 1 << 32;
/// Longest block, far below the 64 GiB of the cipher.
const BLOCK_LEN_MAX: usize = 1 << 30;

const _: () = assert!(OVERHEAD == 24);

/// What a file is for. A block of one kind never opens as one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A segment of the log.
    Segment,
    /// A file that a view keeps beside the log: a table, a tile, a checkpoint.
    Table,
    /// Reserved; no file of this kind is written.
    Checkpoint,
    /// Reserved; no file of this kind is written.
    Backup,
    /// A payload about a subject, which is its own file, and the file of subjects' keys.
    Subject,
}

impl FileKind {
    const fn number(self) -> u8 {
        match self {
            Self::Segment => 1,
            Self::Table => 2,
            Self::Checkpoint => 3,
            Self::Backup => 4,
            Self::Subject => 5,
        }
    }
}

/// The key from which the keys of a store's files are made.
///
/// ```
/// use cairn_codec::seal::{BlockCipher, BlockIdentity, FileKind, StoreKey};
/// let key = StoreKey::new([7; 16], &[42; 32])?;
/// let (salt, file) = ([9; 16], 3);
/// let writer = key.new_file(FileKind::Segment, file, &salt);
/// let place = BlockIdentity { store_id: [7; 16], file, place: 4096 };
/// let mut sealed = Vec::new();
/// writer.seal(&place, b"secret", &mut sealed)?;
/// assert_eq!(sealed.len(), 6 + writer.overhead());
/// let mut plain = Vec::new();
/// key.old_file(FileKind::Segment, file, &salt).open(&place, &sealed, &mut plain)?;
/// assert_eq!(plain, b"secret");
/// # Ok::<(), cairn_codec::Error>(())
/// ```
#[derive(Clone)]
pub struct StoreKey {
    store_id: [u8; 16],
    secret: Zeroizing<[u8; KEY_LEN]>,
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

impl StoreKey {
    /// Takes 32 bytes that a key provider gave.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] when they are more or fewer, or all zero.
    pub fn new(store_id: [u8; 16], secret: &[u8]) -> Result<Self> {
        Ok(Self { store_id, secret: secret_of(secret)? })
    }

    /// The cipher that writes a new file. The salt must be fresh and random: it is what keeps
    /// the keys of two files with one number apart.
    #[must_use]
    pub fn new_file(&self, kind: FileKind, file: u64, salt: &[u8; FILE_SALT_LEN]) -> FileCipher {
        FileCipher { seals: true, ..self.old_file(kind, file, salt) }
    }

    /// The cipher that reads a file; it refuses to seal, because it does not know which
    /// counters were used.
    #[must_use]
    pub fn old_file(&self, kind: FileKind, file: u64, salt: &[u8; FILE_SALT_LEN]) -> FileCipher {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        let (number, kind_byte) = (file.to_le_bytes(), [kind.number()]);
        let info = [LABEL, self.store_id.as_slice(), number.as_slice(), kind_byte.as_slice()];
        Hkdf::<Sha256>::new(Some(salt), self.secret.as_slice())
            .expand_multi_info(&info, key.as_mut_slice())
            .expect("32 bytes are fewer than HKDF gives");
        FileCipher {
            cipher: Aes256Gcm::new((&*key).into()),
            store_id: self.store_id,
            file,
            kind,
            counter: AtomicU64::new(0),
            seals: false,
        }
    }
}

/// Seals and opens the blocks of one file.
pub struct FileCipher {
    cipher: Aes256Gcm,
    store_id: [u8; 16],
    file: u64,
    kind: FileKind,
    /// The next counter.
    counter: AtomicU64,
    seals: bool,
}

impl fmt::Debug for FileCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileCipher({:?} {})", self.kind, self.file)
    }
}

impl FileCipher {
    /// Blocks sealed so far.
    #[must_use]
    pub fn sealed_count(&self) -> u64 {
        self.counter.load(Ordering::Relaxed).min(COUNTER_MAX)
    }

    /// Takes the next counter; none is ever given back.
    fn next_counter(&self) -> Result<u64> {
        if !self.seals {
            return Err(Error::Codec {
                codec: "AES-256-GCM".into(),
                cause: "a file that was opened for reading is not sealed into".into(),
            });
        }
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        if counter >= COUNTER_MAX {
            // Held there, so that no number of failures wraps it around.
            self.counter.store(COUNTER_MAX, Ordering::Relaxed);
            return Err(Error::Codec {
                codec: "AES-256-GCM".into(),
                cause: "the counters of this file are used up; begin another one".into(),
            });
        }
        Ok(counter)
    }

    /// What is authenticated beside the block. The cipher's own store and file, checked
    /// against the caller's: a block never opens in the name of another file.
    fn associated(&self, identity: &BlockIdentity) -> Result<[u8; 33]> {
        if identity.store_id != self.store_id || identity.file != self.file {
            return Err(Error::Decrypt);
        }
        let mut out = [0; 33];
        out[..16].copy_from_slice(&self.store_id);
        out[16..24].copy_from_slice(&self.file.to_le_bytes());
        out[24] = self.kind.number();
        out[25..].copy_from_slice(&identity.place.to_le_bytes());
        Ok(out)
    }
}

impl FileCipher {
    fn encrypt(&self, counter: u64, associated: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        self.cipher
            .encrypt_inout_detached(&nonce(counter).into(), associated, buffer.into())
            .expect("the length is capped far below the cipher's")
            .into()
    }

    /// Seals what lies between a gap of 8 bytes and one of 16.
    pub(crate) fn seal_between(&self, identity: &BlockIdentity, block: &mut [u8]) -> Result<()> {
        let associated = self.associated(identity)?;
        let (head, rest) = block.split_first_chunk_mut::<COUNTER_LEN>().ok_or(Error::Decrypt)?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::Decrypt)?;
        let counter = self.next_counter()?;
        *head = counter.to_le_bytes();
        *tag = self.encrypt(counter, &associated, body);
        Ok(())
    }
}

/// A key that may be one.
pub(super) fn secret_of(bytes: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>> {
    let key = <[u8; KEY_LEN]>::try_from(bytes).map(Zeroizing::new);
    let key = key.ok().filter(|key| key.iter().any(|byte| *byte != 0));
    key.ok_or(Error::InvalidKey { found: bytes.len() as u64 })
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

impl BlockCipher for FileCipher {
    fn overhead(&self) -> usize {
        OVERHEAD
    }

    fn seal(&self, identity: &BlockIdentity, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let associated = self.associated(identity)?;
        let (found, limit) = (plain.len() as u64, BLOCK_LEN_MAX as u64);
        if found > limit {
            return Err(Error::TooLarge { what: "bytes of a block", found, limit });
        }
        let counter = self.next_counter()?;
        let start = out.len();
        out.extend_from_slice(&counter.to_le_bytes());
        out.extend_from_slice(plain);
        let tag = self.encrypt(counter, &associated, &mut out[start + COUNTER_LEN..]);
        out.extend_from_slice(&tag);
        Ok(())
    }

    fn open(&self, identity: &BlockIdentity, sealed: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let associated = self.associated(identity)?;
        let (counter, rest) = sealed.split_first_chunk::<COUNTER_LEN>().ok_or(Error::Decrypt)?;
        let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(Error::Decrypt)?;
        let counter = u64::from_le_bytes(*counter);
        if counter >= COUNTER_MAX || body.len() > BLOCK_LEN_MAX {
            return Err(Error::Decrypt);
        }
        let start = out.len();
        out.extend_from_slice(body);
        let opened = self.cipher.decrypt_inout_detached(
            &nonce(counter).into(),
            &associated,
            (&mut out[start..]).into(),
            tag.into(),
        );
        if opened.is_err() {
            out.truncate(start);
            return Err(Error::Decrypt);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_counter_is_used_and_none_after_it() {
        let key = StoreKey::new([1; 16], &[2; 32]).expect("a key");
        let cipher = key.new_file(FileKind::Segment, 1, &[3; 16]);
        let place = BlockIdentity { store_id: [1; 16], file: 1, place: 0 };
        cipher.counter.store(COUNTER_MAX - 1, Ordering::Relaxed);
        let mut out = Vec::new();
        cipher.seal(&place, b"last", &mut out).expect("the last one");
        for _ in 0..3 {
            let mut more = Vec::new();
            assert!(cipher.seal(&place, b"more", &mut more).is_err() && more.is_empty());
            assert_eq!(cipher.sealed_count(), COUNTER_MAX);
        }
        let mut plain = Vec::new();
        cipher.open(&place, &out, &mut plain).expect("opens");
        assert_eq!(plain, b"last");
    }
}
