//! The key ring of a store: its data keys, each wrapped by a key that lies outside. **Truth**:
//! without it nothing that the data keys sealed can be opened.
//!
//! Files are sealed with data keys and name theirs by number. Another outer key means another
//! wrapping of a few dozen bytes, and no file changes; another data key seals what is written
//! from then on.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNK` |
//! | 4 | 1 | version, 1 |
//! | 5 | 3 | zero |
//! | 8 | 16 | store id |
//! | 24 | 8 | generation, from 1 and below 2^64 - 1; the higher one of two copies is the newer |
//! | 32 | 4 | n, data keys, 1 to 1,024 |
//! | 36 | 4 | zero |
//! | 40 | n x 84 | data keys, by number |
//! | 40 + n x 84 | 4 | CRC32 of everything before |
//!
//! A data key:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | number, from 1; the greatest seals |
//! | 4 | 1 | cipher, 1 = AES-256-GCM |
//! | 5 | 3 | zero |
//! | 8 | 8 | made at, microseconds since 1970 |
//! | 16 | 8 | id of the outer key |
//! | 24 | 12 | nonce, random |
//! | 36 | 32 | the data key, encrypted |
//! | 68 | 16 | tag |
//!
//! Associated data: the label `cairn key ring 1` and a zero, the store's id, bytes 0 to 35.

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use cairn_types::Timestamp;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::file_cipher::secret_of;
use crate::{Error, Result};

/// Most data keys of a store.
pub const RING_KEYS_MAX: usize = 1024;
/// Longest key ring in bytes.
pub const RING_LEN_MAX: usize = HEADER_LEN + RING_KEYS_MAX * ENTRY_LEN + CRC_LEN;
/// Random bytes that wrapping one data key takes.
pub const WRAP_RANDOM_LEN: usize = KEY_LEN + NONCE_LEN;

const MAGIC: [u8; 4] = *b"CRNK";
const VERSION: u8 = 1;
const CIPHER: u8 = 1;
const HEADER_LEN: usize = 40;
const ENTRY_LEN: usize = 84;
const ENTRY_HEAD_LEN: usize = 36;
const CRC_LEN: usize = 4;
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const LABEL: &[u8] = b"cairn key ring 1\0";
const ID_LABEL: &[u8] = b"cairn outer key id 1\0";
const WHAT: &str = "key ring";

const _: () = assert!(ENTRY_HEAD_LEN + KEY_LEN + TAG_LEN == ENTRY_LEN);

/// Which outer key wraps a data key: the first bytes of a hash, which say nothing useful of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OuterKeyId([u8; 8]);

impl fmt::Display for OuterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A key from outside the store that wraps its data keys.
#[derive(Clone)]
pub struct OuterKey {
    secret: Zeroizing<[u8; KEY_LEN]>,
    id: OuterKeyId,
}

impl fmt::Debug for OuterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OuterKey({})", self.id)
    }
}

impl OuterKey {
    /// Takes 32 bytes.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] when they are more or fewer, or all zero.
    pub fn new(secret: &[u8]) -> Result<Self> {
        let secret = secret_of(secret)?;
        let hash: [u8; 32] =
            Sha256::new().chain_update(ID_LABEL).chain_update(*secret).finalize().into();
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        Ok(Self { secret, id: OuterKeyId(id) })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> OuterKeyId {
        self.id
    }
}

/// Number of a data key, from 1; 0 where nothing is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct KeyNumber(u32);

impl KeyNumber {
    /// Of files that are not sealed.
    pub const NONE: Self = Self(0);

