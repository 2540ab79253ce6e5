//! Retention by topic: old events are trimmed at once, by a record that readers obey; their
//! bytes go when segments are cleaned.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use cairn_codec::RecordView;
use cairn_segment::{CleanOptions, Cleaned, Dropped, Fate, RecordKind, Retention};
use cairn_types::{Lsn, Offset, StreamId};

use crate::engine::Mark;
use crate::metadata::{TopicCreated, encode_trimmed};
use crate::read::VisibleEnd as _;
use crate::view::TopicEntry;
use crate::{Engine, Result, TopicConfig};

/// What a run of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Partitions whose beginning moved.
    pub trimmed_count: usize,
    /// Records dropped or erased inside segments.
    pub cleaned: Cleaned,
    /// Whole segments dropped.
    pub dropped: Dropped,
    /// Segments sealed anew with the newest data key.
    pub resealed: Cleaned,
}

/// Segments that one pass seals anew at most: it is meant to be short.
const RESEALED_MAX: usize = 4;

/// What of the events is kept, as it was when the topics were looked at.
pub(crate) struct KeptEvents {
    /// Every live partition's stream with the first event that is kept.
    pub(crate) streams: HashMap<StreamId, u64>,
    /// Events from here on may be those of topics that are not among these: dropping takes long.
    until: Lsn,
}

impl TopicConfig {
    /// Whether any event of the topic may ever go.
    #[must_use]
    pub const fn has_retention(&self) -> bool {
        self.max_age.is_some() || self.max_len.is_some() || self.latest_by_key
    }
}

impl Engine {
    /// Changes how long a topic's events are kept; the settings as they are then. Of two changes
    /// at once the last one counts whole.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic); the log's.
    pub fn set_retention(
        &self,
        topic: &str,
        change: impl FnOnce(&mut TopicConfig),
    ) -> Result<TopicConfig> {
        let entry = self.entry(topic)?;
        let mut meta = entry.meta.clone();
        change(&mut meta.config);
        // What decides where events are and how they are read stays as it was created.
        meta.config.partitions = entry.meta.config.partitions;
        meta.config.compression = entry.meta.config.compression;
        meta.config.by_subject = entry.meta.config.by_subject;
        let config = meta.config.as_recorded();
        self.set_meta(meta, None)?;
        Ok(config)
    }

    /// Writes a topic's settings again, unless it was dropped meanwhile: that would bring it back.
    pub(crate) fn set_meta(&self, meta: TopicCreated, mark: Mark) -> Result<()> {
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        view.check_live(&meta)?;
        self.append_system(&mut view, RecordKind::STREAM_CREATED, &meta.encode(), mark)?;
        Ok(())
    }

