//! Keys and their versions as users see them and as the index keeps them. Derived.

use std::fmt;

use bytes::Bytes;
use cairn_codec::varint;
use cairn_lsm::EntryRef;
use cairn_types::Lsn;
use cairn_vfs::Rng;

use crate::erased::{Erasure, Held};

/// Number of a lease; 0 stands for none. etcd's clients also use negative ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaseId(i64);

impl LeaseId {
    /// No lease.
    pub const NONE: Self = Self(0);

    /// Wraps a number.
    #[must_use]
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// A random one, above 0.
    #[must_use]
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        Self((i64::from_le_bytes(bytes) & i64::MAX).max(1))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it stands for no lease.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key with its value at some revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value; empty when only keys were asked for, and when it was erased.
    pub value: Bytes,
    /// Revision that created the key's current generation.
    pub create_revision: u64,
    /// Revision of the last change.
    pub mod_revision: u64,
    /// Changes since the creation, from 1.
    pub version: u64,
    /// Attached lease, or [`LeaseId::NONE`].
    pub lease: LeaseId,
    /// That the value was erased; only what was asked for with values says so.
    pub erased: Option<Erasure>,
}

impl KeyValue {
    /// The value.
    ///
    /// # Errors
    /// [`Error::Erased`](crate::Error::Erased).
    pub fn into_value(self) -> crate::Result<Bytes> {
        match self.erased {
            None => Ok(self.value),
            Some(erasure) => Held::Erased(erasure).value(),
        }
    }
}

/// Where a version's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Small: kept in memory too.
    Inline(Bytes),
    /// In the log, in the version's record.
    Log,
    /// Nowhere: it was erased.
    Erased,
}

/// Values up to this many bytes are kept in memory beside the key.
pub(crate) const INLINE_LEN_MAX: usize = 128;

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) main: u64,
    pub(crate) create: u64,
    /// 0 for a tombstone.
    pub(crate) version: u64,
    pub(crate) lease: LeaseId,
    pub(crate) lsn: Lsn,
    pub(crate) place: Place,
}

impl Version {
    /// The version that ends a key.
    pub(crate) fn tombstone(main: u64, lsn: Lsn) -> Self {
        let (lease, place) = (LeaseId::NONE, place_of(&[]));
        Self { main, create: 0, version: 0, lease, lsn, place }
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    pub(crate) fn with_value(&self, key: Bytes, held: Held) -> KeyValue {
        let (value, erased) = held.parts();
        KeyValue {
            key,
            value,
            create_revision: self.create,
            mod_revision: self.main,
            version: self.version,
            lease: self.lease,
            erased,
        }
    }
}

const TAG_LOG: u8 = 0;
const TAG_INLINE: u8 = 1;
const TAG_ERASED: u8 = 2;

/// In a table: revisions since the creation, version and lease as varints, a tag (0 the
/// value is in the log, 1 it follows, 2 it was erased), and after tag 1 the value.
impl cairn_lsm::Version for Version {
    fn sequence(&self) -> u64 {
        self.main
    }

    fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    fn reference(&self) -> u64 {
        self.lsn.get()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        varint::put(out, self.main - self.create.min(self.main));
        varint::put(out, self.version);
        varint::put(out, varint::zigzag(self.lease.get()));
        match &self.place {
            Place::Log => out.push(TAG_LOG),
            Place::Erased => out.push(TAG_ERASED),
            Place::Inline(value) => {
                out.push(TAG_INLINE);
                out.extend_from_slice(value);
            }
        }
    }

    fn decode(entry: &EntryRef<'_>, share: bool) -> Option<Self> {
        let LentVersion { main, create, version, lease, lsn, place } = LentVersion::decode(entry)?;
        let place = match place {
            LentPlace::Log => Place::Log,
            LentPlace::Erased => Place::Erased,
            LentPlace::Inline(value) if share => {
                Place::Inline(entry.share(entry.value.len() - value.len()))
            }
            LentPlace::Inline(value) => Place::Inline(Bytes::copy_from_slice(value)),
        };
        Some(Self { main, create, version, lease, lsn, place })
    }

    fn heap_len(&self) -> usize {
        match &self.place {
            Place::Inline(value) => value.len(),
            Place::Log | Place::Erased => 0,
        }
    }
}

/// [`Place`], with a value that belongs to somebody else.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LentPlace<'a> {
    Inline(&'a [u8]),
    Log,
    Erased,
}

/// A [`Version`] with a value that belongs to somebody else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LentVersion<'a> {
    pub(crate) main: u64,
    pub(crate) create: u64,
    pub(crate) version: u64,
    pub(crate) lease: LeaseId,
    pub(crate) lsn: Lsn,
    pub(crate) place: LentPlace<'a>,
}

impl<'a> LentVersion<'a> {
    pub(crate) fn of(version: &'a Version) -> Self {
        let Version { main, create, version, lease, lsn, ref place } = *version;
        let place = match place {
            Place::Inline(value) => LentPlace::Inline(value),
            Place::Log => LentPlace::Log,
            Place::Erased => LentPlace::Erased,
        };
        Self { main, create, version, lease, lsn, place }
    }

    /// Takes what a [`Version`] encoded.
    pub(crate) fn decode(entry: &EntryRef<'a>) -> Option<Self> {
        let mut at = entry.value;
        let since = varint::take(&mut at)?;
        let version = varint::take(&mut at)?;
        let lease = LeaseId::new(varint::unzigzag(varint::take(&mut at)?));
        let (tag, value) = at.split_first()?;
        let place = match *tag {
            TAG_LOG if value.is_empty() => LentPlace::Log,
            TAG_ERASED if value.is_empty() => LentPlace::Erased,
            TAG_INLINE => LentPlace::Inline(value),
            _ => return None,
        };
        let main = entry.sequence;
        let create = main.checked_sub(since)?;
        if entry.tombstone != (version == 0) {
            return None;
        }
        Some(Self { main, create, version, lease, lsn: Lsn::new(entry.reference), place })
    }
}

/// The part of a value that is kept in memory.
pub(crate) fn place_of(value: &[u8]) -> Place {
    if value.len() <= INLINE_LEN_MAX {
        Place::Inline(Bytes::copy_from_slice(value))
    } else {
        Place::Log
    }
}
