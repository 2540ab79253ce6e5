//! A store in memory, for tests and for programs whose users need not outlive them.
//!
//! It is the truth of what it holds and loses it with the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use super::{Batch, Entry, Expect, KvStore, Stamp, Stamped, StoreError};

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Bytes, Stamped>,
    last: u64,
}

/// Keys and values in an ordered map.
///
/// ```
/// use cairn_auth::{Batch, Expect, KvStore, MemoryStore};
/// let store = MemoryStore::default();
/// let mut batch = Batch::new();
/// batch.expect("k".into(), Expect::Absent).put("k".into(), "v");
/// store.commit(batch.clone())?;
/// assert!(store.commit(batch).is_err());
/// # Ok::<(), cairn_auth::StoreError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore(RwLock<State>);

impl MemoryStore {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn holds(&self, key: &Bytes, what: Expect) -> bool {
        match what {
            Expect::Absent => !self.entries.contains_key(key),
            Expect::Unchanged(stamp) => self.entries.get(key).is_some_and(|e| e.stamp == stamp),
        }
    }
}

impl KvStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Stamped>, StoreError> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.entries.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = state.entries.range::<[u8], _>((from, Bound::Unbounded));
        let within = range.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        let entry = |(key, stamped): (&Bytes, &Stamped)| Entry {
            key: key.clone(),
            value: stamped.value.clone(),
            stamp: stamped.stamp,
        };
        Ok(within.map(entry).collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !batch.expectations.iter().all(|(key, what)| state.holds(key, *what)) {
            return Err(StoreError::Conflict);
        }
        state.last += 1;
        let stamp = Stamp::new(state.last);
        for (key, value) in batch.puts {
            state.entries.insert(key, Stamped { value, stamp });
        }
        for key in batch.deletes {
            state.entries.remove(&key);
        }
        Ok(())
    }
}
