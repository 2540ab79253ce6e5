//! Updates straight from the log, from any position. The log is the truth; this only reads.

use std::sync::Arc;
use std::time::Duration;

use cairndb::engine::{Engine, Events, Keyspace};
use cairndb::keys::{self, Change, Range, WatchRequest, Watcher};
use cairndb::types::Event;

use super::{EventUpdate, KeyUpdate, Update, UpdateBody};
use crate::{Error, Result};

/// Where a subscriber begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedStart {
    /// With what comes after now.
    Now,
    /// With the first update that the log still has.
    Earliest,
    /// After these positions, one a lane, as
    /// [`Subscriber::positions`](super::Subscriber::positions) gave them.
    After(Vec<u64>),
}

/// Reads updates of some keys or of a topic, one lane for each partition.
#[derive(Debug)]
pub struct Feed {
    engine: Engine,
    source: Source,
    readers: Vec<Option<Reader>>,
}

#[derive(Debug)]
enum Source {
    Keys { keyspace: Keyspace, range: Range },
    Topic { topic: String },
}

/// Something that stands behind a position.
#[derive(Debug)]
struct Reader {
    after: u64,
    from: From,
}

#[derive(Debug)]
enum From {
    Keys(Box<Watcher>),
    Events(Box<Events>),
}

impl Feed {
    /// Changes of keys.
    ///
    /// # Errors
    /// [`Error::Engine`] when there is no such keyspace.
    pub fn keys(engine: &Engine, keyspace: &str, range: Range) -> Result<Self> {
        let keyspace = engine.keyspace(keyspace)?;
        let source = Source::Keys { keyspace, range };
        Ok(Self { engine: engine.clone(), source, readers: vec![None] })
    }

    /// Events of a topic, of all partitions.
    ///
    /// # Errors
    /// [`Error::Engine`] when there is no such topic.
    pub fn topic(engine: &Engine, topic: &str) -> Result<Self> {
        let lanes = engine.topic_stats(topic)?.partitions.len();
        let readers = std::iter::repeat_with(|| None).take(lanes).collect();
        let source = Source::Topic { topic: topic.to_owned() };
        Ok(Self { engine: engine.clone(), source, readers })
    }

