//! The table of topics and group offsets. Derived: rebuilt at open from the records of the
//! system stream, and from nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_mvcc::Erased;
use cairn_segment::{Log, RecordKind};
use cairn_types::{
    GroupName, KeyspaceName, Lsn, Offset, Partition, ProducerId, ProducerName, StreamId, Topic,
};

use crate::erasure::{ErasureRecord, EventHeads};
use crate::metadata::{
    GroupOffset, KEYSPACE, KEYSPACE_WITH_FLAGS, KeyspaceCreated, KeyspaceRetention,
    ProducerRegistered, TopicCreated, decode_applied, decode_dropped, decode_keyspace_dropped,
    decode_trimmed,
};
use crate::proof::dag::DAG_STREAM;
use crate::subjects::{SUBJECT, SharedSubjects, ShredRecord};
use crate::{Error, NewEvent, Result};

/// A live topic.
#[derive(Debug)]
pub(crate) struct TopicEntry {
    pub(crate) meta: TopicCreated,
    /// Where the next event without a key goes.
    turn: AtomicU64,
}

impl TopicEntry {
    fn new(meta: TopicCreated) -> Self {
        Self { meta, turn: AtomicU64::new(0) }
    }

    /// Stream of a partition.
    pub(crate) fn stream(&self, partition: Partition) -> Result<StreamId> {
        let count = self.meta.config.partitions;
        if partition.get() >= count {
            let topic = self.meta.name.clone();
            return Err(Error::NoPartition { topic, partition, count });
        }
        Ok(StreamId::new(self.meta.first_stream.get() + partition.get()))
    }

    /// Whether a partition has this stream.
    pub(crate) fn has_stream(&self, stream: StreamId) -> bool {
        let first = self.meta.first_stream.get();
        (first..first.saturating_add(self.meta.config.partitions)).contains(&stream.get())
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.meta.config.partitions).map(Partition::new)
    }

    /// Partition of a new event: its own, by its key, or in turn.
    pub(crate) fn choose(&self, event: &NewEvent) -> Partition {
        let count = u64::from(self.meta.config.partitions);
        let number = match (&event.partition, &event.key) {
            (Some(partition), _) => return *partition,
            (None, Some(key)) => fnv1a(key) % count,
            (None, None) => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        };
        Partition::new(u32::try_from(number).expect("below the number of partitions"))
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): which partition a key goes to must never change.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The view.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) topics: BTreeMap<Topic, Arc<TopicEntry>>,
    /// Next offset by group, topic id and partition.
    pub(crate) groups: BTreeMap<GroupName, BTreeMap<(u32, Partition), Offset>>,
    pub(crate) keyspaces: BTreeMap<KeyspaceName, StreamId>,
    /// Keyspaces of which the log keeps only the latest, also those that were dropped.
    pub(crate) latest_only: BTreeSet<StreamId>,
    /// Number and epoch by name.
    pub(crate) producers: BTreeMap<ProducerName, (ProducerId, u32)>,
    pub(crate) next_producer: ProducerId,
    /// First offset kept, of streams that were trimmed.
    pub(crate) trimmed: BTreeMap<StreamId, u64>,
    pub(crate) next_topic_id: u32,
    pub(crate) next_stream: u32,
    /// Position of the newest command whose changes are in the log.
    pub(crate) command: u64,
    /// Records whose payload nobody reads any more.
    pub(crate) erased: Arc<Erased>,
    /// What stays known of erased events.
    pub(crate) heads: Arc<EventHeads>,
    /// What is sealed by subject, and who was shredded.
    pub(crate) subjects: SharedSubjects,
    /// Sequence of the system stream that comes next.
    applied: u64,
}

impl View {
    /// An empty view; streams are numbered from 1, 0 is the system stream.
    pub(crate) fn new() -> Self {
        Self { next_topic_id: 1, next_stream: 1, ..Self::default() }
    }

    /// Applies what the log holds beyond what was applied.
    pub(crate) fn catch_up(&mut self, log: &Log) -> Result<()> {
        let mut scan = log.scan_stream(StreamId::SYSTEM, self.applied);
        while let Some(record) = scan.next_record()? {
            let payload = record.payload().unwrap_or_default();
            self.applied = record.view.sequence + 1;
            self.apply(record.lsn, record.view.kind, payload)
                .ok_or(Error::Damaged { lsn: record.lsn, cause: "not a valid system record" })?;
        }
        Ok(())
    }

