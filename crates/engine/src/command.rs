//! Changes of a store as data: what a replica applies. Truth where a log of commands is kept.
//!
//! Everything that could differ between two stores is fixed when a command is made: ids, times,
//! the partition of each event, the number of a lease. Applying one reads no clock and no random
//! source, so stores that apply the same commands in the same order are the same: keys and
//! revisions, topics, events and offsets, groups, producers, leases, and every answer.
//!
//! A command on the wire is a version byte (1), a byte for its kind, and its fields in order:
//! numbers as canonical varints (signed ones zigzag), ids and times of events fixed, names,
//! keys and data as length and bytes, lists as count and elements, options as 0 or 1 and the
//! value, enumerations as a byte.
//!
//! | kind | fields |
//! |---|---|
//! | 1 create topic, 2 configure topic | topic, settings |
//! | 3 drop topic | topic |
//! | 4 create keyspace, 5 drop keyspace | keyspace |
//! | 6 append events | topic, option (partition, next offset), events |
//! | 7 append as a producer | topic, producer, epoch, sequence, event |
//! | 8 register producer | producer name |
//! | 9 commit offset | group, topic, partition, next offset |
//! | 10 trim partition | topic, partition, first offset kept |
//! | 11 put | put |
//! | 12 put all | puts |
//! | 13 delete range | delete |
//! | 14 transaction | compares, operations of both branches, events with their topics |
//! | 15 grant lease | lease, seconds |
//! | 16 keep lease alive | lease |
//! | 17 end lease | lease, whether its time was over |
//! | 18 compact | revision |
//! | 19 create keyspace with retention | keyspace, retention u8: 0 forever, 1 latest only |
//!
//! | part | fields |
//! |---|---|
//! | settings | partitions, codec u8, level if Zstandard, option age in ms, option bytes, newest of each key |
//! | event | partition, id 16 bytes, time 8 bytes, option key, headers (name, value), data kind u8, data |
//! | range | key, option end |
//! | put | keyspace, key, value, lease, flags u8: 1 previous, 2 keep value, 4 keep lease |
//! | delete | keyspace, range, previous |
//! | read | keyspace, range, revision, limit, order u8, by u8, flags u8: 1 keys, 2 count, 4 without count; least and most revision of change and of creation |
//! | compare | keyspace, range, operator u8, target u8 and its value |
//! | operation | 1 read, 2 put, 3 delete, 4 transaction, then that |

pub(crate) mod answer;
mod apply;
mod fix;
mod keys;
mod topics;
pub(crate) mod wire;

use bytes::Bytes;
use cairn_mvcc::{DeleteRange, LeaseId, Put, Txn};
use cairn_types::{
    EventData, EventId, GroupName, Headers, KeyspaceName, Offset, Partition, ProducerId,
    ProducerName, Timestamp, Topic, limits,
};

use self::wire::{ELEMENTS_MAX, Reader, Writer};
use crate::{Error, KeyspaceRetention, NewEvent, Result, TopicConfig};

/// Longest command in bytes: it fits a record of the log.
pub const COMMAND_LEN_MAX: usize = limits::MAX_PAYLOAD_LEN;

const VERSION: u8 = 1;

