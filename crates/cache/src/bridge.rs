//! From the log to the channels of a cache, and back without a loss. Derived: a channel is a hint,
//! the log is the truth.
//!
//! ```text
//! log ─ watch, topic ─▶ Publisher ── JSON (prev, at] ──▶ channel ──▶ Subscriber at position p
//!  ▲                                                                   │ at ≤ p: seen, dropped
//!  │                                                                   │ prev ≤ p: nothing between
//!  └────────────── Feed: everything after p ◀──────────────────────────┘ else, or silence: a gap
//! ```
//!
//! Invariants:
//! - Only what readers of the engine may see is published, in the order of the log.
//! - A subscriber gets every update after its position once, in the order of its lane, whatever
//!   the channel loses, repeats or reorders; when the log has given an update up, an error says so.
//! - A dead cache costs latency: then the log is looked at every poll interval.
//!
//! This module does not know how subscribers come to the log: a [`Feed`] is any engine, also one
//! that was opened for reading beside the process that writes.

mod feed;
mod message;
mod publisher;
mod subscriber;

use bytes::Bytes;
use cairndb::types::{EventData, Headers, Timestamp};

pub use feed::{Feed, FeedStart};
pub use message::MESSAGE_LEN_MAX;
pub use publisher::Publisher;
pub use subscriber::{Subscriber, SubscriberConfig, SubscriberStats};

/// One step of a lane: what came after `prev` and up to `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The partition of a topic; 0 for keys.
    pub lane: u32,
    /// Position before it.
    pub prev: u64,
    /// Position after it: a revision, or the offset of the next event.
    pub at: u64,
    /// What happened.
    pub body: UpdateBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateBody {
    /// All wanted changes of one revision.
    Keys(Vec<KeyUpdate>),
    /// One event.
    Event(EventUpdate),
}

/// A key that was written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUpdate {
    /// The key.
    pub key: Bytes,
    /// Its value; `None` when it was deleted.
    pub value: Option<Bytes>,
    /// Revision that created it; 0 when it was deleted.
    pub create_revision: u64,
    /// Changes since then; 0 when it was deleted.
    pub version: u64,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventUpdate {
    /// Its identity, as text.
    pub id: String,
    /// Its place in the partition.
    pub offset: u64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
    /// Its data.
    pub data: EventData,
    /// Its time.
    pub timestamp: Timestamp,
}
