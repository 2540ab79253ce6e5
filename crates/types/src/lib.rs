//! Vocabulary of Cairn: identifiers, positions, events, names and limits.
//!
//! Every crate of the stack speaks in these types, so that an offset can never be passed where
//! an LSN belongs. Nothing here reads a file, a clock or a random source.
//!
//! ```
//! use cairn_types::{Lsn, Topic};
//! let topic = Topic::new("orders").expect("a valid name");
//! assert_eq!(topic.as_str(), "orders");
//! assert_eq!(Lsn::new(3).next(), Some(Lsn::new(4)));
//! ```
#![forbid(unsafe_code)]

pub mod durability;
pub mod error_kind;
pub mod event;
pub mod event_id;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod name;
pub mod time;

pub use bytes::Bytes;
pub use durability::{Durability, InvalidDurability};
pub use error_kind::ErrorKind;
pub use event::{DataKind, Event, EventData, Headers};
pub use event_id::{EventId, InvalidEventId};
pub use hash::{ChainHash, InvalidHash, LeafHash, PayloadHash};
pub use ids::{Lsn, Offset, Partition, ProducerId, Revision, SegmentId, StreamId};
pub use name::{GroupName, InvalidName, KeyspaceName, ProducerName, Topic};
pub use time::{InvalidTimestamp, Timestamp};
