//! Hashes keys under a seed that nobody outside knows, so that chosen keys cannot collide.

use std::hash::{BuildHasher, Hasher};

use cairn_index::key_hash_seeded;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyHashing {
    pub(super) seed: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KeyHasher {
    seed: u64,
    state: u64,
}

impl BuildHasher for KeyHashing {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher { seed: self.seed, state: 0 }
    }
}

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        self.state = key_hash_seeded(self.seed ^ self.state, bytes);
    }

    fn write_usize(&mut self, number: usize) {
        // The length of a key comes before its bytes; the hash of the bytes knows it already.
        self.state ^= number as u64;
    }
}
