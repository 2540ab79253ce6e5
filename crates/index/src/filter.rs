//! A persisted filter over the keys of a table: "certainly not here" or "maybe here".
//! **Derived**: rebuilt from the keys of its table.
//!
//! A blocked Bloom filter: the hash picks one block of 64 bytes (one cache line), and `probes`
//! bits in it. About 1 % of absent keys pass at 10 bits a key.
//!
//! Layout, version 1, little-endian; frozen, as is the hash ([`crate::key_hash()`]):
//!
//! | offset | width | field |
//! |---|---|---|
//! | 0 | 4 | magic `CFLT` |
//! | 4 | 2 | version, 1 |
//! | 6 | 1 | probes, 1 to 14 |
//! | 7 | 1 | zero |
//! | 8 | 8 | count of hashes added |
//! | 16 | 4 | count of blocks, at most 2^24; 0 only without hashes |
//! | 20 | 4 | CRC-32 of the blocks |
//! | 24 | 36 | zero |
//! | 60 | 4 | CRC-32 of bytes 0 to 59 |
//! | 64 | 64 * blocks | the blocks |
//!
//! Both CRCs are salted with `cairn filter v1\0`. The header is as long as a block, so blocks
//! lie on cache lines where the filter does. With `count` blocks and the hash `h`:
//! block = `(h * count) >> 64`; `w = h * 0x9e3779b97f4a7c15 mod 2^64`;
//! probe `i` of 0..7 tests bit `(w >> (55 - 9 i)) & 511` of the block, where bit `n` is bit
//! `n % 8` of byte `n / 8`. Probes 7..14 do the same with
//! `w = (h ^ (h >> 32)) * 0xd1b54a32d192ed03 mod 2^64`.

mod build;
mod view;

pub use build::FilterBuilder;
pub use view::{Filter, FilterView};

const WHAT: &str = "filter";
const SALT: &[u8; 16] = b"cairn filter v1\0";
const MAGIC: u32 = u32::from_le_bytes(*b"CFLT");
const VERSION: u16 = 1;
const HEADER_LEN: usize = 64;
const BLOCK_LEN: usize = 64;
const PROBES_MAX: u8 = 14;
/// 1 GiB of bits: 860 million keys at 10 bits. More keys only make the filter less sharp.
const BLOCKS_MAX: usize = 1 << 24;

const AT_VERSION: usize = 4;
const AT_PROBES: usize = 6;
const AT_COUNT: usize = 8;
const AT_BLOCKS: usize = 16;
const AT_BODY_CRC: usize = 20;
const AT_ZERO: usize = 24;
const AT_HEADER_CRC: usize = 60;

const _: () = assert!(AT_HEADER_CRC + 4 == HEADER_LEN);
const _: () = assert!(BLOCKS_MAX <= u32::MAX as usize);

const PER_WORD: u8 = 7;
const _: () = assert!(PROBES_MAX == 2 * PER_WORD);

/// The two words that name the bits.
#[inline]
fn words(hash: u64) -> [u64; 2] {
    [
        hash.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        (hash ^ (hash >> 32)).wrapping_mul(0xd1b5_4a32_d192_ed03),
    ]
}

/// The bit, 0 to 511, that probe `index` of a word names.
#[inline]
fn bit(word: u64, index: u8) -> usize {
    ((word >> (55 - 9 * u32::from(index))) & 511) as usize
}
