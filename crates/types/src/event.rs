//! Events as users see them.

use bytes::Bytes;

use crate::{EventId, Lsn, Offset, Partition, Timestamp, Topic};

/// How the data of an event is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DataKind {
    /// One JSON value (RFC 8259).
    Json,
    /// Bytes without a meaning to Cairn.
    Binary,
    /// UTF-8 text.
    Text,
}

/// The data of an event.
///
/// ```
/// use cairn_types::EventData;
/// assert_eq!(EventData::text("hi").as_str(), Some("hi"));
/// assert_eq!(EventData::binary(vec![0xff]).as_str(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum EventData {
    /// One JSON value; the engine validates it on append.
    Json(Bytes),
    /// Bytes without a meaning to Cairn.
    Binary(Bytes),
    /// UTF-8 text. [`text_from_bytes`](Self::text_from_bytes) checks that it is; who names this
    /// variant directly answers for it.
    Text(Bytes),
}

impl EventData {
    /// JSON text; it is validated when it is appended.
    pub fn json(data: impl Into<Bytes>) -> Self {
        Self::Json(data.into())
    }

    /// Bytes.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::Binary(data.into())
    }

    /// Text.
    pub fn text(data: impl Into<String>) -> Self {
        Self::Text(data.into().into())
    }

    /// Text that comes as UTF-8 bytes.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn text_from_bytes(data: Bytes) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(&data)?;
        Ok(Self::Text(data))
    }

    /// How the data is to be read.
    #[must_use]
    pub const fn kind(&self) -> DataKind {
        match self {
            Self::Json(_) => DataKind::Json,
            Self::Binary(_) => DataKind::Binary,
            Self::Text(_) => DataKind::Text,
        }
    }

    /// The bytes, shared.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Json(data) | Self::Binary(data) | Self::Text(data) => data,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes()
    }

    /// The text of JSON or text data; `None` for binary data and for bytes that are not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Binary(_) => None,
            Self::Json(data) | Self::Text(data) => std::str::from_utf8(data).ok(),
        }
    }
}

/// Named values beside the data, in the order given; a name may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header; the engine checks the limits on append.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event {
    /// Identity.
    pub id: EventId,
    /// Topic.
    pub topic: Topic,
    /// Partition of the topic.
    pub partition: Partition,
    /// Place in the partition.
    pub offset: Offset,
    /// Place in the whole log.
    pub lsn: Lsn,
    /// Key, if it was given one.
    pub key: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// Data.
    pub data: EventData,
    /// Time given by the writer, or the time of the commit.
    pub timestamp: Timestamp,
}
