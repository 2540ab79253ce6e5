//! Numbers that must not be mixed up: each is a type of its own.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name($inner);

        impl $name {
            /// The smallest value.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// Wraps a number.
            #[must_use]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// This many further, or `None` past the largest value.
            #[must_use]
            pub const fn checked_add(self, count: $inner) -> Option<Self> {
                match self.0.checked_add(count) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// This many before, or `None` below zero.
            #[must_use]
            pub const fn checked_sub(self, count: $inner) -> Option<Self> {
                match self.0.checked_sub(count) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The next one, or `None` after the largest.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// Log sequence number: the place of a record in the whole log, from 0. It is also the
    /// index of the record's leaf in the Merkle tree (RFC 6962).
    ///
    /// ```
    /// use cairn_types::Lsn;
    /// assert_eq!(Lsn::new(41).next(), Some(Lsn::new(42)));
    /// assert_eq!(Lsn::MAX.next(), None);
    /// ```
    Lsn(u64)
}
id! {
    /// Place of an event in its partition, from 0.
    Offset(u64)
}
id! {
    /// Number of a stream in the log: one partition of a topic, one keyspace, or the log's own
    /// records ([`SYSTEM`](Self::SYSTEM)).
    StreamId(u32)
}
id! {
    /// Number of a segment file, from 0.
    SegmentId(u64)
}
id! {
    /// Number of a partition in its topic, from 0.
    Partition(u32)
}
id! {
    /// Number of a producer that repeats its appends safely.
    ProducerId(u64)
}

impl StreamId {
    /// The stream of the log's own records: topics, checkpoints, group offsets.
    pub const SYSTEM: Self = Self(0);
}

/// A point in the history of keys: `main` counts write transactions, `sub` the operations
/// within one (etcd's revision). Where one transaction changes a key once, `main` alone is enough,
/// and is what interfaces call a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Revision {
    /// Number of the write transaction.
    pub main: u64,
    /// Operation within the transaction, from 0.
    pub sub: u32,
}

impl Revision {
    /// The first operation of write transaction `main`.
    #[must_use]
    pub const fn new(main: u64) -> Self {
        Self { main, sub: 0 }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_bounds() {
        assert_eq!(Lsn::new(u64::MAX - 1).checked_add(2), None);
        assert_eq!(Offset::ZERO.checked_sub(1), None);
        assert_eq!(Partition::new(3).checked_sub(1), Some(Partition::new(2)));
    }

    #[test]
    fn numbers_parse_as_they_print() {
        assert_eq!("17".parse(), Ok(Lsn::new(17)));
        assert!("-1".parse::<Lsn>().is_err());
        assert_eq!(Revision { main: 4, sub: 2 }.to_string(), "4.2");
    }
}
