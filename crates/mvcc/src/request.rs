//! Requests as data: what is asked for, without how. Their names and rules are etcd's.

use std::ops::Bound;

use bytes::Bytes;
use cairn_lsm::Bounds;
use cairn_types::StreamId;

use crate::LeaseId;

/// Keys in a keyspace: one, or from one to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The key, or the first of the range.
    pub key: Bytes,
    /// `None` for the one key; an empty end is a range that holds nothing; `\0` means "all
    /// keys from `key` on"; anything else is the first key no longer in the range.
    pub end: Option<Bytes>,
}

impl Range {
    /// One key.
    #[must_use]
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), end: None }
    }

    /// All keys from `key` (inclusive) to `end` (exclusive).
    #[must_use]
    pub fn between(key: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { key: key.into(), end: Some(end.into()) }
    }

    /// All keys from this one on.
    #[must_use]
    pub fn from_key(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), end: Some(Bytes::from_static(b"\0")) }
    }

    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self::from_key(Bytes::from_static(b"\0"))
    }

    /// All keys that begin with `prefix`.
    ///
    /// ```
    /// use cairn_mvcc::Range;
    /// assert!(Range::prefix("ab").contains(b"abc"));
    /// assert!(!Range::prefix("ab").contains(b"ac"));
    /// assert!(Range::prefix(vec![0xff]).contains(&[0xff, 0xff]));
    /// ```
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let key: Bytes = prefix.into();
        let Some(last) = key.iter().rposition(|byte| *byte != 0xff) else {
            return if key.is_empty() { Self::all() } else { Self::from_key(key) };
        };
        let mut end = key[..=last].to_vec();
        end[last] += 1;
        Self { key, end: Some(end.into()) }
    }

    /// Whether it names exactly one key.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        self.end.is_none()
    }

    /// Whether it is every key there can be.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let open = self.end.as_deref() == Some(b"\0");
        open && (self.key.is_empty() || &*self.key == b"\0")
    }

    /// Whether a key lies in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match self.end.as_deref() {
            None => key == &*self.key,
            Some(b"\0") => key >= &*self.key,
            Some(end) => key >= &*self.key && key < end,
        }
    }

    /// Its bounds; `None` when it can hold nothing.
    pub(crate) fn bounds(&self) -> Option<Bounds<'_>> {
        let start = Bound::Included(&*self.key);
        match self.end.as_deref() {
            None => Some((start, Bound::Included(&*self.key))),
            // No key is empty, and "\0" is the smallest: both mean "from the beginning".
            Some(b"\0") => Some((start, Bound::Unbounded)),
            Some(end) if end <= &*self.key => None,
            Some(end) => Some((start, Bound::Excluded(end))),
        }
    }
}

/// What results are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortBy {
    /// The key.
    #[default]
    Key,
    /// Changes since the creation.
    Version,
    /// Revision of the creation.
    Create,
    /// Revision of the last change.
    Mod,
    /// The value.
    Value,
}

/// Direction of sorting. With [`Order::None`] keys come in order, and any other target is
/// sorted ascending, as in etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As they come.
    #[default]
    None,
    /// Ascending.
    Ascend,
    /// Descending.
    Descend,
}

/// A read of one key or a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRequest {
    /// Keyspace.
    pub space: StreamId,
    /// Which keys.
    pub range: Range,
    /// At which revision; 0 for the current one.
    pub revision: u64,
    /// Most results; 0 for all.
    pub limit: usize,
    /// Direction.
    pub order: Order,
    /// What by.
    pub sort_by: SortBy,
    /// Leave the values out.
    pub keys_only: bool,
    /// Only count.
    pub count_only: bool,
    /// Do not count: `count` is then only what was looked at, and a page of a large range
    /// costs as much as the page.
    pub without_count: bool,
    /// Only keys changed at or after this revision; 0 for no bound.
    pub min_mod_revision: u64,
    /// Only keys changed at or before this revision; 0 for no bound.
    pub max_mod_revision: u64,
    /// Only keys created at or after this revision; 0 for no bound.
    pub min_create_revision: u64,
    /// Only keys created at or before this revision; 0 for no bound.
    pub max_create_revision: u64,
}

impl RangeRequest {
    /// Reads a range.
    #[must_use]
    pub fn new(space: StreamId, range: Range) -> Self {
        Self {
            space,
            range,
            revision: 0,
            limit: 0,
            order: Order::None,
            sort_by: SortBy::Key,
            keys_only: false,
            count_only: false,
            without_count: false,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
        }
    }

