//! The commit pipeline: submit fills a buffer in memory, wait moves it to the disk.
//!
//! ```text
//! caller: Draft (payload hashes, compression)          no lock
//!   └─ submit: LSNs, sequences, leaves, chain, bytes   append lock, no I/O*
//!        └─ wait: first to come leads: write, sync     lock released during I/O
//!             └─ publish: index, watermarks, wake      append lock
//! ```
//! *Except when the batch needs a new segment or more preallocated space: that happens before
//! anything is assigned, so a full disk refuses the batch cleanly.
//!
//! Truth: the bytes written here are the database. Everything published beside them (index,
//! counters) is derived.

mod commit;
mod roll;
mod sequences;
mod state;
mod submit;
#[cfg(test)]
mod tests;
mod waiters;

pub use submit::{Appended, Expect, Sequences, Ticket};

pub(crate) use sequences::NextSequences;
pub(crate) use state::{Append, AppendStart, Buffer, Predecessor, Watermarks};
