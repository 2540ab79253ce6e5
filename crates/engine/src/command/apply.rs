//! Applying a command. No clock and no random source is read, and nothing that differs between
//! stores with the same commands behind them decides anything.

use std::sync::PoisonError;

use cairn_mvcc::{Compare, DeleteRange, Put, Txn, TxnOp};
use cairn_segment::{RecordDraft, RecordKind, Ticket};
use cairn_types::{ErrorKind, Offset, ProducerId, StreamId, Topic};

use super::answer::{Answer, EventPlace};
use super::{Command, EventCommand};
use crate::append::{Appended, validate};
use crate::envelope::Stamp;
use crate::metadata::encode_applied;
use crate::replicate::Position;
use crate::{Engine, Error, NewEvent, Result, TopicConfig, envelope};

type KeysResult<T> = std::result::Result<T, cairn_mvcc::Error>;

impl Engine {
    /// The newest command that was applied; whoever feeds commands goes on after it. It is in
    /// the same batch of the log as what that command changed.
    #[must_use]
    pub fn applied_position(&self) -> Position {
        Position::new(self.view().command)
    }

    /// Applies a command. Commands must come in the same order everywhere; positions grow. A
    /// command that cannot be carried out is refused, which is an answer like any other.
    ///
    /// A store that applies commands must not be written to in other ways, except for
    /// maintenance: cleaning, retention of segments, checkpoints.
    ///
    /// # Errors
    /// [`Error::AlreadyApplied`]; failures of this store alone (a full disk, damage). The store
    /// must then be opened again, and the command applied again.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_apply", level = "debug", skip_all, fields(%position), err)
    )]
    pub fn apply(&self, position: Position, command: &Command) -> Result<Answer> {
        let _in_order = self.shared.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let applied = self.applied_position();
        if position <= applied {
            let (position, applied) = (position.get(), applied.get());
            return Err(Error::AlreadyApplied { position, applied });
        }
        let answer = match self.carry_out(position.get(), command) {
            Ok(answer) => answer,
            Err(error) if is_refusal(&error) => {
                Answer::Refused { kind: error.kind(), reason: error.to_string() }
            }
            Err(error) => return Err(error),
        };
        let figures = &self.shared.figures;
        figures.commands_applied.increment(1);
        figures.commands_refused.increment(u64::from(answer.is_refused()));
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        view.command = position.get();
        Ok(answer)
    }

    /// Writes the position down, also when the last commands changed nothing and so left no
    /// record; returns it.
    pub(crate) fn log_position(&self) -> Result<Position> {
        let _in_order = self.shared.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let position = view.command;
        if position > 0 {
            let payload = encode_applied(position);
            self.append_system(&mut view, RecordKind::APPLIED, &payload, None)?;
        }
        Ok(Position::new(position))
    }

    fn carry_out(&self, at: u64, command: &Command) -> Result<Answer> {
        let mark = Some(at);
        Ok(match command {
            Command::CreateTopic { topic, config } => {
                Answer::Created(self.create_topic_marked(topic.clone(), *config, mark)?)
            }
            Command::ConfigureTopic { topic, config } => self.configure(topic, *config, at)?,
            Command::DropTopic { topic } => {
                self.drop_topic_marked(topic.as_str(), mark)?;
                Answer::Done
            }
            Command::CreateKeyspace { keyspace } => {
                Answer::Created(self.create_keyspace_marked(keyspace.clone(), false, None, mark)?)
            }
            Command::CreateKeyspaceWith { keyspace, retention } => {
                let name = keyspace.clone();
                Answer::Created(self.create_keyspace_marked(name, false, Some(*retention), mark)?)
            }
            Command::DropKeyspace { keyspace } => {
                self.drop_keyspace_marked(keyspace.as_str(), mark)?;
                Answer::Done
            }
            Command::AppendEvents { topic, expect, events } => {
                let events: Vec<NewEvent> = events.iter().map(EventCommand::to_new_event).collect();
                let pending = self.begin_append(topic.as_str(), &events, *expect, mark)?;
                Answer::Appended(self.finish_append(pending)?.iter().map(place).collect())
            }
            Command::AppendAs { topic, producer, epoch, sequence, event } => {
                let stamp = stamp(*producer, *epoch, *sequence);
                let event = event.to_new_event();
                let appended = self.append_stamped(topic.as_str(), &event, stamp, mark)?;
                Answer::Appended(vec![place(&appended)])
            }
            Command::RegisterProducer { producer } => {
                let (id, epoch) = self.register_marked(producer.clone(), mark)?;
                Answer::Registered { id, epoch }
            }
            Command::CommitOffset { group, topic, partition, next } => {
                self.commit_marked(group.clone(), topic.as_str(), *partition, *next, mark)?;
                Answer::Done
            }
            Command::TrimPartition { topic, partition, begin } => {
                let stream = self.entry(topic.as_str())?.stream(*partition)?;
                self.trim_to(stream, *begin, mark)?;
                Answer::Done
            }
            command => self.change_keys(at, command)?,
        })
    }

    fn configure(&self, topic: &Topic, config: TopicConfig, at: u64) -> Result<Answer> {
        let mut meta = self.entry(topic.as_str())?.meta.clone();
        let TopicConfig { partitions, compression, by_subject, .. } = meta.config;
        meta.config = TopicConfig { partitions, compression, by_subject, ..config };
        self.set_meta(meta, Some(at))?;
        Ok(Answer::Done)
    }

    fn change_keys(&self, at: u64, command: &Command) -> Result<Answer> {
        let keys = self.keys();
        let mark = |planner: &mut cairn_mvcc::Planner<'_>| {
            let record = RecordDraft::new(RecordKind::APPLIED, StreamId::SYSTEM);
            planner.attach(record, encode_applied(at))
        };
        Ok(match command {
            Command::Put(put) => {
                self.check_space(put.space)?;
                Answer::Put(keys.write(|planner| {
                    let response = planner.put(put)?;
                    mark(planner).map(|()| response)
                })?)
            }
            Command::PutAll(puts) => {
                puts.iter().try_for_each(|put| self.check_space(put.space))?;
                Answer::Revision(keys.write(|planner| {
                    put_all(planner, puts)?;
                    let revision = planner.revision() - u64::from(puts.is_empty());
                    mark(planner).map(|()| revision)
                })?)
            }
            Command::DeleteRange(delete) => {
                self.check_space(delete.space)?;
                Answer::Deleted(keys.write(|planner| {
                    let response = planner.delete(delete)?;
                    mark(planner).map(|()| response)
                })?)
            }
            Command::Txn { txn, events } => self.transact_command(at, txn, events)?,
            Command::LeaseGrant { id, ttl } => {
                let ttl = keys.write(|planner| {
                    if id.is_none() {
                        return Err(cairn_mvcc::Error::LeaseNotFound { id: *id });
                    }
                    let ttl = planner.lease_grant(*id, *ttl, 1)?;
                    mark(planner).map(|()| ttl)
                })?;
                Answer::Lease { id: *id, ttl }
            }
            Command::LeaseKeepAlive { id } => {
                let ttl = keys.write(|planner| {
                    let ttl = planner.lease_renew(*id)?;
                    mark(planner).map(|()| ttl)
                })?;
                Answer::Lease { id: *id, ttl }
            }
            Command::LeaseRevoke { id, expired } => Answer::LeaseEnded(keys.write(|planner| {
                let count = planner.lease_revoke(*id, *expired)?;
                mark(planner).map(|()| count)
            })?),
            Command::Compact { revision } => {
                keys.compact_with(*revision, mark)?;
                Answer::Revision(*revision)
            }
            _ => unreachable!("commands about topics were carried out before"),
        })
    }

    /// A transaction on keys, with events that come along when its comparisons hold.
    fn transact_command(
        &self,
        at: u64,
        txn: &Txn,
        events: &[(Topic, EventCommand)],
    ) -> Result<Answer> {
        check_spaces(txn, &|space| self.check_space(space))?;
        let mut records = Vec::with_capacity(events.len());
        for (topic, event) in events {
            let stream = self.entry(topic.as_str())?.stream(event.partition)?;
            validate(std::slice::from_ref(&event.to_new_event()))?;
            let mut payload = Vec::new();
            envelope::encode(event.id, &event.headers, &event.data, &mut payload)?;
            self.shared.subjects.seal_event(stream, event.key.as_deref(), &mut payload)?;
            records.push((stream, event, payload));
        }
        let submitted = self.keys().submit(&[], |planner| {
            let response = planner.txn(txn)?;
            let record = RecordDraft::new(RecordKind::APPLIED, StreamId::SYSTEM);
            planner.attach(record, encode_applied(at))?;
            if response.succeeded {
                attach_events(planner, records)?;
            }
            Ok(response)
        })?;
        self.keys().wait(&submitted)?;
        let response = submitted.answer;
        let events = match &submitted.ticket {
            Some(ticket) if response.succeeded => places(ticket, events),
            _ => Vec::new(),
        };
        Ok(Answer::Txn { response, events })
    }

    fn check_space(&self, space: StreamId) -> Result<()> {
        if self.view().has_keyspace(space) {
            return Ok(());
        }
        Err(Error::NoStream { stream: space })
    }
}

