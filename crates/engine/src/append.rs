//! Appending events: validated and encoded outside every lock, one atomic batch a call.

use std::collections::HashMap;

use cairn_segment::{Draft, Expect, RecordDraft, RecordKind, Ticket};
use cairn_types::{EventData, EventId, Lsn, Offset, Partition, StreamId, Timestamp, Topic};

use crate::dedup::RecentIds;
use crate::engine::{Mark, push_mark};
use crate::view::TopicEntry;
use crate::{Engine, Error, NewEvent, Result, envelope};

/// Where an event was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: Partition,
    /// Place in the partition.
    pub offset: Offset,
    /// Place in the whole log.
    pub lsn: Lsn,
    /// Identity.
    pub id: EventId,
    /// It had been appended before under the same id; this is the first one's place.
    pub duplicate: bool,
}

/// Events on their way into the log.
struct Prepared {
    draft: Draft,
    /// For each event of the call: its place in the draft, or where it already is.
    places: Vec<Place>,
}

/// Events that have their places but may not be durable.
#[derive(Debug)]
pub(crate) struct Pending {
    topic: Topic,
    places: Vec<Place>,
    ticket: Option<Ticket>,
}

#[derive(Debug)]
struct Place {
    stream: StreamId,
    partition: Partition,
    id: EventId,
    at: Where,
    duplicate: bool,
}

#[derive(Debug, Clone, Copy)]
enum Where {
    Draft(usize),
    Stored(Offset, Lsn),
}

impl Engine {
    /// Appends one event and waits until it is as durable as the log's settings ask for.
    ///
    /// # Errors
    /// [`Error::NoTopic`], [`Error::InvalidJson`], [`Error::TooLarge`], or the log's.
    pub fn append(&self, topic: &str, event: NewEvent) -> Result<Appended> {
        let mut appended = self.append_batch(topic, std::slice::from_ref(&event))?;
        Ok(appended.pop().expect("one event, one place"))
    }

    /// Appends events, all or none, in one commit; the places come in the order of the events.
    ///
    /// # Errors
    /// As [`append`](Self::append); nothing was appended then.
    pub fn append_batch(&self, topic: &str, events: &[NewEvent]) -> Result<Vec<Appended>> {
        self.append_if(topic, events, None)
    }

    /// As [`append_batch`](Self::append_batch) into one partition, if its next offset is the
    /// one expected.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not; nothing was appended then.
    pub fn append_expecting(
        &self,
        topic: &str,
        partition: u32,
        expected: Offset,
        events: &[NewEvent],
    ) -> Result<Vec<Appended>> {
        let partition = Partition::new(partition);
        let events: Vec<NewEvent> = events
            .iter()
            .map(|event| NewEvent { partition: Some(partition), ..event.clone() })
            .collect();
        self.append_if(topic, &events, Some((partition, expected)))
    }

    fn append_if(
        &self,
        topic: &str,
        events: &[NewEvent],
        expected: Option<(Partition, Offset)>,
    ) -> Result<Vec<Appended>> {
        let pending = self.begin_append(topic, events, expected, None)?;
        self.finish_append(pending)
    }

