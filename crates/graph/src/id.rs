//! Ids of vertices and edges: UUIDs. Truth, as part of keys.

use std::fmt;
use std::str::FromStr;

use cairndb::types::EventId;
use cairndb::types::Timestamp;
use cairndb::vfs::Rng;
use uuid::Uuid;

use crate::{Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
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
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let cause = "write a UUID as 8-4-4-4-12 hexadecimal digits";
                Uuid::try_parse(text).map(Self).map_err(|_| Error::invalid($what, cause))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id!(
    /// Identity of a vertex: any UUID.
    VertexId,
    "vertex id"
);
id!(
    /// Identity of an edge: any UUID.
    EdgeId,
    "edge id"
);

impl VertexId {
    /// The id that stands for a name: a version 8 UUID of its SHA-256, the same everywhere. A
    /// name that is a UUID stands for that UUID.
    ///
    /// ```
    /// use cairn_graph::VertexId;
    /// assert_eq!(VertexId::named("SFO"), VertexId::named("SFO"));
    /// let id = VertexId::named("SFO");
    /// assert_eq!(VertexId::named(&id.to_string()), id);
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name.len() == 36
            && let Ok(id) = Uuid::try_parse(name)
        {
            return Self(id);
        }
        let text = [b"cairn/graph vertex\0", name.as_bytes()].concat();
        let hash = cairndb::codec::hash::payload(&text);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(hash.as_bytes().first_chunk::<16>().expect("a hash has 32 bytes"));
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// A fresh version 7 UUID.
pub(crate) fn fresh(rng: &dyn Rng, now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    rng.fill(&mut random);
    EventId::v7(now, random).as_uuid()
}

/// The first 12 bytes of the ids that one window of an import gives out; the last 4 are a
/// number. Truth, as part of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId([u8; 12]);

impl BatchId {
    /// From its 12 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Its 12 bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 12] {
        self.0
    }

    /// The id with a number.
    #[must_use]
    pub fn edge(self, number: u32) -> EdgeId {
        let mut bytes = [0; 16];
        let (batch, rest) = bytes.split_at_mut(12);
        batch.copy_from_slice(&self.0);
        rest.copy_from_slice(&number.to_be_bytes());
        EdgeId::from_bytes(bytes)
    }
}

impl EdgeId {
    /// The batch and the number that an id would have if an import had given it out.
    #[must_use]
    pub fn split(self) -> (BatchId, u32) {
        let bytes = self.to_bytes();
        let (batch, number) = bytes.split_at(12);
        let batch = batch.try_into().expect("12 bytes");
        (BatchId(batch), u32::from_be_bytes(number.try_into().expect("4 bytes")))
    }
}
