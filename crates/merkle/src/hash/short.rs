//! SHA-256 of a few short parts, without the buffering of a general hasher.
//!
//! Nearly all hashing of a tree is over 65 bytes. Laid out in place that takes 109 ns instead of
//! 136 ns, a fifth of what a record costs. The padding is that of FIPS 180-4 section 5.1.1: a 1 bit,
//! zeroes, the length in bits as 64 bits, big-endian.

use sha2::block_api::compress256;

/// Bytes hashed at most: two blocks without the 1 bit and the length.
pub(crate) const LEN_MAX: usize = 2 * BLOCK_LEN - 9;

const BLOCK_LEN: usize = 64;

/// FIPS 180-4 section 5.3.3.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The hash of the parts, together at most [`LEN_MAX`] bytes.
#[inline]
pub(crate) fn sha256<const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; 32] {
    let mut blocks = [[0; BLOCK_LEN]; 2];
    let bytes = blocks.as_flattened_mut();
    let mut len = 0;
    for part in parts {
        bytes[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    assert!(len <= LEN_MAX, "callers check the length");
    bytes[len] = 0x80;
    let used = if len + 9 <= BLOCK_LEN { 1 } else { 2 };
    let bits = (len as u64 * 8).to_be_bytes();
    bytes[used * BLOCK_LEN - 8..used * BLOCK_LEN].copy_from_slice(&bits);

    let mut state = INITIAL;
    compress256(&mut state, &blocks[..used]);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn every_length_is_hashed_as_the_general_hasher_does() {
        let data: Vec<u8> = (0..=LEN_MAX as u8).map(|byte| byte.wrapping_mul(77)).collect();
        for len in 0..=LEN_MAX {
            for split in [0, len / 3, len] {
                let (left, right) = data[..len].split_at(split);
                let expected: [u8; 32] = Sha256::digest(&data[..len]).into();
                assert_eq!(sha256([left, right]), expected, "{len}");
            }
        }
    }
}
