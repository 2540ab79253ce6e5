//! Ids of blocks: CID version 1 with a SHA-256 multihash. **Derived** from the block.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version of the id = 1 |
//! | 1 | 1 | codec: 0x55 raw bytes, 0x71 DAG-CBOR |
//! | 2 | 1 | hash function = 0x12, SHA-256 |
//! | 3 | 1 | length of the hash = 32 |
//! | 4 | 32 | hash of the block |
//!
//! As text: `b` and the bytes in base32 (RFC 4648), lower case, without padding.

use super::error::{Error, Result};
use crate::hashing::{Hash, sha256};
use std::fmt;
use std::str::FromStr;

/// Length of an id in bytes.
pub const CID_LEN: usize = 36;
/// `b` and five bits a letter.
const TEXT_LEN: usize = 1 + (CID_LEN * 8).div_ceil(5);
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const WHAT: &str = "CID";
const SHA2_256: u8 = 0x12;

/// What the bytes of a block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Any bytes; such a block links to nothing.
    Raw,
    /// A [`Node`](super::Node) in DAG-CBOR.
    DagCbor,
}

/// Id of a block, which follows from its bytes.
///
/// ```
/// use cairn_merkle::dag::{Cid, Codec};
/// let id = Cid::of(Codec::Raw, b"hello world");
/// assert!(id.to_string().starts_with("bafkrei"));
/// assert_eq!(id.to_string().parse::<Cid>()?, id);
/// # Ok::<(), cairn_merkle::dag::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid {
    codec: Codec,
    digest: Hash,
}

impl Codec {
    /// Its number among multicodecs.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Raw => 0x55,
            Self::DagCbor => 0x71,
        }
    }

    fn from_number(number: u8) -> Result<Self> {
        match number {
            0x55 => Ok(Self::Raw),
            0x71 => Ok(Self::DagCbor),
            found => Err(Error::Unsupported { what: "an id with codec", found: u64::from(found) }),
        }
    }
}

impl Cid {
    /// The id of a block.
    #[must_use]
    pub fn of(codec: Codec, block: &[u8]) -> Self {
        Self { codec, digest: sha256(block) }
    }

    /// What the block is.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// SHA-256 of the block.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The bytes of the id.
    #[must_use]
    pub fn encode(&self) -> [u8; CID_LEN] {
        let mut bytes = [0; CID_LEN];
        bytes[..4].copy_from_slice(&[1, self.codec.number(), SHA2_256, 32]);
        bytes[4..].copy_from_slice(&self.digest);
        bytes
    }

    /// Reads an id that must be all there is.
    ///
    /// # Errors
    /// `Unsupported` for another version, codec or hash; `Invalid`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let invalid = |cause| Error::Invalid { what: WHAT, cause };
        let (head, digest) = bytes.split_first_chunk::<4>().ok_or_else(|| invalid("cut short"))?;
        let [version, codec, function, len] = *head;
        if version != 1 {
            // An id of version 0 is a bare multihash and begins with its function.
            let found = if version == SHA2_256 { 0 } else { u64::from(version) };
            return Err(Error::Unsupported { what: "an id of version", found });
        }
        let codec = Codec::from_number(codec)?;
        if function != SHA2_256 {
            let (what, found) = ("an id with hash function", u64::from(function));
            return Err(Error::Unsupported { what, found });
        }
        let digest = digest.try_into().map_err(|_| invalid("a SHA-256 has 32 bytes"))?;
        if len != 32 {
            return Err(invalid("a SHA-256 has 32 bytes"));
        }
        Ok(Self { codec, digest })
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(TEXT_LEN);
        text.push('b');
        let (mut bits, mut count) = (0_u32, 0_u32);
        let mut put = |five: u32| text.push(char::from(LETTERS[(five & 31) as usize]));
        for byte in self.encode() {
            bits = (bits << 8) | u32::from(byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                put(bits >> count);
            }
        }
        if count > 0 {
            put(bits << (5 - count));
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl FromStr for Cid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |cause| Error::Invalid { what: WHAT, cause };
        let letters = text.strip_prefix('b').ok_or_else(|| invalid("not base32, lower case"))?;
        if text.len() != TEXT_LEN {
            return Err(invalid("its text has another length"));
        }
        let mut bytes = Vec::with_capacity(CID_LEN);
        let (mut bits, mut count) = (0_u32, 0_u32);
        for letter in letters.bytes() {
            let five = LETTERS.iter().position(|known| *known == letter);
            let five = five.ok_or_else(|| invalid("a letter that base32 does not have"))?;
            bits = ((bits << 5) | u32::try_from(five).unwrap_or_default()) & 0xfff;
            count += 5;
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or_default());
            }
        }
        if bits & ((1 << count) - 1) != 0 {
            return Err(invalid("spare bits"));
        }
        Self::decode(&bytes)
    }
}
