//! Names, ids and public keys, as in C2SP `signed-note`.
//!
//! ```text
//! key id        SHA-256(name || "\n" || kind || public key)[..4], big-endian
//! verifier key  <name>+<8 hex digits of the id>+base64(kind || public key)
//! kind          0x01 Ed25519 over the text, 0x04 Ed25519 over a time and a checkpoint
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::note::cosignature;

/// Bytes of an Ed25519 public key, and of a seed.
pub const KEY_LEN: usize = 32;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;
/// Bytes of the longest name; the format itself has no limit.
pub const NAME_LEN_MAX: usize = 1024;

const WHAT: &str = "key";

pub(crate) fn malformed(cause: &'static str) -> Error {
    Error::Malformed { what: WHAT, cause }
}

/// The name of a key: not empty, no spaces, no `+`, no control characters. Usually a URL without
/// its scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let wrong = |c: char| c.is_whitespace() || c < ' ' || c == '+';
        if name.is_empty() || name.contains(wrong) {
            return Err(malformed("a name is not empty and has no spaces, no + and no controls"));
        }
        if name.len() > NAME_LEN_MAX {
            return Err(malformed("the name is too long"));
        }
        Ok(Self(name))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 4 bytes of a key's hash. It finds a key among those that are known; it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Wraps the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The id of a key.
    #[must_use]
    pub fn of(name: &KeyName, kind: SignatureKind, public_key: &[u8; KEY_LEN]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(name.as_str());
        hasher.update([b'\n', kind.byte()]);
        hasher.update(public_key);
        let hash: [u8; 32] = hasher.finalize().into();
        Self(*hash.first_chunk().expect("a hash is longer"))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// Reads the 8 lower-case digits of a key.
    pub(crate) fn from_hex(digits: &str) -> Result<Self> {
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 8 || !digits.bytes().all(lower) {
            return Err(malformed("the id is not 8 lower-case hexadecimal digits"));
        }
        let id = u32::from_str_radix(digits, 16).expect("8 digits fit");
        Ok(Self(id.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureKind {
    /// The text of a note.
    Ed25519,
    /// A time and a checkpoint: `cosignature/v1`.
    CosignatureV1,
}

impl SignatureKind {
    /// The byte that stands for it in keys and ids.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::CosignatureV1),
            _ => Err(malformed("its kind is neither Ed25519 (1) nor cosignature/v1 (4)")),
        }
    }
}

/// A public key under its name: checks signatures.
///
/// ```
/// use cairn_merkle::note::{Note, Verifier};
/// let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
/// let key: Verifier = text.parse()?;
/// assert_eq!((key.name().as_str(), key.to_string()), ("example.com/foo", text.to_owned()));
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: KeyName,
    id: KeyId,
    kind: SignatureKind,
    key: VerifyingKey,
}

impl Verifier {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when they are not the one encoding of a point of large order: with
    /// others a signature can fit more than one text.
    pub fn new(name: KeyName, kind: SignatureKind, public_key: &[u8; KEY_LEN]) -> Result<Self> {
        let key = parse_key(public_key)?;
        Ok(Self { id: KeyId::of(&name, kind, public_key), name, kind, key })
    }

    pub(crate) fn of(name: KeyName, kind: SignatureKind, key: VerifyingKey) -> Self {
        Self { id: KeyId::of(&name, kind, key.as_bytes()), name, kind, key }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What it signs.
    #[must_use]
    pub const fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn public_key(&self) -> &[u8; KEY_LEN] {
        self.key.as_bytes()
    }

    /// Checks a signature over the text of a note, without the id before it; says the time of a
    /// cosignature, in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::BadSignature`].
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>> {
        let good = match self.kind {
            SignatureKind::Ed25519 => {
                verify_ed25519(&self.key, text.as_bytes(), signature).then_some(None)
            }
            SignatureKind::CosignatureV1 => cosignature::split(signature)
                .filter(|(time, signature)| {
                    verify_ed25519(&self.key, &cosignature::message(*time, text), *signature)
                })
                .map(|(time, _)| Some(time)),
        };
        let bad = || Error::BadSignature { name: self.name.to_string(), id: self.id.to_string() };
        good.ok_or_else(bad)
    }
}

impl fmt::Display for Verifier {
    /// The verifier key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = encode_key(self.kind, self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, self.id, encoded.as_str())
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, id, kind, public_key) = parse_encoded(text)?;
        let verifier = Self::new(name, kind, &public_key)?;
        if verifier.id != id {
            return Err(malformed("the id is not that of the key"));
        }
        Ok(verifier)
    }
}

/// A public key that has one encoding and signs for one text only.
fn parse_key(bytes: &[u8; KEY_LEN]) -> Result<VerifyingKey> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| malformed("it is no point"))?;
    if key.to_edwards().compress().as_bytes() != bytes {
        return Err(malformed("it is not encoded canonically"));
    }
    if key.is_weak() {
        return Err(malformed("it is of small order"));
    }
    Ok(key)
}

/// Checks as strictly as is possible: one encoding each of key, point and scalar, no points of
/// small order, no cofactor.
#[must_use]
pub fn verify_ed25519(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// Name, id, kind and the 32 bytes of a public or private key. Which it is is not known here, so
/// every copy is wiped.
pub(crate) type EncodedKey = (KeyName, KeyId, SignatureKind, Zeroizing<[u8; KEY_LEN]>);

/// Reads `<name>+<id>+base64(kind || 32 bytes)`.
pub(crate) fn parse_encoded(text: &str) -> Result<EncodedKey> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("it is not name+id+key"));
    };
    let mut bytes = Zeroizing::new([0; 1 + KEY_LEN]);
    let decoded = STANDARD.decode_slice(encoded, bytes.as_mut_slice());
    let exact = decoded.is_ok_and(|len| len == bytes.len());
    if !exact {
        return Err(malformed("kind and key are not base64 of 33 bytes"));
    }
    let [kind, key @ ..] = &*bytes;
    let (kind, key) = (SignatureKind::from_byte(*kind)?, Zeroizing::new(*key));
    Ok((KeyName::new(name)?, KeyId::from_hex(id)?, kind, key))
}

pub(crate) fn encode_key(kind: SignatureKind, key: &[u8; KEY_LEN]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([kind.byte(); 1 + KEY_LEN]);
    bytes[1..].copy_from_slice(key);
    Zeroizing::new(STANDARD.encode(bytes.as_slice()))
}
