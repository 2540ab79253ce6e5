//! Changes as data: everything that could differ between two runs (time, ids) is fixed by
//! whoever submits, so that applying a command is deterministic.

use bytes::Bytes;

use crate::{EventData, EventId, GroupName, Headers, Offset, Partition, Timestamp, Topic};

/// A change of the engine's state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Command {
    /// Create a topic.
    CreateTopic {
        /// Its name.
        topic: Topic,
        /// How many partitions.
        partitions: u32,
    },
    /// Drop a topic; its offsets are never used again.
    DropTopic {
        /// Its name.
        topic: Topic,
    },
    /// Append events, all or none.
    AppendEvents {
        /// The events in order.
        events: Vec<EventCommand>,
    },
    /// Remember how far a group has read.
    CommitOffset {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The next offset to read.
        next: Offset,
    },
}

/// One event of [`Command::AppendEvents`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EventCommand {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: Partition,
    /// Identity, fixed by the submitter.
    pub id: EventId,
    /// Key.
    pub key: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// Data.
    pub data: EventData,
    /// Time, fixed by the submitter.
    pub timestamp: Timestamp,
}