    /// How many lanes there are.
    #[must_use]
    pub fn lane_count(&self) -> u32 {
        u32::try_from(self.readers.len()).expect("partitions are limited to fewer")
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Positions to begin at.
    ///
    /// # Errors
    /// [`Error::Invalid`] for positions of another number of lanes; the engine's.
    pub fn start(&self, start: &FeedStart) -> Result<Vec<u64>> {
        match (start, &self.source) {
            (FeedStart::After(positions), _) if positions.len() == self.readers.len() => {
                Ok(positions.clone())
            }
            (FeedStart::After(positions), _) => {
                let (found, lanes) = (positions.len(), self.readers.len());
                let reason = format!("{found} positions for {lanes} lanes");
                Err(Error::Invalid { what: "start", reason })
            }
            (FeedStart::Now, _) => self.ends(),
            (FeedStart::Earliest, Source::Keys { .. }) => {
                Ok(vec![self.engine.keys().compact_revision().saturating_sub(1)])
            }
            (FeedStart::Earliest, Source::Topic { topic }) => {
                let partitions = self.engine.topic_stats(topic)?.partitions;
                Ok(partitions.iter().map(|it| it.first.unwrap_or(it.next).get()).collect())
            }
        }
    }

    /// Positions after everything that is there now.
    ///
    /// # Errors
    /// The engine's.
    pub fn ends(&self) -> Result<Vec<u64>> {
        match &self.source {
            Source::Keys { .. } => Ok(vec![self.engine.revision()]),
            Source::Topic { topic } => {
                let partitions = self.engine.topic_stats(topic)?.partitions;
                Ok(partitions.iter().map(|it| it.next.get()).collect())
            }
        }
    }

    /// The first update of a lane after a position, if there is one already.
    ///
    /// # Errors
    /// [`Error::TooFarBehind`] when the log has given up what came after the position;
    /// the engine's.
    pub fn next_after(&mut self, lane: u32, after: u64) -> Result<Option<Update>> {
        let place = usize::try_from(lane).expect("32 bits fit");
        let Some(slot) = self.readers.get_mut(place) else { return Ok(None) };
        let reader = match slot.take().filter(|reader| reader.after == after) {
            Some(reader) => reader,
            None => open(&self.engine, &self.source, lane, after)?,
        };
        let (update, reader) = self.read(lane, reader)?;
        if let Some(slot) = self.readers.get_mut(place) {
            *slot = Some(reader);
        }
        Ok(update)
    }

    fn read(&self, lane: u32, mut reader: Reader) -> Result<(Option<Update>, Reader)> {
        let prev = reader.after;
        let (at, body) = match &mut reader.from {
            From::Keys(watcher) => match watcher.try_next().map_err(|error| behind(error, prev))? {
                None => return Ok((None, reader)),
                Some(batch) => {
                    let changes = batch.changes.into_iter().map(to_key).collect();
                    (batch.revision, UpdateBody::Keys(changes))
                }
            },
            From::Events(events) => match events.next().transpose()? {
                None => return Ok((None, reader)),
                Some(event) => {
                    if event.offset.get() > prev {
                        self.check_kept(lane, prev)?;
                    }
                    (event.offset.get() + 1, UpdateBody::Event(to_event(event)))
                }
            },
        };
        reader.after = at;
        Ok((Some(Update { lane, prev, at, body }), reader))
    }

    /// An offset that is left out was erased by itself, or everything before is gone.
    fn check_kept(&self, lane: u32, after: u64) -> Result<()> {
        match &self.source {
            Source::Keys { .. } => Ok(()),
            Source::Topic { topic } => check_kept(&self.engine, topic, lane, after),
        }
    }

    /// Waits until the log has moved, or the time is over; on a store that another process
    /// writes, takes in what is new.
    pub(super) async fn moved(&self, moved: &tokio::sync::Notify, most: Duration) -> Result<()> {
        let _moved_or_not = tokio::time::timeout(most, moved.notified()).await;
        if self.engine.log().is_read_only() {
            self.engine.refresh()?;
        }
        Ok(())
    }

    /// Is told whenever the log moves.
    pub(super) fn listen(&self) -> (Arc<tokio::sync::Notify>, cairndb::log::ListenerGuard) {
        let moved = Arc::new(tokio::sync::Notify::new());
        let told = moved.clone();
        // Kept for one who comes later, so that nothing between two waits is slept through.
        let guard = self.engine.log().on_advance(Box::new(move |_| told.notify_one()));
        (moved, guard)
    }
}

fn open(engine: &Engine, source: &Source, lane: u32, after: u64) -> Result<Reader> {
    let from = match source {
        Source::Keys { keyspace, range } => {
            let start = after.saturating_add(1);
            let request = WatchRequest::new(keyspace.stream(), range.clone()).from(start);
            let watcher = engine.keys().watch(request).map_err(|error| behind(error, after))?;
            From::Keys(Box::new(watcher))
        }
        Source::Topic { topic } => {
            check_kept(engine, topic, lane, after)?;
            From::Events(Box::new(engine.events(topic, lane, after)?))
        }
    };
    Ok(Reader { after, from })
}

/// Refuses to go on when events after a position are not there any more.
fn check_kept(engine: &Engine, topic: &str, lane: u32, after: u64) -> Result<()> {
    let partitions = engine.topic_stats(topic)?.partitions;
    let partition = partitions.iter().find(|it| it.partition.get() == lane);
    let oldest = partition.map_or(0, |it| it.first.unwrap_or(it.next).get());
    if oldest > after { Err(Error::TooFarBehind { after, oldest }) } else { Ok(()) }
}

fn behind(error: keys::Error, after: u64) -> Error {
    match error {
        keys::Error::Compacted { oldest, .. } => Error::TooFarBehind { after, oldest },
        error => error.into(),
    }
}

fn to_key(change: Change) -> KeyUpdate {
    let Change { deleted, kv, .. } = change;
    let value = (!deleted).then_some(kv.value);
    let (create_revision, version) =
        if deleted { (0, 0) } else { (kv.create_revision, kv.version) };
    KeyUpdate { key: kv.key, value, create_revision, version }
}

fn to_event(event: Event) -> EventUpdate {
    EventUpdate {
        id: event.id.to_string(),
        offset: event.offset.get(),
        key: event.key,
        headers: event.headers,
        data: event.data,
        timestamp: event.timestamp,
    }
}