/// A change of a store.
///
/// ```
/// use cairn_engine::Command;
/// let command = Command::Compact { revision: 7 };
/// let bytes = command.encode()?;
/// assert_eq!(Command::decode(&bytes.into())?, command);
/// # Ok::<(), cairn_engine::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Create a topic.
    CreateTopic {
        /// Its name.
        topic: Topic,
        /// Its settings.
        config: TopicConfig,
    },
    /// Change how long a topic's events are kept.
    ConfigureTopic {
        /// Its name.
        topic: Topic,
        /// Its settings; partitions and codec stay as they were created.
        config: TopicConfig,
    },
    /// Drop a topic.
    DropTopic {
        /// Its name.
        topic: Topic,
    },
    /// Create a keyspace.
    CreateKeyspace {
        /// Its name.
        keyspace: KeyspaceName,
    },
    /// Create a keyspace with a retention.
    CreateKeyspaceWith {
        /// Its name.
        keyspace: KeyspaceName,
        /// What the log keeps of it.
        retention: KeyspaceRetention,
    },
    /// Drop a keyspace.
    DropKeyspace {
        /// Its name.
        keyspace: KeyspaceName,
    },
    /// Append events, all or none.
    AppendEvents {
        /// Their topic.
        topic: Topic,
        /// Only if the partition's next offset is this.
        expect: Option<(Partition, Offset)>,
        /// The events in order.
        events: Vec<EventCommand>,
    },
    /// Append an event as a producer.
    AppendAs {
        /// Its topic.
        topic: Topic,
        /// The producer.
        producer: ProducerId,
        /// Which registration of its name.
        epoch: u32,
        /// Which of its appends to the partition, from 0.
        sequence: u64,
        /// The event.
        event: EventCommand,
    },
    /// Register a producer under a name.
    RegisterProducer {
        /// The name.
        producer: ProducerName,
    },
    /// Remember how far a group has read.
    CommitOffset {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The next offset to read.
        next: Offset,
    },
    /// Move the beginning of a partition.
    TrimPartition {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The first offset kept.
        begin: Offset,
    },
    /// Write a key.
    Put(Put),
    /// Write many keys in one revision.
    PutAll(Vec<Put>),
    /// Delete keys.
    DeleteRange(DeleteRange),
    /// Compare, then, else; with events that are appended when the comparisons hold.
    Txn {
        /// The transaction.
        txn: Txn,
        /// The events with their topics.
        events: Vec<(Topic, EventCommand)>,
    },
    /// Grant a lease.
    LeaseGrant {
        /// Its number.
        id: LeaseId,
        /// Seconds.
        ttl: i64,
    },
    /// Give a lease its full time again.
    LeaseKeepAlive {
        /// Its number.
        id: LeaseId,
    },
    /// End a lease and delete its keys.
    LeaseRevoke {
        /// Its number.
        id: LeaseId,
        /// Its time was over, as whoever submitted this saw it.
        expired: bool,
    },
    /// Give up the past before a revision.
    Compact {
        /// Oldest revision that can be read afterwards.
        revision: u64,
    },
}

/// An event with everything fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCommand {
    /// Partition.
    pub partition: Partition,
    /// Identity.
    pub id: EventId,
    /// Time.
    pub timestamp: Timestamp,
    /// Key.
    pub key: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// Data.
    pub data: EventData,
}

impl EventCommand {
    pub(crate) fn to_new_event(&self) -> NewEvent {
        NewEvent {
            id: Some(self.id),
            partition: Some(self.partition),
            key: self.key.clone(),
            headers: self.headers.clone(),
            data: self.data.clone(),
            timestamp: Some(self.timestamp),
        }
    }
}