    /// Applies one record; the same for the same record, whenever it happens.
    pub(crate) fn apply(&mut self, lsn: Lsn, kind: RecordKind, payload: &[u8]) -> Option<()> {
        match kind {
            RecordKind::ERASURE if payload.get(1) == Some(&SUBJECT) => {
                self.subjects.note_shredded(ShredRecord::decode(payload)?, lsn);
            }
            RecordKind::ERASURE => {
                let erasure = ErasureRecord::decode(payload)?;
                if erasure.records.last().is_none_or(|last| last.lsn >= lsn) {
                    return None;
                }
                for place in erasure.records {
                    self.erased.note(place.lsn, lsn);
                    self.heads.note(place);
                }
            }
            RecordKind::STREAM_CREATED
                if matches!(payload.first(), Some(&(KEYSPACE | KEYSPACE_WITH_FLAGS))) =>
            {
                let created = KeyspaceCreated::decode(payload)?;
                if created.by_subject {
                    self.subjects.note_stream(created.stream);
                }
                let next = created.stream.get().checked_add(1)?;
                self.next_stream = self.next_stream.max(next);
                match created.retention {
                    KeyspaceRetention::LatestOnly => self.latest_only.insert(created.stream),
                    KeyspaceRetention::Forever => self.latest_only.remove(&created.stream),
                };
                self.keyspaces.insert(created.name, created.stream);
            }
            RecordKind::STREAM_DROPPED if payload.first() == Some(&KEYSPACE) => {
                let dropped = decode_keyspace_dropped(payload)?;
                // Numbers are never used again, also when only their end is in the log.
                self.next_stream = self.next_stream.max(dropped.get().checked_add(1)?);
                self.keyspaces.retain(|_, stream| *stream != dropped);
            }
            RecordKind::STREAM_CREATED => {
                let meta = TopicCreated::decode(payload)?;
                let next = meta.first_stream.get().checked_add(meta.config.partitions)?;
                self.next_stream = self.next_stream.max(next);
                self.next_topic_id = self.next_topic_id.max(meta.id.checked_add(1)?);
                if meta.config.by_subject {
                    let streams = meta.first_stream.get()..next;
                    streams.for_each(|stream| self.subjects.note_stream(StreamId::new(stream)));
                }
                self.topics.insert(meta.name.clone(), Arc::new(TopicEntry::new(meta)));
            }
            RecordKind::STREAM_DROPPED => {
                let id = decode_dropped(payload)?;
                self.next_topic_id = self.next_topic_id.max(id.checked_add(1)?);
                let gone = self.topics.values().find(|entry| entry.meta.id == id).cloned();
                if let Some(gone) = gone {
                    self.trimmed.retain(|stream, _| !gone.has_stream(*stream));
                }
                self.topics.retain(|_, entry| entry.meta.id != id);
                for offsets in self.groups.values_mut() {
                    offsets.retain(|(topic_id, _), _| *topic_id != id);
                }
            }
            RecordKind::PRODUCER => {
                let registered = ProducerRegistered::decode(payload)?;
                let next = registered.id.next()?;
                self.next_producer = self.next_producer.max(next);
                self.producers.insert(registered.name, (registered.id, registered.epoch));
            }
            RecordKind::STREAM_TRIMMED => {
                let (stream, begin) = decode_trimmed(payload)?;
                let trimmed = self.trimmed.entry(stream).or_default();
                *trimmed = (*trimmed).max(begin.get());
            }
            RecordKind::APPLIED => {
                self.command = self.command.max(decode_applied(payload)?);
            }
            RecordKind::GROUP_OFFSET => {
                let offset = GroupOffset::decode(payload)?;
                let group = self.groups.entry(offset.group).or_default();
                group.insert((offset.topic_id, offset.partition), offset.next);
            }
            _ => {}
        }
        Some(())
    }

    /// The first of so many streams that nobody ever had.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when there are not so many left: the last numbers are not for topics
    /// and keyspaces.
    pub(crate) fn fresh_streams(&self, count: u32) -> Result<StreamId> {
        let found = u64::from(self.next_stream) + u64::from(count) - 1;
        let limit = u64::from(DAG_STREAM.get()) - 1;
        if found > limit {
            return Err(Error::TooLarge { what: "number of a stream", found, limit });
        }
        Ok(StreamId::new(self.next_stream))
    }

    /// Whether a live topic or keyspace has this stream.
    pub(crate) fn has_stream(&self, stream: StreamId) -> bool {
        self.has_keyspace(stream) || self.topics.values().any(|entry| entry.has_stream(stream))
    }

    /// Whether a topic is live as it was looked up before the view was locked.
    ///
    /// # Errors
    /// [`Error::NoTopic`].
    pub(crate) fn check_live(&self, meta: &TopicCreated) -> Result<()> {
        match self.topics.get(&meta.name) {
            Some(entry) if entry.meta.id == meta.id => Ok(()),
            _ => Err(Error::NoTopic { topic: meta.name.clone() }),
        }
    }

    /// What the log keeps of a keyspace.
    pub(crate) fn retention(&self, stream: StreamId) -> KeyspaceRetention {
        match self.latest_only.contains(&stream) {
            true => KeyspaceRetention::LatestOnly,
            false => KeyspaceRetention::Forever,
        }
    }

    /// Whether a live keyspace has this stream.
    pub(crate) fn has_keyspace(&self, stream: StreamId) -> bool {
        self.keyspaces.values().any(|live| *live == stream)
    }

    pub(crate) fn mark_applied(&mut self, sequence: u64) {
        self.applied = self.applied.max(sequence + 1);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_hash_is_the_published_one() {
        assert_eq!(super::fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
