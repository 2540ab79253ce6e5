//! Every bound of the system, with the relations between them checked at compile time.

/// Longest name of a topic, group, keyspace or producer in bytes.
pub const MAX_NAME_LEN: usize = 249;
/// Longest key in bytes; a statement must stay below 64 KiB.
pub const MAX_KEY_LEN: usize = 4096;
/// Longest key of an index in bytes: it puts the number of a keyspace before a user's key.
pub const MAX_INDEX_KEY_LEN: usize = MAX_KEY_LEN + 16;
/// Longest payload of one record in bytes.
pub const MAX_PAYLOAD_LEN: usize = 64 << 20;
/// Most records in one batch.
pub const MAX_BATCH_RECORDS: usize = 1 << 20;
/// Most bytes of payloads in one batch before compression, and most bytes of a batch that is
/// appended: header, statements, and payloads as they are stored.
pub const MAX_BATCH_RAW_LEN: usize = 128 << 20;
/// Longest statements section of a batch in bytes: erasing puts a 32-byte hash in the place of each
/// payload, so a cleaned batch may pass the limit of those that are written.
pub const MAX_STATEMENTS_LEN: usize = MAX_BATCH_RAW_LEN + 40 * MAX_BATCH_RECORDS;
/// Largest size of a segment that can be set, in bytes.
pub const MAX_SEGMENT_SIZE: u64 = 1 << 30;
/// Smallest size of a segment that can be set, in bytes.
pub const MIN_SEGMENT_SIZE: u64 = 64 << 10;
/// Most headers of one event.
pub const MAX_HEADERS: usize = 256;
/// Longest name or value of one header in bytes.
pub const MAX_HEADER_LEN: usize = 64 << 10;
/// Most partitions of one topic.
pub const MAX_PARTITIONS: u32 = 65_536;

const _: () = assert!(MAX_KEY_LEN < u16::MAX as usize);
const _: () = assert!(MAX_PAYLOAD_LEN < MAX_BATCH_RAW_LEN);
const _: () = assert!((MAX_BATCH_RAW_LEN as u64) < MAX_SEGMENT_SIZE);
const _: () = assert!(MIN_SEGMENT_SIZE < MAX_SEGMENT_SIZE);
const _: () = assert!(MAX_SEGMENT_SIZE + MAX_BATCH_RAW_LEN as u64 + 4096 < u32::MAX as u64);
const _: () = assert!(MAX_NAME_LEN < 256);
const _: () = assert!(MAX_STATEMENTS_LEN + MAX_BATCH_RAW_LEN < u32::MAX as usize);
