//! A block: some dozen consecutive versions of a table, searchable without decoding all.
//! Derived.
//!
//! What all keys of the block share is stored once. The first eight bytes of each key behind
//! that, as one big-endian number, lie in one dense array, so that a search compares numbers and
//! touches one entry at the end. Keys share nothing with the one before: that would save little
//! beyond the prefix, and a search would have to decode several entries in a row.
//!
//! Layout of a block's content, little-endian, v = varint of cairn-codec:
//!
//! | width | field |
//! |---|---|
//! | 2 | p |
//! | 2 | zero |
//! | 4 | n |
//! | 8 n | heads, big-endian numbers |
//! | 4 n | offsets of the entries from the first one's |
//! | p | the prefix that all keys share |
//! | | n entries, see below |
//!
//! What a search needs first comes first: neighbouring lines of memory are fetched together.
//!
//! An entry:
//!
//! | width | field |
//! |---|---|
//! | 1 | flags: bit 0 tombstone, bits 1-2 weight + 1, others zero |
//! | v | length of the key without the prefix |
//! | v | length of the value |
//! | v | sequence |
//! | v | reference |
//! | | the key without the prefix |
//! | | value |

mod build;
mod read;

pub(crate) use build::BlockBuilder;
pub(crate) use read::{Block, BlockView, Cursor, Got};

const HEADER_LEN: usize = 8;
const FLAG_TOMBSTONE: u8 = 1;
const WEIGHT_SHIFT: u8 = 1;
const FLAGS_MAX: u8 = FLAG_TOMBSTONE | (2 << WEIGHT_SHIFT);

/// Entries that one block may have.
const COUNT_MAX: usize = 1 << 20;

/// The first eight bytes as a number that orders like them.
pub(crate) fn head(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut wide = [0; 8];
    wide.iter_mut().zip(key).for_each(|(wide, byte)| *wide = *byte);
    u64::from_be_bytes(wide)
}