    /// Applies the topics' retention now: trims partitions, drops what was trimmed or
    /// superseded from complete segments, and drops segments that nothing needs any more.
    /// Topics without retention, and keys that can be read, keep everything. A store that
    /// [applies](Self::apply) commands is trimmed by [`due_commands`](Self::due_commands) instead.
    ///
    /// # Errors
    /// The log's; what was done before stays done.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_retain_topics", skip_all, err)
    )]
    pub fn retain_topics(&self) -> Result<Retained> {
        let mut retained = Retained::default();
        let entries: Vec<_> = self.view().topics.values().cloned().collect();
        for entry in entries.iter().filter(|entry| entry.meta.config.has_retention()) {
            for partition in entry.partitions() {
                let stream = entry.stream(partition)?;
                let trimmed = self.trim(entry, stream)?;
                retained.trimmed_count += usize::from(trimmed);
            }
        }
        retained.cleaned = self.clean_events(&self.kept_events()?, &entries)?;
        // What is still sealed with an older data key, or not at all, little by little.
        retained.resealed = self.log().reseal(RESEALED_MAX, None)?;
        if entries.iter().any(|entry| entry.meta.config.has_retention()) {
            retained.dropped = self.drop_segments(&self.kept_events()?)?;
        }
        Ok(retained)
    }

    /// Drops events that are not kept from complete segments.
    fn clean_events(&self, kept: &KeptEvents, entries: &[Arc<TopicEntry>]) -> Result<Cleaned> {
        let newest = self.newest_by_key(entries)?;
        let mut fate = |lsn: Lsn, record: &RecordView<'_>| {
            if record.kind != RecordKind::EVENT || lsn >= kept.until {
                return Fate::Keep;
            }
            let Some(begin) = kept.streams.get(&record.stream) else { return Fate::Drop };
            let superseded = record.key.is_some_and(|key| {
                let newest = newest.get(&record.stream).and_then(|keys| keys.get(key));
                newest.is_some_and(|newest| record.sequence < *newest)
            });
            if record.sequence < *begin || superseded { Fate::Drop } else { Fate::Keep }
        };
        Ok(self.log().clean(&mut fate, &CleanOptions::default())?)
    }

    /// Moves the beginning of a partition as its topic's settings ask for.
    fn trim(&self, entry: &TopicEntry, stream: StreamId) -> Result<bool> {
        match self.begin_due(entry, stream)? {
            Some(begin) => self.trim_to(stream, begin, None).map(|()| true),
            None => Ok(false),
        }
    }

    /// Moves the beginning of a partition.
    pub(crate) fn trim_to(&self, stream: StreamId, begin: Offset, mark: Mark) -> Result<()> {
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let payload = encode_trimmed(stream, begin);
        self.append_system(&mut view, RecordKind::STREAM_TRIMMED, &payload, mark)?;
        Ok(())
    }

    /// Where a partition is to begin by its topic's settings and the clock, if that is further
    /// than it does.
    pub(crate) fn begin_due(&self, entry: &TopicEntry, stream: StreamId) -> Result<Option<Offset>> {
        let log = self.log();
        let config = &entry.meta.config;
        let before = self.view().trimmed.get(&stream).copied().unwrap_or(0);
        // Before the time is looked for, and without what is under way: that is not found by its
        // time, and would go though it is the newest.
        let end = log.visible_end_of(stream)?;
        let mut begin = before;
        if let Some(age) = config.max_age {
            let oldest = log.clock().now().saturating_sub(age);
            begin = begin.max(log.sequence_at_time(stream, oldest)?.unwrap_or(end));
        }
        if let Some(max_len) = config.max_len {
            begin = begin.max(self.begin_by_len(stream, begin, max_len)?);
        }
        Ok((begin > before).then(|| Offset::new(begin)))
    }

    /// The first event from which on a partition holds at most so many bytes of data.
    fn begin_by_len(&self, stream: StreamId, from: u64, max_len: u64) -> Result<u64> {
        let mut total = 0;
        let mut scan = self.log().scan_stream(stream, from);
        while let Some(record) = scan.next_record()? {
            total += record.view.payload_len;
        }
        let mut begin = from;
        let mut scan = self.log().scan_stream(stream, from);
        while total > max_len {
            let Some(record) = scan.next_record()? else { break };
            total -= record.view.payload_len;
            begin = record.view.sequence + 1;
        }
        Ok(begin)
    }

    /// The events of all live topics that are kept.
    pub(crate) fn kept_events(&self) -> Result<KeptEvents> {
        // Before the topics are looked at: one that comes later has no event before this.
        let until = self.log().visible_end();
        let view = self.view();
        let mut streams = HashMap::new();
        for entry in view.topics.values() {
            for partition in entry.partitions() {
                let stream = entry.stream(partition)?;
                streams.insert(stream, view.trimmed.get(&stream).copied().unwrap_or(0));
            }
        }
        Ok(KeptEvents { streams, until })
    }

    /// For topics that keep the newest event of each key: its offset, by stream and key.
    fn newest_by_key(
        &self,
        entries: &[Arc<TopicEntry>],
    ) -> Result<HashMap<StreamId, HashMap<Bytes, u64>>> {
        let mut newest: HashMap<StreamId, HashMap<Bytes, u64>> = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.meta.config.latest_by_key) {
            for partition in entry.partitions() {
                let stream = entry.stream(partition)?;
                let keys = newest.entry(stream).or_default();
                let mut scan = self.log().scan_stream(stream, 0);
                while let Some(record) = scan.next_record()? {
                    if let Some(key) = record.view.key {
                        match keys.get_mut(key) {
                            Some(sequence) => *sequence = record.view.sequence,
                            None => {
                                let key = Bytes::copy_from_slice(key);
                                keys.insert(key, record.view.sequence);
                            }
                        }
                    }
                }
            }
        }
        Ok(newest)
    }

    /// Drops the oldest segments up to the first one with an event that is kept, a version of a
    /// key that can be read, or a lease. This gives space back after keys were compacted; the
    /// history before can no longer be proven.
    ///
    /// # Errors
    /// As [`retain`](Self::retain).
    pub fn reclaim(&self) -> Result<Dropped> {
        self.drop_segments(&self.kept_events()?)
    }

    /// Drops segments before everything that is kept.
    fn drop_segments(&self, kept: &KeptEvents) -> Result<Dropped> {
        let needed = self.first_needed(kept)?;
        self.retain(&Retention { before: Some(needed), ..Retention::default() })
    }

    /// The first place in the log that a kept event, a readable key or a lease needs.
    pub(crate) fn first_needed(&self, kept: &KeptEvents) -> Result<Lsn> {
        let mut needed = kept.until;
        needed = self.keys().oldest_needed().map_or(needed, |lsn| needed.min(lsn));
        for (stream, begin) in &kept.streams {
            let mut scan = self.log().scan_stream(*stream, *begin);
            if let Some(record) = scan.next_record()? {
                needed = needed.min(record.lsn);
            }
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewEvent;
    use cairn_segment::{Log, LogConfig};
    use cairn_types::Timestamp;
    use cairn_vfs::{ManualClock, MemVfs};
    use std::time::Duration;

    fn open(clock: &Arc<ManualClock>) -> Engine {
        clock.set(Timestamp::from_secs(1_700_000_000));
        let config = LogConfig { segment_size: 64 << 10, background: false, ..Default::default() };
        let log = Log::options().vfs(Arc::new(MemVfs::new())).clock(clock.clone()).config(config);
        Engine::options().log(log).open().expect("opens")
    }

    #[test]
    fn a_topic_that_is_dropped_while_it_is_changed_does_not_come_back() {
        let engine = open(&Arc::new(ManualClock::default()));
        engine.create_topic("t", TopicConfig::default()).expect("creates");
        let refused = engine.set_retention("t", |config| {
            engine.drop_topic("t").expect("drops");
            config.max_len = Some(1);
        });
        assert!(matches!(refused, Err(crate::Error::NoTopic { .. })), "{refused:?}");
        assert!(engine.topics().is_empty());
    }

    #[test]
    fn an_event_under_way_is_not_trimmed_with_the_old_ones() {
        let clock = Arc::new(ManualClock::default());
        let engine = open(&clock);
        let max_age = Some(Duration::from_secs(60));
        engine.create_topic("t", TopicConfig { max_age, ..Default::default() }).expect("creates");
        engine.append("t", NewEvent::text("old")).expect("appends");
        clock.advance(Duration::from_secs(100));
        let under_way = engine.begin_append("t", &[NewEvent::text("new")], None, None);
        engine.retain_topics().expect("retains");
        engine.finish_append(under_way.expect("submits")).expect("appends");
        let events: Vec<_> = engine.events("t", 0, 0).expect("there").collect();
        assert_eq!(events.len(), 1);
        let event = events[0].as_ref().expect("reads");
        assert_eq!((event.offset.get(), event.data.as_str()), (1, Some("new")));
    }

    #[test]
    fn a_topic_that_comes_while_others_are_cleaned_loses_nothing() {
        let engine = open(&Arc::new(ManualClock::default()));
        let by_key = TopicConfig { latest_by_key: true, ..TopicConfig::default() };
        engine.create_topic("state", by_key).expect("creates");
        let entries: Vec<_> = engine.view().topics.values().cloned().collect();
        let kept = engine.kept_events().expect("looks");

        engine.create_topic("late", TopicConfig::default()).expect("creates");
        for _ in 0..100 {
            engine.append("late", NewEvent::text("x".repeat(2000))).expect("appends");
        }
        engine.log().roll().expect("rolls");
        engine.append("state", NewEvent::text("1").with_key("k")).expect("appends");

        let cleaned = engine.clean_events(&kept, &entries).expect("cleans");
        assert_eq!(cleaned.dropped_count + cleaned.erased_count, 0);
        engine.drop_segments(&kept).expect("drops");
        let events: Vec<_> = engine.events("late", 0, 0).expect("there").collect();
        assert_eq!(events.iter().filter(|event| event.is_ok()).count(), 100);
    }
}
