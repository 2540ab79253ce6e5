//! CRC-32 (IEEE) seeded with a segment's salt: bytes inside a payload, or of another segment,
//! can then never pose as a valid frame.

/// The CRC state after the salt; every checksum of a segment starts from a copy.
#[derive(Debug, Clone)]
pub struct SaltedCrc(crc32fast::Hasher);

impl SaltedCrc {
    /// The state for a segment's salt.
    #[must_use]
    pub fn new(salt: &[u8; 16]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(salt);
        Self(hasher)
    }

    /// A hasher to feed further.
    #[must_use]
    pub fn hasher(&self) -> crc32fast::Hasher {
        self.0.clone()
    }

    /// The checksum of `bytes`.
    #[must_use]
    pub fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
}
