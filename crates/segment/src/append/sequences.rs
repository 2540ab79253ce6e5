//! The next sequence of every stream. Derived: rebuilt from the segments' indexes at open.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use cairn_types::StreamId;

/// Next sequence by stream, with a hash that suits small numbers: one multiplication (Fibonacci
/// hashing) instead of SipHash, which cost an append about 40 ns.
pub(crate) type NextSequences = HashMap<StreamId, u64, BuildHasherDefault<StreamHasher>>;

/// Hashes one stream number.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct StreamHasher(u64);

impl Hasher for StreamHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The table takes low bits for the bucket and high bits for the tag.
        self.0 = mixed ^ (mixed >> 32);
    }
}
