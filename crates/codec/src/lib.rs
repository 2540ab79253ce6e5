//! The wire format of Cairn's log: batches of records, checksummed, hashed and compressed.
//!
//! ```text
//! Draft ──encode──▶ header | statements | restart table | payloads ──BatchView──▶ records
//!   │ payload hashes     CRC32, salted           compressed │
//!   └ leaf = SHA-256(0 ‖ statement) ─▶ chain                └ capped by the declared length
//! ```
//!
//! Invariants: a length is believed only after the CRC over it was checked; nothing is
//! allocated beyond a limit; the chain value depends on statements and payload hashes alone,
//! so a batch can be recompressed or cleaned and still verifies. This crate knows no files.
//!
//! ```
//! use cairn_codec::{BatchContext, BatchHeader, BATCH_HEADER_LEN, CodecRegistry, Draft,
//!     RecordDraft, RecordKind, SaltedCrc, Scratch, encode, verify_batch};
//! use cairn_types::{ChainHash, Lsn, StreamId, Timestamp};
//!
//! let mut draft = Draft::new();
//! draft.push(RecordDraft::new(RecordKind::EVENT, StreamId::new(1)), b"hello")?;
//! let crc = SaltedCrc::new(&[7; 16]);
//! let context = BatchContext {
//!     first_lsn: Lsn::new(0), commit_time: Timestamp::from_secs(1), durable_end: Lsn::new(0),
//!     prev_hash: ChainHash::GENESIS, crc: &crc,
//! };
//! let mut out = Vec::new();
//! let encoded = encode(&draft, &context, &[0], &mut Scratch::default(), &mut out);
//! let header = BatchHeader::decode(&out, &crc)?;
//! let verified = verify_batch(&header, &out[BATCH_HEADER_LEN..], &CodecRegistry::standard(), &crc)?;
//! assert_eq!(verified.chain, encoded.chain);
//! # Ok::<(), cairn_codec::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod batch;
pub mod compress;
pub mod crc;
pub mod draft;
pub mod error;
pub mod hash;
pub mod kind;
pub mod seal;
pub mod value;
pub mod varint;

pub use batch::header::{BATCH_HEADER_LEN, BatchHeader};
pub use batch::rewrite::{Fate, rewrite};
pub use batch::verify::{VerifiedBatch, raw_payloads, verify_batch};
pub use batch::view::{BatchView, Content, RecordView, StatementCursor};
pub use batch::{BatchContext, Encoded, Scratch, encode, encode_sealed, leaf_of, statement_of};
pub use compress::{Codec, CodecId, CodecRegistry, Compression};
pub use crc::SaltedCrc;
pub use draft::{Draft, Facts, RecordDraft, RecordMeta, SequenceRule};
pub use error::{Error, Result};
pub use kind::RecordKind;
pub use seal::{
    BlockCipher, BlockIdentity, FileCipher, FileKind, StoreKey, copy_batch, seal_batch,
};
