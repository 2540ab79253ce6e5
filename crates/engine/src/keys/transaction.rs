//! Transactions over keyspaces and topics: keys and events change together, in one batch of
//! the log, or not at all.

use bytes::Bytes;
use cairn_mvcc::{Isolation, KeyValue, LeaseId, Range};
use cairn_segment::{RecordDraft, RecordKind};
use cairn_types::{EventId, Lsn, Offset, Partition, StreamId, Topic};

use super::Keyspace;
use crate::append::{Appended, validate};
use crate::{Engine, Error, NewEvent, Result, envelope};

/// A transaction. Dropping it abandons it.
///
/// ```
/// use cairn_engine::{Engine, NewEvent, TopicConfig};
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// engine.create_keyspace("accounts")?;
/// engine.create_topic("transfers", TopicConfig::default())?;
/// let accounts = engine.keyspace("accounts")?;
/// accounts.put("alice", "10")?;
/// let committed = engine.transact(|tx| {
///     tx.put(&accounts, "alice", "7");
///     tx.put(&accounts, "bob", "3");
///     tx.append("transfers", NewEvent::json(r#"{"from":"alice","to":"bob","amount":3}"#))
/// })?;
/// assert_eq!(committed.revision, 3);
/// assert_eq!(committed.events[0].offset.get(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is written until `commit` is called"]
pub struct Transaction {
    engine: Engine,
    keys: cairn_mvcc::Transaction,
    events: Vec<Planned>,
}

/// An event that will go into the batch.
#[derive(Debug)]
struct Planned {
    topic: Topic,
    partition: Partition,
    stream: StreamId,
    id: EventId,
    event: NewEvent,
    payload: Vec<u8>,
}

/// What a transaction became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The revision after it; the current one when it changed no key.
    pub revision: u64,
    /// Where its events are, in order.
    pub events: Vec<Appended>,
}

impl Engine {
    /// Begins a transaction on the current revision.
    pub fn begin(&self, isolation: Isolation) -> Transaction {
        Transaction { engine: self.clone(), keys: self.keys().begin(isolation), events: Vec::new() }
    }

    /// Runs `body` in a serializable transaction and commits it. On a conflict it is run again
    /// on the newest state, a bounded number of times.
    ///
    /// # Errors
    /// What `body` returns; a conflict when every attempt met one; the log's.
    pub fn transact(
        &self,
        mut body: impl FnMut(&mut Transaction) -> Result<()>,
    ) -> Result<Committed> {
        self.keys().retry(
            || {
                let mut transaction = self.begin(Isolation::Serializable);
                body(&mut transaction)?;
                transaction.commit()
            },
            |error| {
                let is_conflict = matches!(error, Error::Keys(cairn_mvcc::Error::Conflict { .. }));
                if is_conflict {
                    self.shared.figures.conflicts.increment(1);
                }
                is_conflict
            },
        )
    }
}

impl Transaction {
    /// The revision that is read.
    #[must_use]
    pub const fn snapshot(&self) -> u64 {
        self.keys.snapshot()
    }

    /// Reads a key as this transaction sees it.
    ///
    /// # Errors
    /// As [`cairn_mvcc::Transaction::get`].
    pub fn get(&mut self, keyspace: &Keyspace, key: impl Into<Bytes>) -> Result<Option<Bytes>> {
        Ok(self.keys.get(keyspace.stream(), key)?)
    }

    /// Reads a range as this transaction sees it.
    ///
    /// # Errors
    /// As [`cairn_mvcc::Transaction::range`].
    pub fn range(&mut self, keyspace: &Keyspace, range: Range) -> Result<Vec<KeyValue>> {
        Ok(self.keys.range(keyspace.stream(), range)?)
    }

    /// Writes a key.
    pub fn put(&mut self, keyspace: &Keyspace, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.keys.put(keyspace.stream(), key, value);
    }

