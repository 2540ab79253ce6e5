//! The file `CAIRN` at the root of a store: four lines of text that a person can read.
//!
//! ```text
//! cairn-store 1
//! id 0190f3c2-8a6e-7c3d-9f00-2b7a44d1c001
//! created 1790000000000000
//! crc 1c291ca3
//! ```
//!
//! `created` is in microseconds since 1970, `crc` is the CRC32 of the lines before it. It is
//! written last when a store is created, so its presence says that creation finished. Truth.

use cairn_types::Timestamp;

use crate::{Error, Result};

/// Path of the file.
pub const STORE_PATH: &str = "CAIRN";
/// Longest accepted file.
pub const STORE_FILE_LEN_MAX: u64 = 512;

/// Identity of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFile {
    /// Random identity, a `UUIDv7`.
    pub id: [u8; 16],
    /// When the store was created.
    pub created_at: Timestamp,
}

impl StoreFile {
    /// The text of the file.
    #[must_use]
    pub fn encode(&self) -> String {
        let id = cairn_types::EventId::from_bytes(self.id);
        let lines = format!(
            "cairn-store {}\nid {id}\ncreated {}\n",
            super::VERSION,
            self.created_at.as_micros()
        );
        let crc = crc32fast::hash(lines.as_bytes());
        format!("{lines}crc {crc:08x}\n")
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`] for another version, [`Error::Corrupt`] for anything else
    /// that [`encode`](Self::encode) would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = |cause: &str| Error::corrupt(STORE_PATH, 0, cause);
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("not text"))?;
        let mut lines = text.lines();
        let version = lines
            .next()
            .and_then(|line| line.strip_prefix("cairn-store "))
            .ok_or_else(|| damaged("first line is not `cairn-store VERSION`"))?;
        let body_len = text.rfind("crc ").ok_or_else(|| damaged("no `crc` line"))?;
        let crc = format!("crc {:08x}\n", crc32fast::hash(&bytes[..body_len]));
        if text[body_len..] != crc {
            return Err(damaged("the `crc` line does not match the lines before it"));
        }
        let found: u8 = version.parse().map_err(|_| damaged("version is not a number"))?;
        if found != super::VERSION {
            let (file, supported) = (STORE_PATH.to_owned(), super::VERSION);
            return Err(Error::UnsupportedVersion { file, found, supported });
        }
        let id: cairn_types::EventId = lines
            .next()
            .and_then(|line| line.strip_prefix("id ")?.parse().ok())
            .ok_or_else(|| damaged("no readable `id` line"))?;
        let created = lines
            .next()
            .and_then(|line| line.strip_prefix("created ")?.parse().ok())
            .ok_or_else(|| damaged("no readable `created` line"))?;
        let store = Self { id: id.to_bytes(), created_at: Timestamp::from_micros(created) };
        if store.encode() != text {
            return Err(damaged("not in the form in which it was written"));
        }
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_file_survives_a_round_trip_and_no_flipped_bit() {
        let store = StoreFile { id: [0x42; 16], created_at: Timestamp::from_micros(1_790_000) };
        let text = store.encode();
        assert_eq!(StoreFile::decode(text.as_bytes()).expect("valid"), store);
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(StoreFile::decode(&flipped).is_err(), "bit {bit}");
        }
    }
}
