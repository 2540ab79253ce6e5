//! Writing a filter. **Derived**: from the keys of its table.

use super::{
    AT_BLOCKS, AT_BODY_CRC, AT_COUNT, AT_HEADER_CRC, AT_PROBES, AT_VERSION, BLOCK_LEN, BLOCKS_MAX,
    HEADER_LEN, MAGIC, PER_WORD, PROBES_MAX, SALT, VERSION, bit, words,
};
use crate::bits::spread;
use crate::key_hash;
use cairn_codec::SaltedCrc;

/// Collects the keys of a table (8 bytes each) and lays the filter out.
///
/// ```
/// use cairn_index::{FilterBuilder, FilterView, key_hash};
/// let mut builder = FilterBuilder::new(10);
/// builder.add(b"apple");
/// builder.add_hash(key_hash(b"pear"));
/// let bytes = builder.build();
/// let filter = FilterView::open(&bytes)?;
/// assert!(filter.may_contain(b"apple") && filter.may_contain(b"pear"));
/// assert!(!filter.may_contain(b"plum"));
/// # Ok::<(), cairn_index::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FilterBuilder {
    bits_per_key: usize,
    hashes: Vec<u64>,
}

impl FilterBuilder {
    /// A filter of about so many bits a key, held to 2..=24. Measured share of absent keys that
    /// pass: 10 % at 5 bits, 2.5 % at 8, 1 % at 10, 0.1 % at 16.
    #[must_use]
    pub fn new(bits_per_key: u32) -> Self {
        Self { bits_per_key: bits_per_key.clamp(2, 24) as usize, hashes: Vec::new() }
    }

    /// Adds a key.
    pub fn add(&mut self, key: &[u8]) {
        self.add_hash(key_hash(key));
    }

    /// Adds a key by its [`key_hash()`]. The same hash several times in a row (versions of one
    /// key) counts once.
    pub fn add_hash(&mut self, hash: u64) {
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
    }

    /// How many hashes were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The bytes that [`build`](Self::build) would give now.
    #[must_use]
    pub fn built_len(&self) -> usize {
        HEADER_LEN + self.blocks() * BLOCK_LEN
    }

    /// The filter, ready to be written. It can be built at any time and added to further.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let count = self.blocks();
        let probes = self.probes();
        let mut out = vec![0_u8; HEADER_LEN + count * BLOCK_LEN];
        let (header, body) = out.split_at_mut(HEADER_LEN);
        let (blocks, _) = body.as_chunks_mut::<BLOCK_LEN>();
        for hash in &self.hashes {
            if let Some(block) = blocks.get_mut(spread(*hash, count)) {
                set(block, *hash, probes);
            }
        }
        let crc = SaltedCrc::new(SALT);
        let mut put = |at: usize, bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &MAGIC.to_le_bytes());
        put(AT_VERSION, &VERSION.to_le_bytes());
        put(AT_PROBES, &[probes]);
        put(AT_COUNT, &(self.hashes.len() as u64).to_le_bytes());
        let blocks = u32::try_from(count).expect("at most BLOCKS_MAX, which fits");
        put(AT_BLOCKS, &blocks.to_le_bytes());
        put(AT_BODY_CRC, &crc.checksum(body).to_le_bytes());
        let header_crc = crc.checksum(&header[..AT_HEADER_CRC]);
        header[AT_HEADER_CRC..].copy_from_slice(&header_crc.to_le_bytes());
        out
    }

    fn blocks(&self) -> usize {
        self.hashes.len().saturating_mul(self.bits_per_key).div_ceil(BLOCK_LEN * 8).min(BLOCKS_MAX)
    }

    /// Blocks are filled unevenly, so the best number lies below the textbook's 0.69 a bit.
    fn probes(&self) -> u8 {
        let probes = (self.bits_per_key * 3 + 2) / 5;
        u8::try_from(probes).unwrap_or(PROBES_MAX).clamp(1, PROBES_MAX)
    }
}

fn set(block: &mut [u8; BLOCK_LEN], hash: u64, probes: u8) {
    let words = words(hash);
    for probe in 0..probes {
        let place = bit(words[usize::from(probe / PER_WORD)], probe % PER_WORD);
        block[place / 8] |= 1 << (place % 8);
    }
}
