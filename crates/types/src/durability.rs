//! When a write is acknowledged.

use std::fmt;
use std::time::Duration;

/// When a write is acknowledged, and so what it survives.
///
/// ```
/// use cairn_types::Durability;
/// assert_eq!("interval:50ms".parse::<Durability>().unwrap().to_string(), "interval:50ms");
/// assert_eq!(Durability::default(), Durability::Sync);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Durability {
    /// After its bytes are on the disk: it survives power loss.
    #[default]
    Sync,
    /// After it was handed to the operating system; synced at most this much later. It
    /// survives a process kill, and power loss but for the last interval. As text it has whole
    /// milliseconds.
    Interval(Duration),
    /// As `Interval`, with the log's own sync interval.
    Buffered,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync => f.write_str("sync"),
            Self::Interval(interval) => write!(f, "interval:{}ms", interval.as_millis()),
            Self::Buffered => f.write_str("buffered"),
        }
    }
}

/// Text that names no durability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no durability; use `sync`, `buffered` or `interval:50ms`")]
pub struct InvalidDurability(String);

impl std::str::FromStr for Durability {
    type Err = InvalidDurability;

    fn from_str(text: &str) -> Result<Self, InvalidDurability> {
        let invalid = || InvalidDurability(text.chars().take(64).collect());
        match text {
            "sync" => Ok(Self::Sync),
            "buffered" => Ok(Self::Buffered),
            _ => {
                let millis =
                    text.strip_prefix("interval:").and_then(|rest| rest.strip_suffix("ms"));
                let millis = millis.and_then(|digits| digits.parse().ok()).ok_or_else(invalid)?;
                Ok(Self::Interval(Duration::from_millis(millis)))
            }
        }
    }
}
