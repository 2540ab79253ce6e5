//! Interactive transactions: read a snapshot, collect writes, and commit if nothing that was
//! read has changed (optimistic concurrency control with validation at commit).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cairn_types::StreamId;

use crate::hashes::Hashes;
use crate::plan::Planner;
use crate::recent::Open;
use crate::request::{DeleteRange, Put, Range, RangeRequest};
use crate::{Error, KeyValue, LeaseId, Result, Store, Submitted};

/// What a transaction is protected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// It commits only if everything it read, keys absent and whole ranges included, is
    /// unchanged: the outcome is that of transactions run one after another.
    #[default]
    Serializable,
    /// It commits unless somebody else changed a key that it writes; write skew is possible.
    Snapshot,
}

/// A key and its keyspace.
type Key = (StreamId, Bytes);

/// What the transaction has collected.
#[derive(Debug, Clone, Default)]
struct Work {
    /// `None` deletes.
    writes: BTreeMap<Key, Option<(Bytes, LeaseId)>>,
    read_keys: BTreeSet<Key>,
    read_ranges: Vec<(StreamId, Range)>,
}

/// A transaction over a snapshot. Dropping it abandons it.
#[derive(Debug)]
#[must_use = "nothing is written until `commit` is called"]
pub struct Transaction {
    store: Store,
    isolation: Isolation,
    snapshot: u64,
    work: Work,
    savepoints: Vec<Work>,
    #[expect(dead_code, reason = "held for its drop")]
    open: Open,
}

impl Store {
    /// Begins a transaction on the current revision.
    pub fn begin(&self, isolation: Isolation) -> Transaction {
        Transaction {
            // Before the snapshot is chosen.
            open: self.shared.open.open(),
            store: self.clone(),
            isolation,
            snapshot: self.revision(),
            work: Work::default(),
            savepoints: Vec::new(),
        }
    }

    /// Runs `body` in a serializable transaction and commits it; on a conflict it is run again
    /// on the newest state, as [`retry`](Self::retry) says.
    ///
    /// # Errors
    /// What `body` returns; [`Error::Conflict`] when every attempt met one; the log's.
    pub fn transact<T>(&self, mut body: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        self.retry(
            || {
                let mut transaction = self.begin(Isolation::Serializable);
                let answer = body(&mut transaction)?;
                transaction.commit()?;
                Ok(answer)
            },
            |error| matches!(error, Error::Conflict { .. }),
        )
    }
}

impl Transaction {
    /// The revision that is read.
    #[must_use]
    pub const fn snapshot(&self) -> u64 {
        self.snapshot
    }

    /// Reads a key: as this transaction wrote it, or as it was at the snapshot.
    ///
    /// # Errors
    /// [`Error::EmptyKey`]; [`Error::Compacted`] when the snapshot was compacted away; the
    /// log's.
    pub fn get(&mut self, space: StreamId, key: impl Into<Bytes>) -> Result<Option<Bytes>> {
        let key: Bytes = key.into();
        if key.is_empty() {
            return Err(Error::EmptyKey);
        }
        if let Some(own) = self.work.writes.get(&(space, key.clone())) {
            return Ok(own.as_ref().map(|(value, _)| value.clone()));
        }
        let found = self.store.get_at(space, &key, self.snapshot)?;
        self.work.read_keys.insert((space, key));
        found.map(KeyValue::into_value).transpose()
    }