    /// Wraps a number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A data key, unwrapped; only in memory.
#[derive(Clone)]
pub(crate) struct DataKey {
    pub(crate) number: KeyNumber,
    pub(crate) secret: Zeroizing<[u8; KEY_LEN]>,
}

/// What a key ring says of a data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingKey {
    /// Its number.
    pub number: KeyNumber,
    /// When it was made.
    pub made_at: Timestamp,
    /// Which outer key opens it.
    pub wrapped_by: OuterKeyId,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    key: RingKey,
    nonce: [u8; NONCE_LEN],
    wrapped: [u8; KEY_LEN],
    tag: [u8; TAG_LEN],
}

/// The wrapped data keys of a store.
///
/// ```
/// use cairn_codec::seal::{KeyRing, OuterKey, WRAP_RANDOM_LEN};
/// use cairn_types::Timestamp;
/// let (old, new) = (OuterKey::new(&[1; 32])?, OuterKey::new(&[2; 32])?);
/// let mut random = |bytes: &mut [u8]| bytes.fill(7); // a real source in real life
/// let ring = KeyRing::create([9; 16], &old, Timestamp::from_micros(0), &mut random);
/// let rotated = ring.rotate(&[old.clone()], &new, Timestamp::from_micros(1), &mut random)?;
/// assert!(rotated.check(&[old]).is_err(), "the old key opens nothing any more");
/// assert!(rotated.check(&[new]).is_ok());
/// assert_eq!(rotated.active().get(), 2);
/// # Ok::<(), cairn_codec::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRing {
    store_id: [u8; 16],
    generation: u64,
    // In the order of their numbers, at least one.
    entries: Vec<Entry>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("generation", &self.generation)
            .field("keys", &self.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Fills a buffer with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

impl KeyRing {
    /// A ring with one new data key.
    #[must_use]
    pub fn create(
        store_id: [u8; 16],
        outer: &OuterKey,
        now: Timestamp,
        random: Random<'_>,
    ) -> Self {
        let key = fresh(KeyNumber(1), random);
        let entry = wrap(&store_id, &key, now, outer, random);
        Self { store_id, generation: 1, entries: vec![entry] }
    }

    /// The store it belongs to.
    #[must_use]
    pub const fn store_id(&self) -> &[u8; 16] {
        &self.store_id
    }

    /// Number of this state of the ring, from 1; each change counts it up.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The data key that seals.
    #[must_use]
    pub fn active(&self) -> KeyNumber {
        self.entries.last().expect("a ring holds at least one key").key.number
    }

    /// Its data keys, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = RingKey> + '_ {
        self.entries.iter().map(|entry| entry.key)
    }

    /// Whether the outer keys open all of it.
    ///
    /// # Errors
    /// [`Error::KeyMissing`] names an outer key that is not among them; [`Error::Decrypt`] when
    /// a wrapped key was changed or moved from another store.
    pub fn check(&self, outer: &[OuterKey]) -> Result<()> {
        self.unwrap(outer).map(drop)
    }

    pub(crate) fn unwrap(&self, outer: &[OuterKey]) -> Result<Vec<DataKey>> {
        let open = |entry: &Entry| {
            let id = entry.key.wrapped_by;
            let outer = outer.iter().find(|outer| outer.id == id);
            unwrap(&self.store_id, entry, outer.ok_or(Error::KeyMissing { id })?)
        };
        self.entries.iter().map(open).collect()
    }

    /// The same data keys, and a new one that seals from now on, all under `to`.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::TooLarge`] after 1,024 data keys.
    pub fn rotate(
        &self,
        from: &[OuterKey],
        to: &OuterKey,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<Self> {
        let (found, limit) = (self.entries.len() as u64 + 1, RING_KEYS_MAX as u64);
        let next = self.active().get().checked_add(1);
        let (Some(next), true) = (next, found <= limit) else {
            return Err(Error::TooLarge { what: "data keys of a key ring", found, limit });
        };
        let mut rotated = self.rewrap(from, to, random)?;
        let key = fresh(KeyNumber(next), random);
        rotated.entries.push(wrap(&self.store_id, &key, now, to, random));
        Ok(rotated)
    }

    /// The same data keys under `to`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn rewrap(&self, from: &[OuterKey], to: &OuterKey, random: Random<'_>) -> Result<Self> {
        let keys = self.unwrap(from)?;
        let pairs = keys.iter().zip(&self.entries);
        let entries = pairs
            .map(|(key, entry)| wrap(&self.store_id, key, entry.key.made_at, to, random))
            .collect();
        Ok(Self { store_id: self.store_id, generation: self.generation + 1, entries })
    }

    /// A ring without the data keys that `is_needed` denies; the one that seals stays.
    #[must_use]
    pub fn retain(&self, is_needed: impl Fn(KeyNumber) -> bool) -> Self {
        let active = self.active();
        let kept = |entry: &&Entry| entry.key.number == active || is_needed(entry.key.number);
        let entries = self.entries.iter().filter(kept).cloned().collect();
        Self { store_id: self.store_id, generation: self.generation + 1, entries }
    }

    /// A ring with the data keys of another one of this store that this one lacks: for a copy
    /// whose files still name them. Its generation is the higher of both.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        let known = |entry: &&Entry| self.keys().all(|key| key.number != entry.key.number);
        let mut lacking: Vec<Entry> = other.entries.iter().filter(known).cloned().collect();
        joined.entries.append(&mut lacking);
        joined.entries.sort_by_key(|entry| entry.key.number);
        joined.generation = self.generation.max(other.generation);
        joined
    }

    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.entries.len()).expect("at most 1,024");
        let mut out = Vec::with_capacity(HEADER_LEN + self.entries.len() * ENTRY_LEN + CRC_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.extend_from_slice(&self.store_id);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for entry in &self.entries {
            out.extend_from_slice(&entry.head());
            out.extend_from_slice(&entry.wrapped);
            out.extend_from_slice(&entry.tag);
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a ring whose form is right; only [`check`](Self::check) says whether it is genuine.
    ///
    /// # Errors
    /// [`Error::CutShort`], [`Error::BadMagic`], [`Error::UnsupportedVersion`],
    /// [`Error::LengthMismatch`], [`Error::BodyCrc`], [`Error::NonCanonical`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            let (found, expected) = (bytes.len() as u64, HEADER_LEN as u64);
            return Err(Error::CutShort { what: WHAT, found, expected });
        };
        if head[..4] != MAGIC {
            return Err(Error::BadMagic);
        }
        if head[4] != VERSION {
            return Err(Error::UnsupportedVersion { found: head[4] });
        }
        let count = u32::from_le_bytes(array(&head[32..36]));
        let expected = u64::from(count) * ENTRY_LEN as u64 + CRC_LEN as u64;
        if count == 0 || count as usize > RING_KEYS_MAX || rest.len() as u64 != expected {
            let found = rest.len() as u64;
            return Err(Error::LengthMismatch { what: WHAT, expected, found });
        }
        let (body, crc) = bytes.split_at(bytes.len() - CRC_LEN);
        let (expected, found) = (crc32fast::hash(body), u32::from_le_bytes(array(crc)));
        if expected != found {
            return Err(Error::BodyCrc { expected, found });
        }
        let entries: Option<Vec<Entry>> =
            rest[..rest.len() - CRC_LEN].chunks_exact(ENTRY_LEN).map(Entry::decode).collect();
        let entries = entries.ok_or(Error::NonCanonical(WHAT))?;
        let ordered = entries.is_sorted_by(|a, b| a.key.number < b.key.number);
        let generation = u64::from_le_bytes(array(&head[24..32]));
        let zeroes = head[5..8].iter().chain(&head[36..40]).all(|byte| *byte == 0);
        // The greatest could not be counted on: the next change would be the oldest.
        if !ordered || !zeroes || matches!(generation, 0 | u64::MAX) {
            return Err(Error::NonCanonical(WHAT));
        }
        Ok(Self { store_id: array(&head[8..24]), generation, entries })
    }
}

