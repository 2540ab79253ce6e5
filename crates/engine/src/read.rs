//! Reading events of one partition, forward and backward, by offset and by time.

use cairn_segment::{Log, RecordRef, StreamScan};
use cairn_types::{Event, Lsn, Offset, Partition, StreamId, Timestamp, Topic};

use crate::{Engine, Error, Result, envelope};

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// At this offset, or the first after it that is still there.
    Offset(Offset),
    /// At the first event with this time or a later one.
    Time(Timestamp),
    /// At the first event that is still there.
    Earliest,
    /// After the newest event.
    Latest,
}

/// Events of a partition in order. It ends at the newest event that is visible; calling `next`
/// again later goes on.
#[derive(Debug)]
#[must_use = "nothing is read until it is asked for events"]
pub struct Events {
    engine: Engine,
    topic: Topic,
    partition: Partition,
    scan: StreamScan,
}

impl Events {
    /// The next event as it lies in the log, without making an [`Event`] of it.
    ///
    /// # Errors
    /// As [`StreamScan::next_record`].
    pub fn next_raw(&mut self) -> Result<Option<RecordRef<'_>>> {
        Ok(self.scan.next_record()?)
    }

    /// The least offset that the next event can have.
    #[must_use]
    pub fn position(&self) -> Offset {
        Offset::new(self.scan.position())
    }
}

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.scan.next_record() {
                Ok(None) => return None,
                Ok(Some(record)) => {
                    match self.engine.to_event(&self.topic, self.partition, &record) {
                        // An erased event has no content left to show.
                        Ok(None) => {}
                        Ok(Some(event)) => {
                            self.engine.shared.figures.events_read.increment(1);
                            return Some(Ok(event));
                        }
                        Err(error) => return Some(Err(error)),
                    }
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

impl Engine {
    /// The event in a record; `None` when it was erased.
    fn to_event(
        &self,
        topic: &Topic,
        partition: Partition,
        record: &RecordRef<'_>,
    ) -> Result<Option<Event>> {
        let is_erased = self.shared.erased.by(record.lsn).is_some();
        let Some(payload) = record.payload_bytes().filter(|_| !is_erased) else { return Ok(None) };
        let (stream, key) = (record.view.stream, record.view.key);
        let opened = self.shared.subjects.open_event(stream, key, record.lsn, payload)?;
        let Some(payload) = opened else { return Ok(None) };
        let damaged = Error::Damaged { lsn: record.lsn, cause: "its payload is no event" };
        let envelope = envelope::decode(&payload).ok_or(damaged)?;
        Ok(Some(Event {
            id: envelope.id,
            topic: topic.clone(),
            partition,
            offset: Offset::new(record.view.sequence),
            lsn: record.lsn,
            key: record.key_bytes(),
            headers: envelope.headers,
            data: envelope.data,
            timestamp: record.view.timestamp,
        }))
    }

    /// Events of a partition from an offset on.
    ///
    /// # Errors
    /// [`Error::NoTopic`], [`Error::NoPartition`].
    pub fn events(&self, topic: &str, partition: u32, from: u64) -> Result<Events> {
        self.events_from(topic, partition, ReadFrom::Offset(Offset::new(from)))
    }

    /// Events of a partition from anywhere on.
    ///
    /// # Errors
    /// [`Error::NoTopic`], [`Error::NoPartition`], or the log's.
    pub fn events_from(&self, topic: &str, partition: u32, from: ReadFrom) -> Result<Events> {
        let entry = self.entry(topic)?;
        let partition = Partition::new(partition);
        let stream = entry.stream(partition)?;
        let log = self.log();
        let start = match from {
            ReadFrom::Offset(offset) => offset.get(),
            ReadFrom::Earliest => 0,
            ReadFrom::Latest => log.visible_end_of(stream)?,
            ReadFrom::Time(time) => {
                // First: what comes between the two looks is after it, and not left out.
                let end = log.visible_end_of(stream)?;
                log.sequence_at_time(stream, time)?.unwrap_or(end)
            }
        };
        let scan = log.scan_stream(stream, start.max(self.trimmed(stream)));
        Ok(Events { engine: self.clone(), topic: entry.meta.name.clone(), partition, scan })
    }

    /// The newest events of a partition, newest first: `count` of them, before an offset
    /// (exclusive) or from the end. The cost does not depend on how long the partition is.
    ///
    /// # Errors
    /// As [`events_from`](Self::events_from).
    pub fn newest(
        &self,
        topic: &str,
        partition: u32,
        before: Option<Offset>,
        count: usize,
    ) -> Result<Vec<Event>> {
        let entry = self.entry(topic)?;
        let partition = Partition::new(partition);
        let stream = entry.stream(partition)?;
        let log = self.log();
        let end = log.visible_end_of(stream)?;
        let trimmed = self.trimmed(stream);
        let mut next = before.map_or(end, |offset| offset.get().min(end));
        let mut events = Vec::new();
        while events.len() < count && next > 0 {
            let Some(sequence) = log.sequence_at_or_before(stream, next - 1)? else { break };
            if sequence < trimmed {
                break;
            }
            let mut scan = log.scan_stream(stream, sequence);
            if let Some(record) = scan.next_record()? {
                events.extend(self.to_event(&entry.meta.name, partition, &record)?);
            }
            next = sequence;
        }
        Ok(events)
    }

    /// First event of a stream that retention lets readers see.
    pub(crate) fn trimmed(&self, stream: StreamId) -> u64 {
        self.view().trimmed.get(&stream).copied().unwrap_or(0)
    }

    /// One event.
    ///
    /// # Errors
    /// [`Error::Erased`]; the log's [`NoSuchSequence`](cairn_segment::Error::NoSuchSequence) when it is not there.
    pub fn event(&self, topic: &str, partition: u32, offset: u64) -> Result<Event> {
        let entry = self.entry(topic)?;
        let partition = Partition::new(partition);
        let mut scan = self.scan_at(entry.stream(partition)?, offset)?;
        let record = scan.next_record()?.filter(|record| record.view.sequence == offset);
        let stream = entry.stream(partition)?;
        let record = record.ok_or_else(|| crate::erasure::no_such(stream, offset))?;
        match self.to_event(&entry.meta.name, partition, &record)? {
            Some(event) => {
                self.shared.figures.events_read.increment(1);
                Ok(event)
            }
            None => {
                let by_subject = record
                    .view
                    .key
                    .and_then(|key| self.shared.subjects.gone_by(record.view.stream, key));
                let lsn = record.lsn;
                let by = self.shared.erased.by(lsn).or(by_subject);
                Err(Error::Erased { lsn, by })
            }
        }
    }

    /// Where an event is, also when it was erased.
    pub(crate) fn event_place(&self, topic: &str, partition: u32, offset: u64) -> Result<Lsn> {
        let stream = self.entry(topic)?.stream(Partition::new(partition))?;
        let mut scan = self.scan_at(stream, offset)?;
        let record = scan.next_record()?.filter(|record| record.view.sequence == offset);
        Ok(record.ok_or_else(|| crate::erasure::no_such(stream, offset))?.lsn)
    }

    fn scan_at(&self, stream: StreamId, offset: u64) -> Result<StreamScan> {
        if offset < self.trimmed(stream) {
            return Err(crate::erasure::no_such(stream, offset));
        }
        Ok(self.log().scan_stream(stream, offset))
    }

    /// The offset that the partition's next event will get, counting visible events only.
    ///
    /// # Errors
    /// [`Error::NoTopic`], [`Error::NoPartition`].
    pub fn next_offset(&self, topic: &str, partition: u32) -> Result<Offset> {
        let stream = self.entry(topic)?.stream(Partition::new(partition))?;
        Ok(Offset::new(self.log().visible_end_of(stream)?))
    }

    /// The newest event's offset, if there is one.
    ///
    /// # Errors
    /// [`Error::NoTopic`], [`Error::NoPartition`].
    pub fn latest_offset(&self, topic: &str, partition: u32) -> Result<Option<Offset>> {
        Ok(self.next_offset(topic, partition)?.checked_sub(1))
    }
}

/// What the engine asks of the log about a stream's end.
pub(crate) trait VisibleEnd {
    /// The sequence behind the newest visible record; [`Log::next_sequence`] also counts what is
    /// under way.
    fn visible_end_of(&self, stream: StreamId) -> Result<u64>;
}

impl VisibleEnd for Log {
    fn visible_end_of(&self, stream: StreamId) -> Result<u64> {
        let newest = self.sequence_at_or_before(stream, u64::MAX)?;
        Ok(newest.map_or(0, |sequence| sequence + 1))
    }
}