impl Command {
    /// The bytes on the wire.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`COMMAND_LEN_MAX`], or with more than 2^20 elements.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = Writer::default();
        out.u8(VERSION);
        self.put_fields(&mut out);
        let elements = out.element_count();
        let bytes = out.finish();
        let within = |what, found: u64, limit: u64| {
            if found > limit { Err(Error::TooLarge { what, found, limit }) } else { Ok(()) }
        };
        within("command", bytes.len() as u64, COMMAND_LEN_MAX as u64)?;
        within("elements of a command", elements, ELEMENTS_MAX)?;
        Ok(bytes)
    }

    /// Reads a command; keys and data share the memory of `bytes`. What is accepted encodes to
    /// the same bytes again.
    ///
    /// # Errors
    /// [`Error::InvalidCommand`] for anything that [`encode`](Self::encode) does not write.
    pub fn decode(bytes: &Bytes) -> Result<Self> {
        let invalid = |cause| Error::InvalidCommand { cause };
        if bytes.len() > COMMAND_LEN_MAX {
            return Err(invalid("it is too long"));
        }
        let mut reader = Reader::new(bytes);
        match reader.u8() {
            Some(VERSION) => {}
            Some(_) => return Err(invalid("its version is not supported")),
            None => return Err(invalid("it is empty")),
        }
        let command = Self::take_fields(&mut reader).ok_or(invalid("its fields are damaged"))?;
        if reader.is_at_end() { Ok(command) } else { Err(invalid("bytes follow its fields")) }
    }

    fn put_fields(&self, out: &mut Writer) {
        match self {
            Self::CreateTopic { topic, config } => out.u8(1).name(topic.as_str()).config(config),
            Self::ConfigureTopic { topic, config } => out.u8(2).name(topic.as_str()).config(config),
            Self::DropTopic { topic } => out.u8(3).name(topic.as_str()),
            Self::CreateKeyspace { keyspace } => out.u8(4).name(keyspace.as_str()),
            Self::CreateKeyspaceWith { keyspace, retention } => out
                .u8(19)
                .name(keyspace.as_str())
                .u8(u8::from(*retention == KeyspaceRetention::LatestOnly)),
            Self::DropKeyspace { keyspace } => out.u8(5).name(keyspace.as_str()),
            Self::AppendEvents { topic, expect, events } => out
                .u8(6)
                .name(topic.as_str())
                .option(expect.as_ref(), |out, (partition, next)| {
                    out.number(partition.get().into()).number(next.get());
                })
                .list(events, |out, event| {
                    out.event(event);
                }),
            Self::AppendAs { topic, producer, epoch, sequence, event } => out
                .u8(7)
                .name(topic.as_str())
                .number(producer.get())
                .number((*epoch).into())
                .number(*sequence)
                .event(event),
            Self::RegisterProducer { producer } => out.u8(8).name(producer.as_str()),
            Self::CommitOffset { group, topic, partition, next } => out
                .u8(9)
                .name(group.as_str())
                .name(topic.as_str())
                .number(partition.get().into())
                .number(next.get()),
            Self::TrimPartition { topic, partition, begin } => {
                out.u8(10).name(topic.as_str()).number(partition.get().into()).number(begin.get())
            }
            Self::Put(put) => out.u8(11).put(put),
            Self::PutAll(puts) => out.u8(12).list(puts, |out, put| {
                out.put(put);
            }),
            Self::DeleteRange(delete) => out.u8(13).delete(delete),
            Self::Txn { txn, events } => out.u8(14).txn(txn).list(events, |out, (topic, event)| {
                out.name(topic.as_str()).event(event);
            }),
            Self::LeaseGrant { id, ttl } => out.u8(15).signed(id.get()).signed(*ttl),
            Self::LeaseKeepAlive { id } => out.u8(16).signed(id.get()),
            Self::LeaseRevoke { id, expired } => out.u8(17).signed(id.get()).bool(*expired),
            Self::Compact { revision } => out.u8(18).number(*revision),
        };
    }

    fn take_fields(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            1 => Self::CreateTopic { topic: reader.topic()?, config: reader.config()? },
            2 => Self::ConfigureTopic { topic: reader.topic()?, config: reader.config()? },
            3 => Self::DropTopic { topic: reader.topic()? },
            4 => Self::CreateKeyspace { keyspace: reader.keyspace()? },
            5 => Self::DropKeyspace { keyspace: reader.keyspace()? },
            6 => Self::AppendEvents {
                topic: reader.topic()?,
                expect: reader.option(|r| Some((r.partition()?, Offset::new(r.number()?))))?,
                events: reader.list(Reader::event)?,
            },
            7 => Self::AppendAs {
                topic: reader.topic()?,
                producer: ProducerId::new(reader.number()?),
                epoch: reader.u32()?,
                sequence: reader.number()?,
                event: reader.event()?,
            },
            8 => {
                Self::RegisterProducer { producer: ProducerName::from_bytes(reader.part()?).ok()? }
            }
            9 => Self::CommitOffset {
                group: GroupName::from_bytes(reader.part()?).ok()?,
                topic: reader.topic()?,
                partition: reader.partition()?,
                next: Offset::new(reader.number()?),
            },
            10 => Self::TrimPartition {
                topic: reader.topic()?,
                partition: reader.partition()?,
                begin: Offset::new(reader.number()?),
            },
            11 => Self::Put(reader.put()?),
            12 => Self::PutAll(reader.list(Reader::put)?),
            13 => Self::DeleteRange(reader.delete()?),
            14 => Self::Txn {
                txn: reader.txn(0)?,
                events: reader.list(|r| Some((r.topic()?, r.event()?)))?,
            },
            15 => Self::LeaseGrant { id: reader.lease()?, ttl: reader.signed()? },
            16 => Self::LeaseKeepAlive { id: reader.lease()? },
            17 => Self::LeaseRevoke { id: reader.lease()?, expired: reader.bool()? },
            18 => Self::Compact { revision: reader.number()? },
            19 => Self::CreateKeyspaceWith {
                keyspace: reader.keyspace()?,
                retention: match reader.bool()? {
                    false => KeyspaceRetention::Forever,
                    true => KeyspaceRetention::LatestOnly,
                },
            },
            _ => return None,
        })
    }
}