    /// Reads one key.
    #[must_use]
    pub fn key(space: StreamId, key: impl Into<Bytes>) -> Self {
        Self::new(space, Range::key(key))
    }

    /// Reads all keys with a prefix.
    #[must_use]
    pub fn prefix(space: StreamId, prefix: impl Into<Bytes>) -> Self {
        Self::new(space, Range::prefix(prefix))
    }

    /// At a revision.
    #[must_use]
    pub fn at(self, revision: u64) -> Self {
        Self { revision, ..self }
    }

    /// At most so many results.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub(crate) fn has_filters(&self) -> bool {
        self.min_mod_revision != 0
            || self.max_mod_revision != 0
            || self.min_create_revision != 0
            || self.max_create_revision != 0
    }

    pub(crate) fn passes(&self, create: u64, modified: u64) -> bool {
        let within = |value: u64, min: u64, max: u64| value >= min && (max == 0 || value <= max);
        within(modified, self.min_mod_revision, self.max_mod_revision)
            && within(create, self.min_create_revision, self.max_create_revision)
    }

    pub(crate) fn needs_sort(&self) -> bool {
        self.sort_by != SortBy::Key || self.order == Order::Descend
    }
}

/// A write of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Keyspace.
    pub space: StreamId,
    /// Key.
    pub key: Bytes,
    /// Value.
    pub value: Bytes,
    /// Lease to attach; [`LeaseId::NONE`] detaches the old one.
    pub lease: LeaseId,
    /// Answer with the version before.
    pub prev_kv: bool,
    /// Keep the old value and change only the lease.
    pub ignore_value: bool,
    /// Keep the old lease and change only the value.
    pub ignore_lease: bool,
}

impl Put {
    /// Writes a key.
    #[must_use]
    pub fn new(space: StreamId, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            space,
            key: key.into(),
            value: value.into(),
            lease: LeaseId::NONE,
            prev_kv: false,
            ignore_value: false,
            ignore_lease: false,
        }
    }

    /// Attaches a lease.
    #[must_use]
    pub fn lease(self, lease: LeaseId) -> Self {
        Self { lease, ..self }
    }
}

/// Deletes one key or a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRange {
    /// Keyspace.
    pub space: StreamId,
    /// Which keys.
    pub range: Range,
    /// Answer with the versions deleted.
    pub prev_kv: bool,
}

impl DeleteRange {
    /// Deletes one key.
    #[must_use]
    pub fn key(space: StreamId, key: impl Into<Bytes>) -> Self {
        Self::new(space, Range::key(key))
    }

    /// Deletes a range.
    #[must_use]
    pub const fn new(space: StreamId, range: Range) -> Self {
        Self { space, range, prev_kv: false }
    }
}

/// What of a key is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompareTarget {
    /// Changes since the creation; 0 for an absent key.
    Version(u64),
    /// Revision of the creation; 0 for an absent key.
    Create(u64),
    /// Revision of the last change; 0 for an absent key.
    Mod(u64),
    /// The value; every comparison with an absent key is false.
    Value(Bytes),
    /// The lease; none for an absent key.
    Lease(LeaseId),
}

/// How it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// The key's is the same.
    Equal,
    /// The key's is greater.
    Greater,
    /// The key's is less.
    Less,
    /// The key's is another.
    NotEqual,
}

/// A condition; over a range it must hold for every key (an empty range counts as one absent
/// key).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// Keyspace.
    pub space: StreamId,
    /// Which keys.
    pub range: Range,
    /// How.
    pub op: CompareOp,
    /// With what.
    pub target: CompareTarget,
}

impl Compare {
    /// A condition on one key.
    #[must_use]
    pub fn key(
        space: StreamId,
        key: impl Into<Bytes>,
        op: CompareOp,
        target: CompareTarget,
    ) -> Self {
        Self { space, range: Range::key(key), op, target }
    }
}

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnOp {
    /// Read.
    Range(RangeRequest),
    /// Write.
    Put(Put),
    /// Delete.
    Delete(DeleteRange),
    /// A transaction within.
    Txn(Txn),
}

/// Compare, then, else: evaluated as one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    /// All must hold.
    pub compare: Vec<Compare>,
    /// Done when they do.
    pub success: Vec<TxnOp>,
    /// Done when one does not.
    pub failure: Vec<TxnOp>,
}
