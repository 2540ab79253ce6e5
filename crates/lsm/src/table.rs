//! A table: a sorted, immutable file of versions. Derived: built from the log.
//!
//! Layout, version 1, little-endian:
//!
//! | width | part |
//! |---|---|
//! | | frames, each one block |
//! | | filter over the keys (cairn-index) |
//! | | sparse index: the first key of each group of frames (cairn-index) |
//! | 8 n | for each of its n entries the sum of all weights before it, signed |
//! | 96 | footer |
//!
//! A frame:
//!
//! | offset | width | field |
//! |---|---|---|
//! | 0 | 1 | codec |
//! | 1 | 3 | zero |
//! | 4 | 4 | stored length |
//! | 8 | 4 | length of the block's content |
//! | 12 | 4 | CRC-32 of bytes 0 to 11 and of what is stored |
//! | 16 | | the block's content, encoded by the codec |
//!
//! A block ends where a key ends. Only when one key has more versions than a few blocks hold, it
//! is cut within, and the frames that follow belong to the same group.
//!
//! The footer:
//!
//! | offset | width | field |
//! |---|---|---|
//! | 0 | 8 | magic `CAIRNTBL` |
//! | 8 | 2 | version, 1 |
//! | 10 | 6 | zero |
//! | 16 | 8 | length of all frames |
//! | 24 | 8 | length of the filter |
//! | 32 | 8 | length of the sparse index |
//! | 40 | 8 | groups, n |
//! | 48 | 8 | versions |
//! | 56 | 8 | sum of all weights, signed |
//! | 64 | 8 | greatest sequence |
//! | 72 | 8 | least reference |
//! | 80 | 4 | CRC-32 of the sums |
//! | 84 | 8 | zero |
//! | 92 | 4 | CRC-32 of bytes 0 to 91 |
//!
//! All CRCs are salted with `cairntbl` and the file's number, so a table under another's name is
//! noticed.

mod build;
mod cursor;
mod footer;
mod parts;
mod read;

pub(crate) use build::{Built, TableBuilder, TableOptions};
pub(crate) use cursor::TableCursor;
pub(crate) use read::{BlockCache, BlockWeight, Table};

use cairn_codec::SaltedCrc;

use footer::Footer;

const FRAME_HEADER_LEN: usize = 16;

/// Content that one block may decode to: the largest version and what a builder packs besides.
const BLOCK_LEN_MAX: usize = cairn_types::limits::MAX_PAYLOAD_LEN + (1 << 20);

fn salt(id: u64) -> SaltedCrc {
    let mut salt = *b"cairntbl\0\0\0\0\0\0\0\0";
    salt[8..].copy_from_slice(&id.to_le_bytes());
    SaltedCrc::new(&salt)
}

/// The name of a table's file.
pub(crate) fn file_name(id: u64) -> String {
    format!("{id:010}.table")
}

/// The number in a table's file name.
pub(crate) fn file_id(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".table")?;
    let is_number = digits.len() >= 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}
