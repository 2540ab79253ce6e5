//! What users hand in: events to append and settings of topics.

use std::time::Duration;

use bytes::Bytes;
use cairn_segment::Compression;
use cairn_types::{EventData, EventId, Headers, Partition, Timestamp};

/// Settings of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicConfig {
    /// How many partitions, from 1.
    pub partitions: u32,
    /// Codec of its events.
    pub compression: Compression,
    /// How long events are kept, by their own time, in whole milliseconds and at least one; for
    /// ever without it.
    pub max_age: Option<Duration>,
    /// How many bytes of the newest events each partition keeps, at least one; all without it.
    pub max_len: Option<u64>,
    /// Keep only the newest event of each key; events without a key stay.
    pub latest_by_key: bool,
    /// Seal each event's headers and data with a key of its subject, which
    /// [`Engine::shred`](crate::Engine::shred) drops. Events then need a key. Set when the topic
    /// is created, and never changed.
    pub by_subject: bool,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            partitions: 1,
            compression: Compression::None,
            max_age: None,
            max_len: None,
            latest_by_key: false,
            by_subject: false,
        }
    }
}

impl TopicConfig {
    /// As a record of the log says it, which has no smaller units and 0 for nothing.
    pub(crate) fn as_recorded(self) -> Self {
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1);
        let max_age = self.max_age.map(|age| Duration::from_millis(millis(age)));
        Self { max_age, max_len: self.max_len.map(|len| len.max(1)), ..self }
    }
}

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Identity. When it is given, appending it again within the window of recent ids returns
    /// the first one's place; otherwise a `UUIDv7` is made.
    pub id: Option<EventId>,
    /// Partition; by the key's hash, or in turn, when it is not given.
    pub partition: Option<Partition>,
    /// Key.
    pub key: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// Data.
    pub data: EventData,
    /// Time; that of the commit when it is not given.
    pub timestamp: Option<Timestamp>,
}

impl NewEvent {
    /// An event with this data.
    #[must_use]
    pub const fn new(data: EventData) -> Self {
        Self {
            id: None,
            partition: None,
            key: None,
            headers: Headers::new(),
            data,
            timestamp: None,
        }
    }

    /// An event with JSON data, validated on append.
    #[must_use]
    pub fn json(data: impl Into<Bytes>) -> Self {
        Self::new(EventData::json(data))
    }

    /// An event with text.
    #[must_use]
    pub fn text(data: impl Into<String>) -> Self {
        Self::new(EventData::text(data))
    }

    /// An event with bytes.
    #[must_use]
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::new(EventData::binary(data))
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the identity, which makes the append idempotent.
    #[must_use]
    pub const fn with_id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the partition.
    #[must_use]
    pub const fn in_partition(mut self, partition: u32) -> Self {
        self.partition = Some(Partition::new(partition));
        self
    }

    /// Sets the time.
    #[must_use]
    pub const fn at(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}
