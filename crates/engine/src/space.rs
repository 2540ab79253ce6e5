//! Where the bytes are: by topic and keyspace, in use, reserved, to be had back, free. Derived:
//! counted from the log's records; what was counted of a segment is remembered.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;

use cairn_segment::{RecordKind, SegmentStats};
use cairn_types::{KeyspaceName, Lsn, SegmentId, StreamId, Topic};

use crate::{Engine, Result};

/// Whose bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpaceOwner {
    /// A topic's events.
    Topic(Topic),
    /// A keyspace's versions.
    Keyspace(KeyspaceName),
    /// Names, group offsets, leases, checkpoints.
    System,
    /// Topics and keyspaces that were dropped.
    Dropped,
}

/// What an owner has in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnedSpace {
    /// Records.
    pub record_count: u64,
    /// Bytes of keys and payloads, before compression and without what a record adds.
    pub data_len: u64,
}

/// Where the bytes of a store are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceReport {
    /// Bytes of all batches; what the quota limits.
    pub log_len: u64,
    /// Of them, in segments that take no more records.
    pub sealed_len: u64,
    /// Of them, in the segment that is written.
    pub active_len: u64,
    /// Bytes of the active segment's file that are reserved for records to come.
    pub reserved_len: u64,
    /// Bytes of indexes, which can be rebuilt.
    pub index_len: u64,
    /// Bytes that repairs have set aside.
    pub quarantine_len: u64,
    /// About how many bytes retention and [`Engine::reclaim`] would free now.
    pub reclaimable_len: u64,
    /// Bytes free on the disk.
    pub free_len: u64,
    /// The quota, if there is one.
    pub quota_bytes: Option<u64>,
    /// Bytes that must stay free on the disk, if any.
    pub min_free_bytes: Option<u64>,
    /// What the log holds, by owner.
    pub owners: BTreeMap<SpaceOwner, OwnedSpace>,
}

impl SpaceReport {
    /// Bytes that can be written before a limit or the end of the disk.
    #[must_use]
    pub fn writable_len(&self) -> u64 {
        let quota = self.quota_bytes.map_or(u64::MAX, |quota| quota.saturating_sub(self.log_len));
        let on_disk = self.free_len.saturating_sub(self.min_free_bytes.unwrap_or(0));
        quota.min(on_disk.saturating_add(self.reserved_len))
    }
}

/// Records of one stream in one segment.
#[derive(Debug, Clone, Copy, Default)]
struct StreamSpace {
    owned: OwnedSpace,
    /// Of events alone.
    event_len: u64,
    last_sequence: u64,
}

/// What was counted of one segment.
#[derive(Debug, Default)]
struct Counted {
    /// Records before this are counted.
    until: Lsn,
    streams: HashMap<StreamId, StreamSpace>,
}

/// What was counted of all segments, by number and rewrites.
#[derive(Debug, Default)]
pub(crate) struct SpaceCounts {
    segments: HashMap<(SegmentId, u64), Counted>,
}

impl Engine {
    /// Says where the bytes of the store are. The first call reads the whole log, later ones
    /// only what was added.
    ///
    /// ```
    /// use cairn_engine::{Engine, NewEvent, SpaceOwner, TopicConfig};
    /// let dir = tempfile::tempdir()?;
    /// let engine = Engine::open(dir.path().join("data"))?;
    /// engine.create_topic("orders", TopicConfig::default())?;
    /// engine.append("orders", NewEvent::text("twelve stones"))?;
    /// let report = engine.space()?;
    /// let (owner, space) = report.owners.first_key_value().expect("one topic");
    /// assert!(matches!(owner, SpaceOwner::Topic(name) if name.as_str() == "orders"));
    /// assert_eq!(space.record_count, 1);
    /// assert!(report.writable_len() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The log's, for damage; what cannot be asked of the file system.
    pub fn space(&self) -> Result<SpaceReport> {
        let log = self.log();
        let segments = log.segment_stats()?;
        let active = segments.last().filter(|segment| !segment.is_complete);
        let log_len: u64 = segments.iter().map(|segment| segment.len).sum();
        let active_len = active.map_or(0, |segment| segment.len);
        let is_index = |name: &str| name.ends_with(".idx");
        let config = log.config();
        let mut report = SpaceReport {
            log_len,
            sealed_len: log_len - active_len,
            active_len,
            reserved_len: active.map_or(0, |segment| segment.file_len.saturating_sub(segment.len)),
            index_len: self.files_len("log", is_index)?,
            quarantine_len: self.files_len("quarantine", |_| true)?,
            reclaimable_len: 0,
            free_len: log.vfs().free_space().map_err(cairn_segment::Error::from)?,
            quota_bytes: config.quota_bytes,
            min_free_bytes: config.min_free_bytes,
            owners: BTreeMap::new(),
        };
        self.count_owners(&segments, &mut report)?;
        Ok(report)
    }

