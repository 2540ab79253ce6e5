//! Figures of topics.

use cairn_types::{Offset, Partition, Topic};

use crate::{Engine, Result, TopicConfig};

/// Figures of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStats {
    /// The partition.
    pub partition: Partition,
    /// First offset that is still there, if any event is.
    pub first: Option<Offset>,
    /// The next event's offset.
    pub next: Offset,
}

/// Figures of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicStats {
    /// Its name.
    pub name: Topic,
    /// Its settings.
    pub config: TopicConfig,
    /// Its partitions.
    pub partitions: Vec<PartitionStats>,
}

impl TopicStats {
    /// Events between first and next offset, over all partitions.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        let count = |p: &PartitionStats| p.next.get() - p.first.unwrap_or(p.next).get();
        self.partitions.iter().map(count).sum()
    }
}

impl Engine {
    /// Figures of a topic.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic).
    pub fn topic_stats(&self, topic: &str) -> Result<TopicStats> {
        let entry = self.entry(topic)?;
        let partitions = entry
            .partitions()
            .map(|partition| {
                let stream = entry.stream(partition)?;
                let trimmed = self.trimmed(stream);
                let first = self.log().first_sequence_from(stream, trimmed)?.map(Offset::new);
                let next = self.next_offset(topic, partition.get())?;
                Ok(PartitionStats { partition, first, next })
            })
            .collect::<Result<_>>()?;
        Ok(TopicStats { name: entry.meta.name.clone(), config: entry.meta.config, partitions })
    }
}
