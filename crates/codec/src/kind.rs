//! Kinds of records.

use std::fmt;

use crate::Error;

/// Kind of a record: what its statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKind(u8);

impl RecordKind {
    /// Only the leaf is left: the cleaner dropped the record.
    pub const DROPPED: Self = Self(0);
    /// An event of a partition.
    pub const EVENT: Self = Self(1);
    /// A key was put.
    pub const PUT: Self = Self(2);
    /// A key was deleted.
    pub const DELETE: Self = Self(3);
    /// A lease was granted.
    pub const LEASE_GRANT: Self = Self(4);
    /// A lease was revoked or expired.
    pub const LEASE_REVOKE: Self = Self(5);
    /// A checkpoint: the log's own chain value before this record.
    pub const CHECKPOINT: Self = Self(6);
    /// A map head: the root of the key map.
    pub const MAP_ROOT: Self = Self(7);
    /// A stream (topic or keyspace) was created.
    pub const STREAM_CREATED: Self = Self(8);
    /// A stream was dropped.
    pub const STREAM_DROPPED: Self = Self(9);
    /// Records were erased by authority of this one.
    pub const ERASURE: Self = Self(10);
    /// How far a consumer group has read.
    pub const GROUP_OFFSET: Self = Self(11);
    /// A producer was registered.
    pub const PRODUCER: Self = Self(12);
    /// Revisions before this one's can no longer be read.
    pub const COMPACTION: Self = Self(13);
    /// Events of a stream before an offset can no longer be read.
    pub const STREAM_TRIMMED: Self = Self(14);
    /// Commands up to a position are in the log with this record's batch.
    pub const APPLIED: Self = Self(15);
    /// A key that signs tree heads of the log.
    pub const SIGNING_KEY: Self = Self(32);
    /// A signed tree head: size and root of the tree over all records.
    pub const TREE_HEAD: Self = Self(33);
    /// A block of the content-addressed graph.
    pub const DAG_BLOCK: Self = Self(34);
    /// A named root of the content-addressed graph.
    pub const DAG_ROOT: Self = Self(35);
    /// The first kind that is free for users of the log alone.
    pub const USER: Self = Self(128);

    /// A kind by number.
    ///
    /// # Errors
    /// [`Error::UnknownKind`] for the reserved numbers 16 to 31 and 36 to 127.
    pub const fn new(number: u8) -> Result<Self, Error> {
        match number {
            16..=31 | 36..=127 => Err(Error::UnknownKind(number)),
            _ => Ok(Self(number)),
        }
    }

    /// The number on disk.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether records of this kind number their stream densely and are found by sequence:
    /// events, the records of topics, groups, producers and erasures, blocks and roots of the
    /// graph, and all kinds that users define.
    #[must_use]
    pub const fn is_sequenced(self) -> bool {
        matches!(
            self,
            Self::EVENT
                | Self::STREAM_CREATED
                | Self::STREAM_DROPPED
                | Self::ERASURE
                | Self::GROUP_OFFSET
                | Self::PRODUCER
                | Self::STREAM_TRIMMED
                | Self::APPLIED
                | Self::DAG_BLOCK
                | Self::DAG_ROOT
        ) || self.0 >= Self::USER.0
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => "dropped",
            1 => "event",
            2 => "put",
            3 => "delete",
            4 => "lease-grant",
            5 => "lease-revoke",
            6 => "checkpoint",
            7 => "map-root",
            8 => "stream-created",
            9 => "stream-dropped",
            10 => "erasure",
            11 => "group-offset",
            12 => "producer",
            13 => "compaction",
            14 => "stream-trimmed",
            15 => "applied",
            32 => "signing-key",
            33 => "tree-head",
            34 => "dag-block",
            35 => "dag-root",
            number => return write!(f, "user-{number}"),
        };
        f.pad(name)
    }
}