    /// Reads a range in order of the keys, own writes included. Own writes have no facts:
    /// revisions and version are 0.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn range(&mut self, space: StreamId, range: Range) -> Result<Vec<KeyValue>> {
        let request = RangeRequest::new(space, range.clone()).at(self.snapshot);
        let request = RangeRequest { without_count: true, ..request };
        let stored = self.store.range(&request)?.kvs;
        let own = self.work.writes.range((space, range.key.clone())..);
        let own = own.take_while(|((at, _), _)| *at == space);
        let own: Vec<_> = own.filter(|((_, key), _)| range.contains(key)).collect();
        let mut merged: BTreeMap<Bytes, KeyValue> =
            stored.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
        for ((_, key), write) in own {
            match write {
                None => {
                    merged.remove(key);
                }
                Some((value, lease)) => {
                    let kv = KeyValue {
                        key: key.clone(),
                        value: value.clone(),
                        create_revision: 0,
                        mod_revision: 0,
                        version: 0,
                        lease: *lease,
                        erased: None,
                    };
                    merged.insert(key.clone(), kv);
                }
            }
        }
        self.work.read_ranges.push((space, range));
        Ok(merged.into_values().collect())
    }

    /// Writes a key; the last write of a key counts.
    pub fn put(&mut self, space: StreamId, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.put_with_lease(space, key, value, LeaseId::NONE);
    }

    /// Writes a key and attaches a lease.
    pub fn put_with_lease(
        &mut self,
        space: StreamId,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        lease: LeaseId,
    ) {
        self.work.writes.insert((space, key.into()), Some((value.into(), lease)));
    }

    /// Deletes a key.
    pub fn delete(&mut self, space: StreamId, key: impl Into<Bytes>) {
        self.work.writes.insert((space, key.into()), None);
    }

    /// Deletes every key of a range as it is seen now; how many.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn delete_range(&mut self, space: StreamId, range: Range) -> Result<usize> {
        let keys = self.range(space, range)?;
        for kv in &keys {
            self.delete(space, kv.key.clone());
        }
        Ok(keys.len())
    }

    /// Remembers the state of the transaction; its number is what [`rollback_to`](
    /// Self::rollback_to) takes.
    #[must_use = "it is what `rollback_to` takes"]
    pub fn savepoint(&mut self) -> usize {
        self.savepoints.push(self.work.clone());
        self.savepoints.len() - 1
    }

    /// Takes back all writes since a savepoint and forgets it and later ones; says whether
    /// there was one. What was read since stays read.
    pub fn rollback_to(&mut self, savepoint: usize) -> bool {
        let Some(saved) = self.savepoints.get(savepoint) else { return false };
        self.work.writes = saved.writes.clone();
        self.savepoints.truncate(savepoint);
        true
    }

    /// Commits; the revision after it (the current one when nothing was written).
    ///
    /// # Errors
    /// [`Error::Conflict`] names a key that somebody else changed; [`Error::Compacted`] when the
    /// snapshot was compacted away and too much has changed since to tell whether there was a
    /// conflict. Nothing was written then. What a write is refused for, as by
    /// [`Store::put`]; the log's.
    pub fn commit(self) -> Result<u64> {
        self.commit_with(|_| Ok(()))
    }

    /// As [`commit`](Self::commit), with more changes or records in the same batch.
    ///
    /// # Errors
    /// As [`commit`](Self::commit), and what `more` returns.
    pub fn commit_with(self, more: impl FnOnce(&mut Planner<'_>) -> Result<()>) -> Result<u64> {
        Ok(self.submit_with(more)?.revision)
    }

    /// As [`commit_with`](Self::commit_with), and tells where in the log the batch is.
    ///
    /// # Errors
    /// As [`commit_with`](Self::commit_with).
    pub fn submit_with(
        self,
        more: impl FnOnce(&mut Planner<'_>) -> Result<()>,
    ) -> Result<Submitted<()>> {
        let writes = self.requests();
        let puts = writes.iter().filter_map(|write| match write {
            Write::Put(put) => Some(put),
            Write::Delete(_) => None,
        });
        let hashes = Hashes::of_puts(puts);
        let submitted = self.store.submit(&[], |planner| {
            self.check(planner)?;
            planner.hashes = hashes;
            for write in &writes {
                match write {
                    Write::Put(put) => drop(planner.put(put)?),
                    Write::Delete(delete) => drop(planner.delete(delete)?),
                }
            }
            more(planner)
        })?;
        self.store.wait(&submitted)?;
        Ok(submitted)
    }

    /// The writes as requests.
    fn requests(&self) -> Vec<Write> {
        let writes = self.work.writes.iter();
        writes
            .map(|((space, key), write)| match write {
                Some((value, lease)) => {
                    Write::Put(Put::new(*space, key.clone(), value.clone()).lease(*lease))
                }
                None => Write::Delete(DeleteRange::key(*space, key.clone())),
            })
            .collect()
    }

    /// Refuses the commit when what it rests on has changed.
    fn check(&self, planner: &Planner<'_>) -> Result<()> {
        if let Some(changes) = planner.recent.since(self.snapshot) {
            for change in changes {
                if self.rests_on(change.space, &change.key) {
                    let (key, revision) = (change.key.clone(), change.revision);
                    return Err(Error::Conflict { key, revision });
                }
            }
            return Ok(());
        }
        self.check_in_index(planner)
    }

    fn rests_on(&self, space: StreamId, key: &Bytes) -> bool {
        let key = (space, key.clone());
        match self.isolation {
            Isolation::Snapshot => self.work.writes.contains_key(&key),
            Isolation::Serializable => {
                self.work.read_keys.contains(&key)
                    || self
                        .work
                        .read_ranges
                        .iter()
                        .any(|(at, range)| *at == key.0 && range.contains(&key.1))
            }
        }
    }

    /// The same for a transaction that ran longer than changes are remembered.
    fn check_in_index(&self, planner: &Planner<'_>) -> Result<()> {
        let changed = |space: StreamId, key: &Bytes| -> Result<Option<u64>> {
            let newest = planner.index.newest(space, key)?;
            Ok(newest.map(|newest| newest.main).filter(|main| *main > self.snapshot))
        };
        let keys: Vec<&Key> = match self.isolation {
            Isolation::Snapshot => self.work.writes.keys().collect(),
            Isolation::Serializable => self.work.read_keys.iter().collect(),
        };
        let has_keys = !keys.is_empty();
        for (space, key) in keys {
            if let Some(revision) = changed(*space, key)? {
                return Err(Error::Conflict { key: key.clone(), revision });
            }
        }
        let ranges = match self.isolation {
            Isolation::Snapshot => &[][..],
            Isolation::Serializable => &self.work.read_ranges[..],
        };
        for (space, range) in ranges {
            let conflict = planner.index.changed_after(*space, range, self.snapshot)?;
            if let Some((key, revision)) = conflict {
                return Err(Error::Conflict { key, revision });
            }
        }
        // A key that was deleted and compacted since leaves no trace in the index.
        if planner.oldest > self.snapshot && (has_keys || !ranges.is_empty()) {
            let (requested, oldest) = (self.snapshot, planner.oldest);
            return Err(Error::Compacted { requested, oldest });
        }
        Ok(())
    }
}

#[derive(Debug)]
enum Write {
    Put(Put),
    Delete(DeleteRange),
}
