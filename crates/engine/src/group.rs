//! Consumer groups: how far each group has read each partition, kept in the log.

use std::collections::BTreeMap;

use cairn_segment::RecordKind;
use cairn_types::{Event, GroupName, Offset, Partition};

use crate::engine::Mark;
use crate::metadata::GroupOffset;
use crate::{Engine, Events, ReadFrom, Result};

/// How far a group is behind in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLag {
    /// The partition.
    pub partition: Partition,
    /// The next offset the group will read.
    pub next: Offset,
    /// The partition's next offset.
    pub end: Offset,
}

/// Reads all partitions of a topic for a group, from where the group stopped.
#[derive(Debug)]
pub struct Consumer {
    engine: Engine,
    group: GroupName,
    topic: String,
    partitions: Vec<Events>,
    /// Next offset after what was handed out, by partition.
    handed_out: BTreeMap<u32, Offset>,
}

impl Engine {
    /// Reads a topic for a group, from the group's committed offsets or the earliest event.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic), [`InvalidName`](crate::Error::InvalidName).
    pub fn consumer(&self, group: &str, topic: &str) -> Result<Consumer> {
        let group = GroupName::new(group)?;
        let count = self.entry(topic)?.meta.config.partitions;
        let partitions = (0..count)
            .map(|number| {
                let next = self.committed(group.as_str(), topic, number)?;
                self.events_from(topic, number, next.map_or(ReadFrom::Earliest, ReadFrom::Offset))
            })
            .collect::<Result<_>>()?;
        let (engine, topic) = (self.clone(), topic.to_owned());
        Ok(Consumer { engine, group, topic, partitions, handed_out: BTreeMap::new() })
    }

    /// Remembers how far a group has read.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic), [`NoPartition`](crate::Error::NoPartition).
    pub fn commit(&self, group: &str, topic: &str, partition: u32, next: Offset) -> Result<()> {
        self.commit_marked(GroupName::new(group)?, topic, Partition::new(partition), next, None)
    }

    pub(crate) fn commit_marked(
        &self,
        group: GroupName,
        topic: &str,
        partition: Partition,
        next: Offset,
        mark: Mark,
    ) -> Result<()> {
        let entry = self.entry(topic)?;
        entry.stream(partition)?;
        let record = GroupOffset { topic_id: entry.meta.id, partition, next, group };
        let mut view = self.shared.view.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        view.check_live(&entry.meta)?;
        self.append_system(&mut view, RecordKind::GROUP_OFFSET, &record.encode(), mark)?;
        Ok(())
    }

    /// The next offset that a group will read, if it ever committed one.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic).
    pub fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Offset>> {
        let id = self.entry(topic)?.meta.id;
        let view = self.view();
        let offsets = view.groups.get(group);
        Ok(offsets.and_then(|offsets| offsets.get(&(id, Partition::new(partition))).copied()))
    }

    /// All groups that committed offsets.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupName> {
        self.view().groups.keys().cloned().collect()
    }

    /// How far a group is behind in every partition of a topic.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic).
    pub fn lag(&self, group: &str, topic: &str) -> Result<Vec<GroupLag>> {
        let entry = self.entry(topic)?;
        entry
            .partitions()
            .map(|partition| {
                let next = self.committed(group, topic, partition.get())?.unwrap_or_default();
                let end = self.next_offset(topic, partition.get())?;
                Ok(GroupLag { partition, next, end })
            })
            .collect()
    }
}

impl Consumer {
    /// Up to `count` events that are there already.
    ///
    /// # Errors
    /// As [`Events`].
    pub fn poll(&mut self, count: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for partition in &mut self.partitions {
            while events.len() < count {
                let Some(event) = partition.next() else { break };
                let event = event?;
                let next = event.offset.next().unwrap_or(Offset::MAX);
                self.handed_out.insert(event.partition.get(), next);
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Commits everything handed out so far.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic) when it was dropped; the log's. What is not committed
    /// then, the next call commits.
    pub fn commit(&mut self) -> Result<()> {
        while let Some((partition, next)) = self.handed_out.first_key_value() {
            self.engine.commit(self.group.as_str(), &self.topic, *partition, *next)?;
            self.handed_out.pop_first();
        }
        Ok(())
    }
}
