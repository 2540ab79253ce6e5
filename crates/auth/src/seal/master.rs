//! The master key: 256 bits that never touch the store.
//!
//! Its id is the first 8 bytes of SHA-256 over a fixed label and the key. It stands in wrapped
//! keys so that a wrong key is told from damage, and says nothing useful about the key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::hex;

/// Length of a master key in bytes.
pub const MASTER_KEY_LEN: usize = 32;

/// Longest text that is looked at.
const MAX_TEXT_LEN: usize = 128;

/// Fewest different bytes: 32 random bytes have fewer than 8 once in 10^31 times, keys that
/// were typed (zeroes, one letter, `deadbeef`) nearly always.
const MIN_DISTINCT: usize = 8;

/// Which master key wrapped a data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MasterKeyId(pub(super) [u8; 8]);

/// A key that wraps data keys.
///
/// ```
/// use cairn_auth::MasterKey;
/// let text = "8f1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff0";
/// let key = MasterKey::from_text(text)?;
/// assert!(!format!("{key:?}").contains("8f1d"));
/// assert!(MasterKey::from_bytes(&[0; 32]).is_err(), "all zeroes");
/// # Ok::<(), cairn_auth::Error>(())
/// ```
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; MASTER_KEY_LEN]>);

impl MasterKey {
    /// Takes 32 bytes.
    ///
    /// # Errors
    /// [`Error::WeakKey`] when they are more or fewer, or too much alike to be random.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < MASTER_KEY_LEN {
            return Err(Error::WeakKey { cause: "it is shorter than 32 bytes" });
        }
        if bytes.len() > MASTER_KEY_LEN {
            return Err(Error::WeakKey { cause: "it is longer than 32 bytes" });
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(Error::WeakKey { cause: "it is all zeroes" });
        }
        let mut seen = [false; 256];
        bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
        let distinct = seen.iter().filter(|seen| **seen).count();
        seen.zeroize();
        if distinct < MIN_DISTINCT {
            return Err(Error::WeakKey { cause: "it repeats a few bytes" });
        }
        let mut key = Zeroizing::new([0; MASTER_KEY_LEN]);
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    /// Takes 64 hexadecimal digits, or 32 bytes in standard base64; white space around it is
    /// dropped.
    ///
    /// # Errors
    /// [`Error::WeakKey`] when it is neither or the key is weak.
    pub fn from_text(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() > MAX_TEXT_LEN {
            return Err(Error::WeakKey { cause: "the text is too long for a key" });
        }
        let is_hex =
            text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let decoded = if is_hex {
            hex::decode(&Zeroizing::new(text.to_ascii_lowercase()))
        } else {
            let engine = if text.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
            engine.decode(text).ok().map(Zeroizing::new)
        };
        let cause = "the text is neither 64 hexadecimal digits nor base64 of 32 bytes";
        Self::from_bytes(&decoded.ok_or(Error::WeakKey { cause })?)
    }

    /// Takes what a file or a program gave: text when every byte is printable, else 32 bytes.
    ///
    /// # Errors
    /// [`Error::WeakKey`], so also for 32 hexadecimal digits, which are only 128 bits.
    pub fn from_content(content: &[u8]) -> Result<Self> {
        let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        match std::str::from_utf8(content) {
            // 32 random bytes are all printable once in 10^13 times.
            Ok(text) if content.iter().all(printable) => Self::from_text(text),
            _ => Self::from_bytes(content),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> MasterKeyId {
        let hash =
            Sha256::new().chain_update(b"cairn-auth master key id 1\0").chain_update(*self.0);
        let hash: [u8; 32] = hash.finalize().into();
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        MasterKeyId(id)
    }

    /// Another key made from it, by HKDF-SHA-256; each label gives another one.
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        hkdf::Hkdf::<Sha256>::new(Some(b"cairn master key 1"), self.0.as_slice())
            .expand(label, key.as_mut_slice())
            .expect("32 bytes are fewer than HKDF gives");
        key
    }

    pub(super) fn expose(&self) -> &[u8; MASTER_KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}
