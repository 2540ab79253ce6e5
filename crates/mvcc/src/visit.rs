//! Looking at many keys without taking them. Neither truth nor derived: it looks at both.

use std::ops::ControlFlow;

use bytes::Bytes;
use cairn_types::StreamId;

use crate::erased::Held;
use crate::key_value::{LentPlace, LentVersion};
use crate::read::Values;
use crate::request::Range;
use crate::{Erasure, KeyValue, LeaseId, Result, Store};

/// Keys shown at a time: in between, tables that were merged away meanwhile can go.
const PIECE: usize = 4096;

/// A [`KeyValue`] that is lent for the time of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValueRef<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; empty when it was erased.
    pub value: &'a [u8],
    /// Revision that created the key's current generation.
    pub create_revision: u64,
    /// Revision of the last change.
    pub mod_revision: u64,
    /// Changes since the creation, from 1.
    pub version: u64,
    /// Attached lease, or [`LeaseId::NONE`].
    pub lease: LeaseId,
    /// That the value was erased.
    pub erased: Option<Erasure>,
}

impl KeyValueRef<'_> {
    /// Copies it.
    #[must_use]
    pub fn to_owned(&self) -> KeyValue {
        KeyValue {
            key: Bytes::copy_from_slice(self.key),
            value: Bytes::copy_from_slice(self.value),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            lease: self.lease,
            erased: self.erased,
        }
    }
}

impl Store {
    /// Calls `each` with every key of a range at a revision (0 for the current one), in order,
    /// until it breaks; gives back what it broke with. Keys and values are lent from where they
    /// are, which makes it the fastest way to look at many. No lock is held meanwhile, and `each`
    /// may read and write.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// # use cairn_mvcc::{Put, Range, Store};
    /// # use cairn_segment::Log;
    /// # use cairn_types::StreamId;
    /// # let dir = tempfile::tempdir().expect("a directory");
    /// # let store = Store::open(Log::open(dir.path().join("log"))?)?;
    /// let space = StreamId::new(1);
    /// for stone in ["basalt", "gneiss", "marl"] {
    ///     store.put(Put::new(space, stone, stone.len().to_string()))?;
    /// }
    /// let mut len = 0;
    /// let found = store.visit(space, &Range::all(), 0, |kv| {
    ///     len += kv.value.len();
    ///     if kv.key == b"gneiss" { ControlFlow::Break(kv.mod_revision) } else { ControlFlow::Continue(()) }
    /// })?;
    /// assert_eq!((found, len), (ControlFlow::Break(3), 2));
    /// # Ok::<(), cairn_mvcc::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Compacted`](crate::Error::Compacted), also when that happens meanwhile: what was
    /// shown until then is right, yet keys may have been left out. `FutureRevision`, the log's.
    pub fn visit<B>(
        &self,
        space: StreamId,
        range: &Range,
        revision: u64,
        mut each: impl FnMut(KeyValueRef<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let revision = self.readable(revision)?;
        let values = self.values();
        // It never changes for a keyspace.
        let is_sealed = values.seals(space);
        let mut broke = ControlFlow::Continue(());
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut left = PIECE;
            let from = after.take();
            let walked =
                self.index().walk_lent(space, range, from.as_deref(), revision, |key, version| {
                    broke = values.lend(space, key, version, is_sealed, &mut each)?;
                    left -= 1;
                    if left == 0 {
                        after = Some(key.to_vec());
                    }
                    Ok(broke.is_continue() && left > 0)
                });
            // What is compacted while it is looked at may be gone.
            self.check_kept(revision)?;
            walked?;
            if broke.is_break() || after.is_none() {
                return Ok(broke);
            }
        }
    }
}

impl Values<'_> {
    /// Calls `look` with a key and its value.
    fn lend<T>(
        &self,
        space: StreamId,
        key: &[u8],
        version: &LentVersion<'_>,
        is_sealed: bool,
        look: impl FnOnce(KeyValueRef<'_>) -> T,
    ) -> Result<T> {
        let show = |value: &[u8], erased| {
            look(KeyValueRef {
                key,
                value,
                create_revision: version.create,
                mod_revision: version.main,
                version: version.version,
                lease: version.lease,
                erased,
            })
        };
        let erasure = self.erased.erasure(version.lsn);
        let held = match version.place {
            _ if erasure.by.is_some() => return Ok(show(&[], Some(erasure))),
            LentPlace::Inline(value) if !is_sealed => return Ok(show(value, None)),
            LentPlace::Inline(value) => Held::Value(Bytes::copy_from_slice(value)),
            LentPlace::Log => self.read_log(version.lsn)?,
            LentPlace::Erased => Held::Erased(erasure),
        };
        let (value, erased) = self.opened(space, key, version.lsn, held)?.parts();
        Ok(show(&value, erased))
    }
}