    /// Writes a key and attaches a lease.
    pub fn put_with_lease(
        &mut self,
        keyspace: &Keyspace,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        lease: LeaseId,
    ) {
        self.keys.put_with_lease(keyspace.stream(), key, value, lease);
    }

    /// Deletes a key.
    pub fn delete(&mut self, keyspace: &Keyspace, key: impl Into<Bytes>) {
        self.keys.delete(keyspace.stream(), key);
    }

    /// Deletes every key of a range as it is seen now; how many.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn delete_range(&mut self, keyspace: &Keyspace, range: Range) -> Result<usize> {
        Ok(self.keys.delete_range(keyspace.stream(), range)?)
    }

    /// Appends an event in the same batch. An event with an id of its own is not looked up
    /// among recent ones here: whoever repeats a transaction sees that by its keys.
    ///
    /// # Errors
    /// [`Error::NoTopic`], [`Error::NoPartition`], [`Error::InvalidJson`], [`Error::TooLarge`].
    pub fn append(&mut self, topic: &str, event: NewEvent) -> Result<()> {
        let entry = self.engine.entry(topic)?;
        validate(std::slice::from_ref(&event))?;
        let partition = entry.choose(&event);
        let stream = entry.stream(partition)?;
        let id = event.id.unwrap_or_else(|| self.engine.fresh_id());
        let mut payload = Vec::new();
        envelope::encode(id, &event.headers, &event.data, &mut payload)?;
        let subjects = &self.engine.shared.subjects;
        subjects.seal_event(stream, event.key.as_deref(), &mut payload)?;
        let topic = entry.meta.name.clone();
        self.events.push(Planned { topic, partition, stream, id, event, payload });
        Ok(())
    }

    /// Remembers the state of the keys written so far; see [`cairn_mvcc::Transaction::savepoint`].
    #[must_use = "it is what `rollback_to` takes"]
    pub fn savepoint(&mut self) -> usize {
        self.keys.savepoint()
    }

    /// Takes back all writes of keys since a savepoint; says whether there was one.
    pub fn rollback_to(&mut self, savepoint: usize) -> bool {
        self.keys.rollback_to(savepoint)
    }

    /// Commits keys and events in one batch.
    ///
    /// # Errors
    /// [`Error::Keys`] with a conflict when something it rests on has changed; the log's.
    /// Nothing was written then.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_commit", level = "trace", skip_all)
    )]
    pub fn commit(self) -> Result<Committed> {
        let Self { engine, keys, events } = self;
        let figures = &engine.shared.figures;
        figures.key_writes.increment(1);
        let (records, places): (Vec<_>, Vec<_>) = events
            .into_iter()
            .map(|planned| {
                let Planned { topic, partition, stream, id, event, payload } = planned;
                ((stream, event, payload), (topic, partition, id))
            })
            .unzip();
        let submitted = keys.submit_with(|planner| {
            for (stream, event, payload) in records {
                let record = RecordDraft {
                    key: event.key.as_deref(),
                    timestamp: event.timestamp,
                    ..RecordDraft::new(RecordKind::EVENT, stream)
                };
                planner.attach(record, payload)?;
            }
            Ok(())
        })?;
        figures.events_appended.increment(places.len() as u64);
        let events = match &submitted.ticket {
            None => Vec::new(),
            Some(ticket) => {
                let appended = &ticket.appended;
                let total = appended.end_lsn.get() - appended.first_lsn.get();
                let first = total - places.len() as u64;
                (first..)
                    .zip(places)
                    .map(|(index, (topic, partition, id))| {
                        let at = usize::try_from(index).expect("a batch is limited to fewer");
                        let sequence = appended.sequences.get(at).expect("one a record");
                        Appended {
                            topic,
                            partition,
                            offset: Offset::new(sequence),
                            lsn: Lsn::new(appended.first_lsn.get() + index),
                            id,
                            duplicate: false,
                        }
                    })
                    .collect()
            }
        };
        Ok(Committed { revision: submitted.revision, events })
    }
}
