//! Identity of an event: a UUID.

use std::fmt;

use uuid::Uuid;

use crate::Timestamp;

/// Identity of an event: a UUID, version 7 by default, any other accepted (RFC 9562).
///
/// ```
/// use cairn_types::{EventId, Timestamp};
/// let id = EventId::v7(Timestamp::from_millis(1_790_000_000_000), [7; 10]);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EventId(Uuid);

/// Text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no UUID; write it as 8-4-4-4-12 hexadecimal digits")]
pub struct InvalidEventId(String);

impl EventId {
    /// A version 7 UUID from a time and ten random bytes, both chosen by the caller. Of the time it
    /// holds whole milliseconds from 1970 on, 48 bits of them; earlier times count as 1970.
    #[must_use]
    pub fn v7(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// From its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// From a UUID.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// As a UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let shown: String = text.chars().take(64).collect();
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidEventId(shown))
    }
}
