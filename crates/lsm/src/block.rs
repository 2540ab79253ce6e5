//! A block: some hundred consecutive versions of a table, searchable without decoding all.
//! Derived.
//!
//! Keys are stored without what they share with the one before; every eighth is a **restart**
//! that stands alone. The first eight bytes of each restart's key behind the prefix that all keys
//! of the block share, as one big-endian number, lie in one dense array, so that a search
//! compares numbers and touches one key at the end.
//!
//! Layout of a block's content, little-endian, v = varint of cairn-codec:
//!
//! | width | field |
//! |---|---|
//! | | entries, see below |
//! | 8 r | heads of the restarts, big-endian numbers |
//! | 4 r | offsets of the restarts |
//! | p | the prefix that all keys share |
//! | 2 | p |
//! | 2 | r, restarts |
//! | 4 | entries |
//!
//! An entry (lengths are of the key without the block's prefix):
//!
//! | width | field |
//! |---|---|
//! | v | bytes shared with the key before; 0 at a restart |
//! | v | bytes of the key that follow |
//! | 1 | flags: bit 0 tombstone, bits 1-2 weight + 1, others zero |
//! | v | length of the value |
//! | v | sequence |
//! | v | reference |
//! | | rest of the key |
//! | | value |

mod build;
mod read;

pub(crate) use build::BlockBuilder;
pub(crate) use read::{Block, Cursor};

/// Entries from one restart to the next.
const RESTART_INTERVAL: usize = 8;

const TRAILER_LEN: usize = 8;
const FLAG_TOMBSTONE: u8 = 1;
const WEIGHT_SHIFT: u8 = 1;
const FLAGS_MAX: u8 = FLAG_TOMBSTONE | (2 << WEIGHT_SHIFT);

/// The first eight bytes as a number that orders like them.
pub(crate) fn head(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut wide = [0; 8];
    wide.iter_mut().zip(key).for_each(|(wide, byte)| *wide = *byte);
    u64::from_be_bytes(wide)
}
