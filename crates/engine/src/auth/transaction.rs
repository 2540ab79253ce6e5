//! Transactions as one principal may make them. Each step is checked when it is made, and all of
//! them again with the commit, so that what was allowed at the beginning and is no longer
//! allowed at the end is not written.

use bytes::Bytes;
use cairn_auth::Action;
use cairn_mvcc::{Isolation, KeyValue, Range};

use super::requests::{self, Asked};
use super::{Guarded, GuardedKeyspace};
use crate::{Committed, Error, NewEvent, Result, Transaction};

/// A transaction of which every step is checked. Dropping it abandons it.
#[derive(Debug)]
pub struct GuardedTransaction {
    guarded: Guarded,
    transaction: Transaction,
    asked: Asked,
}

impl Guarded {
    /// Begins a transaction on the current revision.
    #[must_use]
    pub fn begin(&self, isolation: Isolation) -> GuardedTransaction {
        let transaction = self.engine().begin(isolation);
        GuardedTransaction { guarded: self.clone(), transaction, asked: Vec::new() }
    }

    /// Runs `body` in a serializable transaction and commits it, again on a conflict.
    ///
    /// # Errors
    /// As [`Engine::transact`](crate::Engine::transact), and [`Error::Denied`].
    pub fn transact(
        &self,
        mut body: impl FnMut(&mut GuardedTransaction) -> Result<()>,
    ) -> Result<Committed> {
        self.engine().keys().retry(
            || {
                let mut transaction = self.begin(Isolation::Serializable);
                body(&mut transaction)?;
                transaction.commit()
            },
            |error| matches!(error, Error::Keys(cairn_mvcc::Error::Conflict { .. })),
        )
    }
}

impl GuardedTransaction {
    /// The revision that is read.
    #[must_use]
    pub const fn snapshot(&self) -> u64 {
        self.transaction.snapshot()
    }

    fn note(&mut self, action: Action, resource: cairn_auth::Resource) {
        let asked = (action, resource);
        if self.asked.last() != Some(&asked) {
            self.asked.push(asked);
        }
    }

    /// Reads a key; needs `Read` on it.
    ///
    /// # Errors
    /// [`Error::Denied`], and as [`Transaction::get`].
    pub fn get(
        &mut self,
        keyspace: &GuardedKeyspace,
        key: impl Into<Bytes>,
    ) -> Result<Option<Bytes>> {
        let key = key.into();
        let resource = requests::key(keyspace.name(), &key)?;
        self.note(Action::Read, resource.clone());
        let Self { guarded, transaction, .. } = self;
        let read = || transaction.get(keyspace.unguarded(), key);
        guarded.admit(Action::Read, &resource, read)
    }

    /// Reads a range; needs `Read` on all of it.
    ///
    /// # Errors
    /// [`Error::Denied`], and as [`Transaction::range`].
    pub fn range(&mut self, keyspace: &GuardedKeyspace, range: Range) -> Result<Vec<KeyValue>> {
        let resource = requests::range(keyspace.name(), &range)?;
        self.note(Action::Read, resource.clone());
        let Self { guarded, transaction, .. } = self;
        let read = || transaction.range(keyspace.unguarded(), range);
        guarded.admit(Action::Read, &resource, read)
    }

    /// Writes a key; needs `Write` on it.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub fn put(
        &mut self,
        keyspace: &GuardedKeyspace,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<()> {
        let key = key.into();
        let resource = requests::key(keyspace.name(), &key)?;
        self.guarded.check(Action::Write, &resource)?;
        self.note(Action::Write, resource);
        self.transaction.put(keyspace.unguarded(), key, value);
        Ok(())
    }

    /// Deletes a key; needs `Write` on it.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub fn delete(&mut self, keyspace: &GuardedKeyspace, key: impl Into<Bytes>) -> Result<()> {
        let key = key.into();
        let resource = requests::key(keyspace.name(), &key)?;
        self.guarded.check(Action::Write, &resource)?;
        self.note(Action::Write, resource);
        self.transaction.delete(keyspace.unguarded(), key);
        Ok(())
    }

    /// Appends an event in the same batch; needs `Write` on the topic.
    ///
    /// # Errors
    /// [`Error::Denied`], and as [`Transaction::append`].
    pub fn append(&mut self, topic: &str, event: NewEvent) -> Result<()> {
        let resource = Guarded::topic(topic)?;
        self.guarded.check(Action::Write, &resource)?;
        self.note(Action::Write, resource);
        self.transaction.append(topic, event)
    }

    /// Commits keys and events in one batch, when every step is still allowed.
    ///
    /// # Errors
    /// [`Error::Denied`], and as [`Transaction::commit`]. Nothing was written then.
    pub fn commit(self) -> Result<Committed> {
        let Self { guarded, transaction, asked } = self;
        guarded.admit_all(&asked, || transaction.commit())
    }
}
