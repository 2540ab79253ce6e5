//! Every bound of a graph. Neither truth nor derived.

use cairndb::types::limits::MAX_KEY_LEN;

/// Longest label in bytes.
pub const LABEL_LEN_MAX: usize = 255;
/// Most labels of one vertex.
pub const LABELS_MAX: usize = 32;
/// Longest name of a property in bytes.
pub const PROPERTY_NAME_LEN_MAX: usize = 255;
/// Most properties of one vertex or edge.
pub const PROPERTIES_MAX: usize = 256;
/// Longest text or bytes of one property, in bytes.
pub const VALUE_LEN_MAX: usize = 64 << 10;
/// Longest record in bytes: labels and properties of one vertex or edge.
pub const RECORD_LEN_MAX: usize = 1 << 20;
/// Bytes of a text or of bytes that an index keeps; longer ones are compared in the record.
pub const INDEXED_LEN_MAX: usize = 512;
/// Most property indexes of one graph.
pub const INDEXES_MAX: usize = 64;
/// Most edges in one packed chunk of neighbours.
pub const CHUNK_EDGES_MAX: usize = 64;
/// A chunk is ended when it has this many bytes.
pub const CHUNK_LEN_SOFT: usize = 16 << 10;
/// Longest chunk in bytes: the last edge may pass the soft bound.
pub const CHUNK_LEN_MAX: usize = CHUNK_LEN_SOFT + RECORD_LEN_MAX + 64;
/// Edges that one block of places describes.
pub const BLOCK_EDGES: u32 = 128;
/// Longest row of an imported file in bytes, which may span lines.
pub const CSV_RECORD_LEN_MAX: usize = 4 << 20;
/// Most columns of an imported file.
pub const CSV_COLUMNS_MAX: usize = 1024;

/// Escaped text may double, and has an end of two bytes.
const fn escaped(len: usize) -> usize {
    2 * len + 2
}
const _: () = assert!(1 + 16 + escaped(LABEL_LEN_MAX) + 1 + 16 + 16 <= MAX_KEY_LEN);
const _: () = assert!(1 + 4 + 1 + escaped(INDEXED_LEN_MAX) + 16 <= MAX_KEY_LEN);
const _: () = assert!(LABEL_LEN_MAX <= u8::MAX as usize);
const _: () = assert!(PROPERTY_NAME_LEN_MAX <= u8::MAX as usize);
