//! Sealed records. **Truth**: an envelope holds the only copy of what is in it.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 1 | cipher, 1 = AES-256-GCM under a key derived with HKDF-SHA-256 |
//! | 2 | 2 | kind of the record |
//! | 4 | 4 | number of the data key, little-endian |
//! | 8 | 4 | length of the ciphertext, little-endian |
//! | 12 | 4 | reserved, 0 |
//! | 16 | 16 | salt of the key derivation, random |
//! | 32 | 12 | nonce, random |
//! | 44 | n | ciphertext |
//! | 44 + n | 16 | tag |
//!
//! Associated data: a label, the store's id, bytes 0 to 43, the identity of the record.
//! Each envelope has a key of its own, so 28 random bytes would have to meet again before a
//! nonce is used twice: there is no number of envelopes after which a data key is worn out.

use std::fmt;
use std::sync::Arc;

use cairn_types::limits::MAX_PAYLOAD_LEN;
use cairn_vfs::Rng;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::aead::{self, NONCE_LEN, TAG_LEN};
use super::wrap::{DataKey, DataKeyId};
use super::{MasterKey, StoreId};
use crate::error::{Error, Result};

/// Longest plaintext in bytes.
pub const MAX_SEALED_LEN: usize = MAX_PAYLOAD_LEN;
/// Bytes that an envelope has beside its ciphertext.
pub const ENVELOPE_OVERHEAD: usize = HEADER_LEN + TAG_LEN;

const VERSION: u8 = 1;
const CIPHER: u8 = 1;
const HEADER_LEN: usize = 44;
const SALT_LEN: usize = 16;
/// Most data keys of a store.
pub(crate) const MAX_DATA_KEYS: usize = 4096;
const LABEL: &[u8] = b"cairn-auth envelope 1\0";
const KEY_INFO: &[u8] = b"cairn-auth envelope key 1\0";
const WHAT: &str = "envelope";

const _: () = assert!(16 + SALT_LEN + NONCE_LEN == HEADER_LEN);

/// What kind of record an envelope holds. Numbers below 256 are this crate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKind(pub u16);

/// Seals and opens records with data keys that a master key wraps.
///
/// ```
/// use cairn_auth::{EnvelopeEncryptor, MasterKey, RecordKind, StoreId};
/// use cairn_vfs::OsRng;
/// let master = MasterKey::from_bytes(&std::array::from_fn::<u8, 32, _>(|n| n as u8 * 7))?;
/// let (sealer, wrapped) = EnvelopeEncryptor::create(StoreId::random(&OsRng), &master, &OsRng);
/// let kind = RecordKind(1000);
/// let envelope = sealer.seal(kind, b"patient 7", b"blood group 0", &OsRng)?;
/// assert_eq!(sealer.unseal(kind, b"patient 7", &envelope)?.expose(), b"blood group 0");
/// assert!(sealer.unseal(kind, b"patient 8", &envelope).is_err(), "it was moved");
/// # let _ = wrapped;
/// # Ok::<(), cairn_auth::Error>(())
/// ```
#[derive(Clone)]
pub struct EnvelopeEncryptor {
    store: StoreId,
    // In the order of their numbers; the last one seals.
    keys: Vec<Arc<DataKey>>,
}

impl EnvelopeEncryptor {
    /// A new encryptor with one data key, and that key wrapped, to be stored.
    #[must_use]
    pub fn create(store: StoreId, master: &MasterKey, rng: &dyn Rng) -> (Self, Vec<u8>) {
        let key = DataKey::random(DataKeyId(1), rng);
        let wrapped = key.wrap(store, master, rng);
        (Self { store, keys: vec![Arc::new(key)] }, wrapped)
    }

    /// The encryptor whose wrapped data keys were stored.
    ///
    /// # Errors
    /// [`Error::Decrypt`] when the master key is another one or a wrapped key was changed,
    /// [`Error::Corrupt`] when one has the wrong form, stands twice, or there is none.
    pub fn open<B: AsRef<[u8]>>(
        store: StoreId,
        master: &MasterKey,
        wrapped: impl IntoIterator<Item = B>,
    ) -> Result<Self> {
        let mut keys = Vec::new();
        for bytes in wrapped {
            if keys.len() == MAX_DATA_KEYS {
                return Err(Error::Full { what: "data keys", limit: MAX_DATA_KEYS as u64 });
            }
            keys.push(Arc::new(DataKey::unwrap_from(bytes.as_ref(), store, master)?));
        }
        keys.sort_by_key(|key| key.id);
        if keys.is_empty() {
            return Err(Error::corrupt("data keys", "there is none"));
        }
        if keys.windows(2).any(|pair| pair[0].id == pair[1].id) {
            return Err(Error::corrupt("data keys", "one stands twice"));
        }
        Ok(Self { store, keys })
    }

    /// The store it works for.
    #[must_use]
    pub const fn store_id(&self) -> StoreId {
        self.store
    }

    /// The data key that seals now.
    #[must_use]
    pub fn active_key(&self) -> DataKeyId {
        self.active().id
    }

    /// Adds a data key that seals from now on, and gives it wrapped, to be stored **before** the
    /// encryptor is used. What older keys sealed can still be opened.
    ///
    /// # Errors
    /// [`Error::Full`] after 4,096 keys.
    pub fn add_data_key(&mut self, master: &MasterKey, rng: &dyn Rng) -> Result<Vec<u8>> {
        if self.keys.len() >= MAX_DATA_KEYS {
            return Err(Error::Full { what: "data keys", limit: MAX_DATA_KEYS as u64 });
        }
        let next = self.active().id.0.checked_add(1);
        let next = next.ok_or(Error::Full { what: "data keys", limit: u64::from(u32::MAX) })?;
        let key = DataKey::random(DataKeyId(next), rng);
        let wrapped = key.wrap(self.store, master, rng);
        self.keys.push(Arc::new(key));
        Ok(wrapped)
    }

