//! How an ordered store behaves. Neither truth nor derived.

use cairn_codec::Compression;

/// Settings of a [`Tree`](crate::Tree). None of them is part of the format: each opening may
/// choose others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeOptions {
    /// Bytes of keys in memory, about, before some that tables have too are let go of; 40 MiB
    /// unless set.
    pub memory_len: usize,
    /// Bytes for the places of keys that are not in memory, about 15 for each, where there are
    /// [records](crate::Tree::remember_places) to find them by; 0 for none, 24 MiB unless set.
    pub hot_len: usize,
    /// Bytes of changes after which a flush is due; 16 MiB unless set.
    pub flush_len: usize,
    /// Bytes of content after which a block of a table ends; 4 KiB unless set.
    pub block_len: usize,
    /// Bytes after which a merge begins a new table; 16 MiB unless set.
    pub table_len: u64,
    /// Bytes of level 1; each level below holds ten times as much, and the last one, level 7,
    /// whatever there is. 64 MiB unless set.
    pub level_len: u64,
    /// Tables of level 0 that start a merge, at least 1; 4 unless set.
    pub flushed_max: usize,
    /// Bits of a filter for each key; 10 unless set.
    pub filter_bits: u32,
    /// Compresses blocks; none unless set.
    pub compression: Compression,
    /// Bytes of decoded blocks that are kept where files cannot be mapped or are compressed;
    /// 16 MiB unless set.
    pub cache_len: u64,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            memory_len: 40 << 20,
            hot_len: 24 << 20,
            flush_len: 16 << 20,
            block_len: 4 << 10,
            table_len: 16 << 20,
            level_len: 64 << 20,
            flushed_max: 4,
            filter_bits: 10,
            compression: Compression::None,
            cache_len: 16 << 20,
        }
    }
}