impl Entry {
    fn head(&self) -> [u8; ENTRY_HEAD_LEN] {
        head_of(&self.key, &self.nonce)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<ENTRY_HEAD_LEN>()?;
        let (wrapped, tag) = rest.split_first_chunk::<KEY_LEN>()?;
        let number = u32::from_le_bytes(array(&head[..4]));
        if number == 0 || head[4..8] != [CIPHER, 0, 0, 0] {
            return None;
        }
        let key = RingKey {
            number: KeyNumber(number),
            made_at: Timestamp::from_micros(i64::from_le_bytes(array(&head[8..16]))),
            wrapped_by: OuterKeyId(array(&head[16..24])),
        };
        Some(Self { key, nonce: array(&head[24..]), wrapped: *wrapped, tag: tag.try_into().ok()? })
    }
}

fn head_of(key: &RingKey, nonce: &[u8; NONCE_LEN]) -> [u8; ENTRY_HEAD_LEN] {
    let mut out = [0; ENTRY_HEAD_LEN];
    out[..4].copy_from_slice(&key.number.0.to_le_bytes());
    out[4] = CIPHER;
    out[8..16].copy_from_slice(&key.made_at.as_micros().to_le_bytes());
    out[16..24].copy_from_slice(&key.wrapped_by.0);
    out[24..].copy_from_slice(nonce);
    out
}

fn fresh(number: KeyNumber, random: Random<'_>) -> DataKey {
    let mut secret = Zeroizing::new([0; KEY_LEN]);
    random(secret.as_mut_slice());
    DataKey { number, secret }
}

fn wrap(
    store_id: &[u8; 16],
    key: &DataKey,
    made_at: Timestamp,
    outer: &OuterKey,
    random: Random<'_>,
) -> Entry {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce);
    let said = RingKey { number: key.number, made_at, wrapped_by: outer.id };
    let associated = [LABEL, store_id, &head_of(&said, &nonce)].concat();
    let mut wrapped = *key.secret;
    let tag = Aes256Gcm::new((&*outer.secret).into())
        .encrypt_inout_detached(&nonce.into(), &associated, wrapped.as_mut_slice().into())
        .expect("32 bytes are far below the cipher's limit")
        .into();
    Entry { key: said, nonce, wrapped, tag }
}

fn unwrap(store_id: &[u8; 16], entry: &Entry, outer: &OuterKey) -> Result<DataKey> {
    let associated = [LABEL, store_id, &entry.head()].concat();
    let mut secret = Zeroizing::new(entry.wrapped);
    Aes256Gcm::new((&*outer.secret).into())
        .decrypt_inout_detached(
            &entry.nonce.into(),
            &associated,
            secret.as_mut_slice().into(),
            &entry.tag.into(),
        )
        .map_err(|_| Error::Decrypt)?;
    Ok(DataKey { number: entry.key.number, secret })
}

/// Bytes of a length that was checked before.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cut it to this length")
}
