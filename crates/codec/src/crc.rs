//! CRC-32 (IEEE) seeded with a segment's salt: bytes inside a payload, or of another segment,
//! can then never pose as a valid frame.

use crate::seal::KeyNumber;

/// The CRC state after the salt; every checksum of a segment starts from a copy.
#[derive(Debug, Clone)]
pub struct SaltedCrc {
    hasher: crc32fast::Hasher,
    salt: [u8; 16],
    file: (/* store id */ [u8; 16], /* number */ u64),
    key: KeyNumber,
}

impl SaltedCrc {
    /// The state for a segment's salt.
    #[must_use]
    pub fn new(salt: &[u8; 16]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(salt);
        Self { hasher, salt: *salt, file: ([0; 16], 0), key: KeyNumber::NONE }
    }

    /// The same for a file of a store, which is what its batches are sealed for, and the data
    /// key they are sealed with.
    #[must_use]
    pub fn of_file(self, store_id: [u8; 16], number: u64, key: KeyNumber) -> Self {
        Self { file: (store_id, number), key, ..self }
    }

    pub(crate) const fn key(&self) -> KeyNumber {
        self.key
    }

    pub(crate) const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    pub(crate) const fn file(&self) -> ([u8; 16], u64) {
        self.file
    }

    /// A hasher to feed further.
    #[must_use]
    pub fn hasher(&self) -> crc32fast::Hasher {
        self.hasher.clone()
    }

    /// The checksum of `bytes`.
    #[must_use]
    pub fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.hasher.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
}
