//! A data key under the master key, as it is stored. **Truth**: without it, what it sealed is lost.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 1 | cipher, 1 = AES-256-GCM |
//! | 2 | 2 | reserved, 0 |
//! | 4 | 4 | number of the data key, from 1, little-endian |
//! | 8 | 8 | id of the master key |
//! | 16 | 12 | nonce, random |
//! | 28 | 32 | the data key, encrypted |
//! | 60 | 16 | tag |
//!
//! Associated data: a label, the store's id, bytes 0 to 27.

use std::fmt;

use cairn_vfs::Rng;
use zeroize::Zeroizing;

use super::aead::{self, NONCE_LEN, TAG_LEN};
use super::{MasterKey, StoreId};
use crate::error::{Error, Result};

/// Length of a wrapped data key in bytes.
pub const WRAPPED_KEY_LEN: usize = 76;

const VERSION: u8 = 1;
const CIPHER: u8 = 1;
const HEADER_LEN: usize = 28;
const KEY_LEN: usize = 32;
const LABEL: &[u8] = b"cairn-auth data key 1\0";
const WHAT: &str = "wrapped data key";

const _: () = assert!(HEADER_LEN + KEY_LEN + TAG_LEN == WRAPPED_KEY_LEN);
const _: () = assert!(16 + NONCE_LEN == HEADER_LEN);

/// Number of a data key, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKeyId(pub(crate) u32);

impl DataKeyId {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A key that seals records; only in memory.
#[derive(Clone)]
pub struct DataKey {
    pub id: DataKeyId,
    pub secret: Zeroizing<[u8; KEY_LEN]>,
}

impl DataKey {
    pub fn random(id: DataKeyId, rng: &dyn Rng) -> Self {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        rng.fill(secret.as_mut_slice());
        Self { id, secret }
    }

    /// The key as it is stored.
    pub fn wrap(&self, store: StoreId, master: &MasterKey, rng: &dyn Rng) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill(&mut nonce);
        let mut out = Vec::with_capacity(WRAPPED_KEY_LEN);
        out.extend_from_slice(&[VERSION, CIPHER, 0, 0]);
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&master.id().0);
        out.extend_from_slice(&nonce);
        let mut key = Zeroizing::new(*self.secret);
        let associated = associated(store, &out);
        let tag = aead::encrypt(master.expose(), &nonce, &associated, key.as_mut_slice());
        out.extend_from_slice(key.as_slice());
        out.extend_from_slice(&tag);
        assert_eq!(out.len(), WRAPPED_KEY_LEN, "the layout adds up");
        out
    }

    /// The key from its stored form.
    pub fn unwrap_from(bytes: &[u8], store: StoreId, master: &MasterKey) -> Result<Self> {
        let Some((&version, _)) = bytes.split_first() else {
            return Err(Error::corrupt(WHAT, "it is empty"));
        };
        if version != VERSION {
            return Err(Error::UnsupportedVersion { what: WHAT, found: version });
        }
        let Ok(bytes) = <&[u8; WRAPPED_KEY_LEN]>::try_from(bytes) else {
            return Err(Error::corrupt(WHAT, "its length is wrong"));
        };
        let (header, rest) = bytes.split_at(HEADER_LEN);
        if header[1..4] != [CIPHER, 0, 0] {
            return Err(Error::corrupt(WHAT, "its cipher or a reserved byte is unknown"));
        }
        let (encrypted, tag) = rest.split_at(KEY_LEN);
        let nonce = array(&header[16..]);
        let mut secret = Zeroizing::new(array::<KEY_LEN>(encrypted));
        let associated = associated(store, header);
        aead::decrypt(master.expose(), &nonce, &associated, secret.as_mut_slice(), &array(tag))
            .ok_or(Error::Decrypt { what: WHAT })?;
        Ok(Self { id: DataKeyId(u32::from_le_bytes(array(&header[4..8]))), secret })
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id.0)
    }
}

fn associated(store: StoreId, header: &[u8]) -> Vec<u8> {
    [LABEL, store.as_bytes(), header].concat()
}

/// Bytes of a length that was checked before.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cut it to this length")
}
