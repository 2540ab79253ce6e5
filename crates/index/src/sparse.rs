//! A sparse index of a sorted file: every nth key and the position it is at. **Derived**:
//! rebuilt by reading the file.
//!
//! A search compares 8-byte heads (what follows the prefix that all keys share, as one number)
//! and whole keys only among equal heads.
//!
//! Layout, version 1, little-endian; frozen. With n entries, p bytes of shared prefix:
//!
//! | offset | width | field |
//! |---|---|---|
//! | 0 | 4 | magic `CSPX` |
//! | 4 | 2 | version, 1 |
//! | 6 | 2 | p, at most the length of a key |
//! | 8 | 4 | n |
//! | 12 | 4 | k, bytes of all rests together |
//! | 16 | 8 | end: the position behind the last entry's |
//! | 24 | 4 | CRC-32 of all that follows the header |
//! | 28 | 4 | CRC-32 of bytes 0 to 27 |
//! | 32 | 8 n | heads: the first 8 bytes of each rest, zeroes behind it, as a big-endian number |
//! | | 8 n | positions, not falling |
//! | | 4 n | where each rest ends |
//! | | p | the prefix |
//! | | k | the rests: keys without the prefix, rising |
//!
//! Both CRCs are salted with `cairn sparse v1\0`.

mod build;
mod view;

pub use build::SparseBuilder;
pub use view::{Span, SparseIndex, SparseView};

const WHAT: &str = "sparse index";
const SALT: &[u8; 16] = b"cairn sparse v1\0";
const MAGIC: u32 = u32::from_le_bytes(*b"CSPX");
const VERSION: u16 = 1;
const HEADER_LEN: usize = 32;
const AT_VERSION: usize = 4;
const AT_PREFIX_LEN: usize = 6;
const AT_COUNT: usize = 8;
const AT_RESTS_LEN: usize = 12;
const AT_END: usize = 16;
const AT_BODY_CRC: usize = 24;
const AT_HEADER_CRC: usize = 28;
const _: () = assert!(AT_HEADER_CRC + 4 == HEADER_LEN);

/// Head, position and end.
const ENTRY_LEN: usize = 8 + 8 + 4;

#[inline]
fn head(rest: &[u8]) -> u64 {
    if let Some(first) = rest.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut wide = [0; 8];
    wide.iter_mut().zip(rest).for_each(|(wide, byte)| *wide = *byte);
    u64::from_be_bytes(wide)
}