    /// All data keys under another master key, to be stored in one transaction. No envelope
    /// changes.
    #[must_use]
    pub fn rewrap(&self, master: &MasterKey, rng: &dyn Rng) -> Vec<(DataKeyId, Vec<u8>)> {
        self.keys.iter().map(|key| (key.id, key.wrap(self.store, master, rng))).collect()
    }

    /// Seals a record.
    ///
    /// # Errors
    /// [`Error::Full`] when the plaintext is over [`MAX_SEALED_LEN`].
    pub fn seal(
        &self,
        kind: RecordKind,
        identity: &[u8],
        plaintext: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>> {
        if plaintext.len() > MAX_SEALED_LEN {
            return Err(Error::Full { what: "plaintext", limit: MAX_SEALED_LEN as u64 });
        }
        let len = u32::try_from(plaintext.len()).expect("the limit is below 4 GiB");
        let key = self.active();
        let mut random = [0; SALT_LEN + NONCE_LEN];
        rng.fill(&mut random);
        let mut out = Vec::with_capacity(ENVELOPE_OVERHEAD + plaintext.len());
        out.extend_from_slice(&[VERSION, CIPHER]);
        out.extend_from_slice(&kind.0.to_le_bytes());
        out.extend_from_slice(&key.id.0.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&random);
        assert_eq!(out.len(), HEADER_LEN, "the layout adds up");
        let associated = self.associated(&out, identity);
        let (salt, nonce) = salt_and_nonce(&out).expect("the header is whole");
        // The plaintext is copied to where its ciphertext will be and encrypted in place.
        out.extend_from_slice(plaintext);
        let body = &mut out[HEADER_LEN..];
        let tag = aead::encrypt(&record_key(key, &salt), &nonce, &associated, body);
        out.extend_from_slice(&tag);
        Ok(out)
    }

    /// Opens an envelope.
    ///
    /// # Errors
    /// [`Error::Decrypt`] when it belongs to another record, kind or store, or was changed;
    /// [`Error::Corrupt`] and [`Error::UnsupportedVersion`] when its form is wrong.
    pub fn unseal(
        &self,
        kind: RecordKind,
        identity: &[u8],
        envelope: &[u8],
    ) -> Result<crate::Secret> {
        let parts = Parts::of(envelope)?;
        let failed = Error::Decrypt { what: WHAT };
        let place = self.keys.binary_search_by_key(&parts.key, |key| key.id);
        let (Ok(place), true) = (place, parts.kind == kind) else { return Err(failed) };
        let key = self.keys.get(place).expect("the search found it");
        let mut body = Zeroizing::new(parts.ciphertext.to_vec());
        let associated = self.associated(parts.header, identity);
        let derived = record_key(key, &parts.salt);
        aead::decrypt(&derived, &parts.nonce, &associated, &mut body, &parts.tag).ok_or(failed)?;
        Ok(body.into())
    }

    fn active(&self) -> &DataKey {
        self.keys.last().expect("an encryptor has at least one key")
    }

    fn associated(&self, header: &[u8], identity: &[u8]) -> Vec<u8> {
        // All parts before the identity have fixed lengths, so nothing can shift.
        [LABEL, self.store.as_bytes(), header, identity].concat()
    }
}

impl fmt::Debug for EnvelopeEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<u32> = self.keys.iter().map(|key| key.id.0).collect();
        f.debug_struct("EnvelopeEncryptor")
            .field("store", &self.store)
            .field("keys", &keys)
            .finish()
    }
}

/// An envelope whose form is right.
struct Parts<'a> {
    header: &'a [u8],
    kind: RecordKind,
    key: DataKeyId,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
    ciphertext: &'a [u8],
    tag: [u8; TAG_LEN],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&found) => return Err(Error::UnsupportedVersion { what: WHAT, found }),
            None => return Err(Error::corrupt(WHAT, "it is empty")),
        }
        let short = Error::corrupt(WHAT, "it is cut short");
        let Some((header, rest)) = bytes.split_at_checked(HEADER_LEN) else { return Err(short) };
        let Some((ciphertext, tag)) = rest.split_last_chunk::<TAG_LEN>() else { return Err(short) };
        if header.get(1) != Some(&CIPHER) || header.get(12..16) != Some(&[0; 4]) {
            return Err(Error::corrupt(WHAT, "its cipher or a reserved byte is unknown"));
        }
        let len = number(header, 8).ok_or(short)?;
        if u64::from(len) != ciphertext.len() as u64 || ciphertext.len() > MAX_SEALED_LEN {
            return Err(Error::corrupt(WHAT, "its length is wrong"));
        }
        let kind = header.get(2..4).and_then(|bytes| bytes.try_into().ok());
        let (Some(kind), Some(key), Some((salt, nonce))) =
            (kind, number(header, 4), salt_and_nonce(header))
        else {
            return Err(Error::corrupt(WHAT, "it is cut short"));
        };
        let kind = RecordKind(u16::from_le_bytes(kind));
        Ok(Self { header, kind, key: DataKeyId(key), salt, nonce, ciphertext, tag: *tag })
    }
}

fn number(header: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?))
}

fn salt_and_nonce(header: &[u8]) -> Option<([u8; SALT_LEN], [u8; NONCE_LEN])> {
    Some((*header.get(16..)?.first_chunk()?, *header.get(32..)?.first_chunk()?))
}

fn record_key(key: &DataKey, salt: &[u8; SALT_LEN]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), key.secret.as_slice())
        .expand(KEY_INFO, out.as_mut_slice())
        .expect("32 bytes are one block of the hash");
    out
}