    fn files_len(&self, dir: &str, counts: impl Fn(&str) -> bool) -> Result<u64> {
        match self.log().vfs().list(dir) {
            Ok(entries) => Ok(entries.iter().filter(|e| counts(&e.name)).map(|e| e.len).sum()),
            Err(error) if error.is_not_found() => Ok(0),
            Err(error) => Err(cairn_segment::Error::from(error).into()),
        }
    }

    fn count_owners(&self, segments: &[SegmentStats], report: &mut SpaceReport) -> Result<()> {
        let kept = self.kept_events()?;
        let needed = self.first_needed(&kept)?;
        let owners = self.owners_by_stream()?;
        let mut counts = self.shared.space.lock().unwrap_or_else(PoisonError::into_inner);
        let live = |(id, rewrites): &(SegmentId, u64)| {
            segments.iter().any(|segment| (segment.id, segment.rewrites) == (*id, *rewrites))
        };
        counts.segments.retain(|key, _| live(key));
        for segment in segments {
            let counted = counts.segments.entry((segment.id, segment.rewrites)).or_default();
            self.count(segment, counted)?;
            let goes_whole = segment.is_complete && segment.end_lsn <= needed;
            if goes_whole {
                report.reclaimable_len += segment.len;
            }
            for (stream, space) in &counted.streams {
                let owner = owners.get(stream).unwrap_or(&SpaceOwner::Dropped);
                let sum = report.owners.entry(owner.clone()).or_default();
                sum.record_count += space.owned.record_count;
                sum.data_len += space.owned.data_len;
                if segment.is_complete && !goes_whole {
                    let begin = kept.streams.get(stream).copied();
                    report.reclaimable_len += self.droppable(segment, *stream, space, begin)?;
                }
            }
        }
        Ok(())
    }

    /// Counts what was added to a segment.
    fn count(&self, segment: &SegmentStats, counted: &mut Counted) -> Result<()> {
        let from = counted.until.max(segment.base_lsn).max(self.log().start_lsn());
        let end = segment.end_lsn.min(self.log().visible_end());
        let mut scan = self.log().scan(from);
        while scan.position() < end {
            let Some(record) = scan.next_record()? else { break };
            let view = &record.view;
            let len = view.key.map_or(0, <[u8]>::len) + record.payload().map_or(0, <[u8]>::len);
            let space = counted.streams.entry(view.stream).or_default();
            space.owned.record_count += 1;
            space.owned.data_len += len as u64;
            if view.kind == RecordKind::EVENT {
                space.event_len += len as u64;
                space.last_sequence = view.sequence;
            }
        }
        counted.until = counted.until.max(end);
        Ok(())
    }

    /// Bytes of a stream's events in a complete segment that cleaning would drop. `begin` is
    /// the first event kept, `None` when the topic is gone.
    fn droppable(
        &self,
        segment: &SegmentStats,
        stream: StreamId,
        space: &StreamSpace,
        begin: Option<u64>,
    ) -> Result<u64> {
        let Some(begin) = begin else { return Ok(space.event_len) };
        if begin == 0 || space.event_len == 0 {
            return Ok(0);
        }
        if space.last_sequence < begin {
            return Ok(space.event_len);
        }
        let mut len = 0;
        let mut scan = self.log().scan_stream(stream, 0);
        while let Some(record) = scan.next_record()? {
            if record.view.sequence >= begin || record.lsn >= segment.end_lsn {
                break;
            }
            if record.lsn >= segment.base_lsn {
                let key_len = record.view.key.map_or(0, <[u8]>::len);
                len += (key_len + record.payload().map_or(0, <[u8]>::len)) as u64;
            }
        }
        Ok(len)
    }

    fn owners_by_stream(&self) -> Result<HashMap<StreamId, SpaceOwner>> {
        let view = self.view();
        let mut owners = HashMap::from([(StreamId::SYSTEM, SpaceOwner::System)]);
        for entry in view.topics.values() {
            for partition in entry.partitions() {
                let owner = SpaceOwner::Topic(entry.meta.name.clone());
                owners.insert(entry.stream(partition)?, owner);
            }
        }
        let keyspaces = view.keyspaces.iter();
        owners.extend(keyspaces.map(|(name, s)| (*s, SpaceOwner::Keyspace(name.clone()))));
        Ok(owners)
    }
}