/// Refusals depend on the command and on what was applied before; everything else is a failure
/// of this store.
fn is_refusal(error: &Error) -> bool {
    if let Error::Log(cairn_segment::Error::Vfs(_))
    | Error::Keys(cairn_mvcc::Error::Log(cairn_segment::Error::Vfs(_))) = error
    {
        return false;
    }
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Invalid)
}

const fn stamp(producer: ProducerId, epoch: u32, sequence: u64) -> Stamp {
    Stamp { producer, epoch, sequence }
}

fn place(appended: &Appended) -> EventPlace {
    EventPlace {
        partition: appended.partition,
        offset: appended.offset,
        id: appended.id,
        duplicate: appended.duplicate,
    }
}

/// Where the events at the end of a batch are.
fn places(ticket: &Ticket, events: &[(Topic, EventCommand)]) -> Vec<EventPlace> {
    let appended = &ticket.appended;
    let total = appended.end_lsn.get() - appended.first_lsn.get();
    let first = usize::try_from(total).expect("a batch is limited to fewer") - events.len();
    let one = |(index, (_, event)): (usize, &(Topic, EventCommand))| {
        let sequence = appended.sequences.get(index).expect("one a record");
        let (partition, id) = (event.partition, event.id);
        EventPlace { partition, offset: Offset::new(sequence), id, duplicate: false }
    };
    (first..).zip(events).map(one).collect()
}

fn put_all(planner: &mut cairn_mvcc::Planner<'_>, puts: &[Put]) -> KeysResult<()> {
    puts.iter().try_for_each(|put| planner.put(put).map(drop))
}

fn attach_events(
    planner: &mut cairn_mvcc::Planner<'_>,
    records: Vec<(StreamId, &EventCommand, Vec<u8>)>,
) -> KeysResult<()> {
    for (stream, event, payload) in records {
        let record = RecordDraft {
            key: event.key.as_deref(),
            timestamp: Some(event.timestamp),
            ..RecordDraft::new(RecordKind::EVENT, stream)
        };
        planner.attach(record, payload)?;
    }
    Ok(())
}

fn check_spaces(txn: &Txn, check: &dyn Fn(StreamId) -> Result<()>) -> Result<()> {
    for Compare { space, .. } in &txn.compare {
        check(*space)?;
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            TxnOp::Range(request) => check(request.space)?,
            TxnOp::Put(put) => check(put.space)?,
            TxnOp::Delete(DeleteRange { space, .. }) => check(*space)?,
            TxnOp::Txn(inner) => check_spaces(inner, check)?,
        }
    }
    Ok(())
}