    /// Gives events their places without waiting for the disk.
    #[cfg_attr(
        feature = "tracing",
        tracing::instrument(name = "cairn_append", level = "trace", skip_all)
    )]
    pub(crate) fn begin_append(
        &self,
        topic: &str,
        events: &[NewEvent],
        expected: Option<(Partition, Offset)>,
        mark: Mark,
    ) -> Result<Pending> {
        let entry = self.entry(topic)?;
        let topic = entry.meta.name.clone();
        if events.is_empty() {
            return Ok(Pending { topic, places: Vec::new(), ticket: None });
        }
        validate(events)?;
        let expect = match expected {
            None => None,
            Some((partition, offset)) => {
                Some(Expect { stream: entry.stream(partition)?, next_sequence: offset.get() })
            }
        };
        let (prepared, ticket) = if events.iter().any(|event| event.id.is_some()) {
            self.submit_with_ids(&entry, events, expect, mark)?
        } else {
            let prepared = self.prepare(&entry, events, None, mark)?;
            let ticket = self.submit(&prepared.draft, expect)?;
            (prepared, ticket)
        };
        Ok(Pending { topic, places: prepared.places, ticket })
    }

    /// Waits until events that have their places are as durable as the log's settings ask for.
    pub(crate) fn finish_append(&self, pending: Pending) -> Result<Vec<Appended>> {
        let Pending { topic, places, ticket } = pending;
        if let Some(ticket) = &ticket {
            self.shared.log.wait(ticket)?;
        }
        // A repeat must not be acknowledged before what it repeats.
        let visible = self.shared.log.visible_end();
        let early = |place: &Place| matches!(place.at, Where::Stored(_, lsn) if lsn >= visible);
        if places.iter().any(early) {
            self.shared.log.sync()?;
        }
        self.count_appended(&places);
        Ok(appended(&topic, &places, ticket.as_ref()))
    }

    fn count_appended(&self, places: &[Place]) {
        let repeated = places.iter().filter(|place| place.duplicate).count() as u64;
        let figures = &self.shared.figures;
        figures.events_appended.increment(places.len() as u64 - repeated);
        figures.events_repeated.increment(repeated);
    }

    /// Compresses a draft with its topic's codec.
    pub(crate) fn compress(&self, entry: &TopicEntry, draft: &mut Draft) -> Result<()> {
        let compression = entry.meta.config.compression;
        if compression != cairn_segment::Compression::None {
            draft.compress(&*self.shared.log.codecs().writer(compression)?)?;
        }
        Ok(())
    }

    fn submit(&self, draft: &Draft, expect: Option<Expect>) -> Result<Option<Ticket>> {
        if draft.is_empty() {
            return Ok(None);
        }
        match self.shared.log.submit(draft, expect.as_slice()) {
            Ok(ticket) => Ok(Some(ticket)),
            Err(cairn_segment::Error::SequenceConflict { expected, actual, .. }) => {
                let (expected, actual) = (Offset::new(expected), Offset::new(actual));
                Err(Error::Conflict { expected, actual })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks ids up, submits, and remembers them, as one step among appends that carry ids.
    fn submit_with_ids(
        &self,
        entry: &TopicEntry,
        events: &[NewEvent],
        expect: Option<Expect>,
        mark: Mark,
    ) -> Result<(Prepared, Option<Ticket>)> {
        let mut recent = self.recent();
        let prepared = self.prepare(entry, events, Some(&mut recent), mark)?;
        let ticket = self.submit(&prepared.draft, expect)?;
        if let Some(ticket) = &ticket {
            for place in &prepared.places {
                let Where::Draft(index) = place.at else { continue };
                let (offset, lsn) = place_of(ticket, index);
                if let Some(window) = recent.get_mut(&place.stream) {
                    window.insert(place.id, offset, lsn);
                }
            }
        }
        Ok((prepared, ticket))
    }

    fn prepare(
        &self,
        entry: &TopicEntry,
        events: &[NewEvent],
        mut recent: Option<&mut HashMap<StreamId, RecentIds>>,
        mark: Mark,
    ) -> Result<Prepared> {
        let mut draft = Draft::with_capacity(events.len(), 0);
        let mut places: Vec<Place> = Vec::with_capacity(events.len());
        let mut in_this_batch: HashMap<(StreamId, EventId), usize> = HashMap::new();
        let mut payload = Vec::new();
        // The partition whose window was brought up to date last.
        let mut fresh = None;
        let now = self.now();
        for event in events {
            let partition = entry.choose(event);
            let stream = entry.stream(partition)?;
            let id = event.id.unwrap_or_else(|| self.fresh_id_at(now));
            if let Some(recent) = recent.as_deref_mut().filter(|_| fresh != Some(stream)) {
                let oldest = self.oldest_remembered(stream);
                let window = recent.entry(stream).or_default();
                window.catch_up(&self.shared.log, &self.shared.heads, stream, oldest)?;
                fresh = Some(stream);
            }
            let known = recent.as_ref().and_then(|recent| recent.get(&stream)?.get(id));
            let mut duplicate = true;
            let at = if let Some((offset, lsn)) = known {
                Where::Stored(offset, lsn)
            } else if let Some(index) = in_this_batch.get(&(stream, id)) {
                Where::Draft(*index)
            } else {
                duplicate = false;
                payload.clear();
                envelope::encode(id, &event.headers, &event.data, &mut payload)?;
                self.shared.subjects.seal_event(stream, event.key.as_deref(), &mut payload)?;
                let record = RecordDraft {
                    key: event.key.as_deref(),
                    timestamp: event.timestamp,
                    ..RecordDraft::new(RecordKind::EVENT, stream)
                };
                draft.push(record, &payload)?;
                if event.id.is_some() {
                    in_this_batch.insert((stream, id), draft.len() - 1);
                }
                Where::Draft(draft.len() - 1)
            };
            places.push(Place { stream, partition, id, at, duplicate });
        }
        if !draft.is_empty() {
            push_mark(&mut draft, mark)?;
        }
        self.compress(entry, &mut draft)?;
        Ok(Prepared { draft, places })
    }

    pub(crate) fn fresh_id(&self) -> EventId {
        self.fresh_id_at(self.now())
    }

    fn fresh_id_at(&self, now: Timestamp) -> EventId {
        EventId::v7(now, self.shared.random.take(&**self.shared.log.rng()))
    }

    fn now(&self) -> Timestamp {
        self.shared.log.clock().now()
    }
}

fn place_of(ticket: &Ticket, index: usize) -> (Offset, Lsn) {
    let sequence = ticket.appended.sequences.get(index).expect("one for each record");
    let lsn = Lsn::new(ticket.appended.first_lsn.get() + index as u64);
    (Offset::new(sequence), lsn)
}

fn appended(topic: &Topic, places: &[Place], ticket: Option<&Ticket>) -> Vec<Appended> {
    let one = |place: &Place| {
        let (offset, lsn) = match (place.at, ticket) {
            (Where::Stored(offset, lsn), _) => (offset, lsn),
            (Where::Draft(index), Some(ticket)) => place_of(ticket, index),
            (Where::Draft(_), None) => unreachable!("a draft with records was submitted"),
        };
        let (topic, partition, id) = (topic.clone(), place.partition, place.id);
        let duplicate = place.duplicate;
        Appended { topic, partition, offset, lsn, id, duplicate }
    };
    places.iter().map(one).collect()
}

/// JSON data must be JSON.
pub(crate) fn validate(events: &[NewEvent]) -> Result<()> {
    for (index, event) in events.iter().enumerate() {
        let EventData::Json(data) = &event.data else { continue };
        let invalid = |line, column, reason| Error::InvalidJson { index, line, column, reason };
        // The parser passes over strings without looking whether they are text.
        let text = std::str::from_utf8(data).map_err(|error| {
            let before = data.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n');
            let column = line.clone().next_back().map_or(0, <[u8]>::len) + 1;
            invalid(line.count(), column, error.to_string())
        })?;
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| invalid(error.line(), error.column(), error.to_string()))?;
    }
    Ok(())
}
