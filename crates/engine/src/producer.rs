//! Producers that repeat their appends safely. Each has a number, an epoch that grows with
//! every registration and fences older holders of the name, and a sequence in every partition.
//! Producers are records of the system stream; sequences stand in the events themselves, so
//! what a repeat is is known from the log. The windows here are derived.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use cairn_segment::{Draft, Log, RecordDraft, RecordKind};
use cairn_types::{Lsn, Offset, Partition, ProducerId, ProducerName, StreamId};

use crate::append::validate;
use crate::dedup::WINDOW;
use crate::engine::{Mark, push_mark};
use crate::envelope::{self, Stamp};
use crate::erasure::EventHeads;
use crate::metadata::ProducerRegistered;
use crate::{Appended, Engine, Error, NewEvent, Result};

/// Appends of a producer that are remembered in each partition.
const REMEMBERED: usize = 1024;

/// Where a producer stands in one partition.
#[derive(Debug)]
struct Standing {
    epoch: u32,
    last: u64,
    recent: VecDeque<(u64, Offset, Lsn)>,
}

/// Standings of all producers in one partition.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    by_producer: HashMap<ProducerId, Standing>,
}

impl Standings {
    /// Reads the newest events of a partition.
    fn load(log: &Log, heads: &EventHeads, stream: StreamId) -> Result<Self> {
        let mut standings = Self::default();
        let next = log.next_sequence(stream);
        let mut scan = log.scan_stream(stream, next.saturating_sub(WINDOW as u64));
        while let Some(record) = scan.next_record()? {
            if let Some(stamp) = heads.read(&record, envelope::stamp_of) {
                standings.note(stamp, Offset::new(record.view.sequence), record.lsn);
            }
        }
        Ok(standings)
    }

    fn note(&mut self, stamp: Stamp, offset: Offset, lsn: Lsn) {
        let fresh =
            || Standing { epoch: stamp.epoch, last: stamp.sequence, recent: VecDeque::new() };
        let standing = self.by_producer.entry(stamp.producer).or_insert_with(fresh);
        if standing.epoch != stamp.epoch {
            *standing = fresh();
        }
        standing.last = stamp.sequence;
        standing.recent.push_back((stamp.sequence, offset, lsn));
        if standing.recent.len() > REMEMBERED {
            standing.recent.pop_front();
        }
    }

    /// Whether the stamp comes next; a place when it repeats an append.
    /// Appends before `oldest` are forgotten, whether they still happen to be here or not: what
    /// is a repeat must not depend on when the store was opened.
    fn check(&self, stamp: Stamp, oldest: Offset) -> Result<Option<(Offset, Lsn)>> {
        let known = self.by_producer.get(&stamp.producer);
        // Of a producer that was not heard of within the window any sequence may come.
        let heard_of = |standing: &&Standing| {
            let newest = standing.recent.back().map(|(_, offset, _)| *offset);
            standing.epoch == stamp.epoch && newest.is_some_and(|newest| newest >= oldest)
        };
        let Some(standing) = known.filter(heard_of) else {
            return Ok(None);
        };
        let expected = standing.last.saturating_add(1);
        if stamp.sequence == expected && stamp.sequence > standing.last {
            return Ok(None);
        }
        let repeated = standing
            .recent
            .iter()
            .find(|(sequence, offset, _)| *sequence == stamp.sequence && *offset >= oldest);
        match repeated {
            Some((_, offset, lsn)) => Ok(Some((*offset, *lsn))),
            None => Err(Error::OutOfSequence { expected, actual: stamp.sequence }),
        }
    }
}

/// A registered producer. Appending an event again after a failure, in the same order, stores
/// it once.
#[derive(Debug)]
pub struct Producer {
    engine: Engine,
    name: ProducerName,
    id: ProducerId,
    epoch: u32,
    /// Next sequence in each partition.
    next: Mutex<HashMap<StreamId, u64>>,
}

impl Engine {
    /// Registers a producer under a name. Whoever held the name before is fenced: its appends
    /// are refused from now on.
    ///
    /// # Errors
    /// [`Error::InvalidName`]; the log's.
    pub fn register_producer(&self, name: &str) -> Result<Producer> {
        let name = ProducerName::new(name)?;
        let (id, epoch) = self.register_marked(name.clone(), None)?;
        let next = Mutex::new(HashMap::new());
        Ok(Producer { engine: self.clone(), name, id, epoch, next })
    }

    pub(crate) fn register_marked(
        &self,
        name: ProducerName,
        mark: Mark,
    ) -> Result<(ProducerId, u32)> {
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let (id, epoch) = match view.producers.get(&name) {
            Some((id, epoch)) => (*id, epoch.saturating_add(1)),
            None => (view.next_producer, 0),
        };
        let registered = ProducerRegistered { id, epoch, name };
        self.append_system(&mut view, RecordKind::PRODUCER, &registered.encode(), mark)?;
        Ok((id, epoch))
    }
}

impl Producer {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &ProducerName {
        &self.name
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> ProducerId {
        self.id
    }

    /// Which registration of the name this is, from 0.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Appends an event under the next sequence of its partition. After an error the same event
    /// can be appended again: if it was stored after all, its first place comes back, marked
    /// as a duplicate.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the name was registered again; as [`Engine::append`].
    pub fn append(&self, topic: &str, event: NewEvent) -> Result<Appended> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.engine.entry(topic)?;
        let count = u64::from(entry.meta.config.partitions);
        // In turn, but the same partition again when the append is repeated.
        let turn = next.values().sum::<u64>() % count;
        let partition = match (&event.partition, &event.key) {
            (None, None) => Partition::new(u32::try_from(turn).expect("below the partitions")),
            _ => entry.choose(&event),
        };
        let stream = entry.stream(partition)?;
        let sequence = next.get(&stream).copied().unwrap_or(0);
        let event = NewEvent { partition: Some(partition), ..event };
        let appended = self.append_at(topic, event, sequence)?;
        next.insert(stream, sequence + 1);
        Ok(appended)
    }

    /// Appends an event under a sequence that the caller keeps, for producers that live
    /// elsewhere. Sequences count from 0 in each partition.
    ///
    /// # Errors
    /// [`Error::OutOfSequence`] for a gap, or a repeat of something long ago;
    /// [`Error::Fenced`]; as [`Engine::append`].
    pub fn append_at(&self, topic: &str, event: NewEvent, sequence: u64) -> Result<Appended> {
        let stamp = Stamp { producer: self.id, epoch: self.epoch, sequence };
        self.engine.append_stamped(topic, &event, stamp, None)
    }
}

impl Engine {
    pub(crate) fn append_stamped(
        &self,
        topic: &str,
        event: &NewEvent,
        stamp: Stamp,
        mark: Mark,
    ) -> Result<Appended> {
        let entry = self.entry(topic)?;
        validate(std::slice::from_ref(event))?;
        let partition = entry.choose(event);
        let stream = entry.stream(partition)?;
        let id = event.id.unwrap_or_else(|| self.fresh_id());
        let mut payload = Vec::new();
        envelope::encode_stamped(id, Some(stamp), &event.headers, &event.data, &mut payload)?;
        self.shared.subjects.seal_event(stream, event.key.as_deref(), &mut payload)?;
        let mut draft = Draft::new();
        let record = RecordDraft {
            key: event.key.as_deref(),
            timestamp: event.timestamp,
            ..RecordDraft::new(RecordKind::EVENT, stream)
        };
        draft.push(record, &payload)?;
        push_mark(&mut draft, mark)?;
        self.compress(&entry, &mut draft)?;
        let mut standings = self.shared.standings.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that a registration is either seen or comes after the append.
        self.check_epoch(stamp)?;
        let standing = match standings.entry(stream) {
            Entry::Occupied(standing) => standing.into_mut(),
            Entry::Vacant(vacant) => {
                vacant.insert(Standings::load(&self.shared.log, &self.shared.heads, stream)?)
            }
        };
        let topic = entry.meta.name.clone();
        let oldest = self.oldest_remembered(stream);
        if let Some((offset, lsn)) = standing.check(stamp, oldest)? {
            drop(standings);
            // A repeat must not be acknowledged before what it repeats.
            if lsn >= self.shared.log.visible_end() {
                self.shared.log.sync()?;
            }
            self.shared.figures.events_repeated.increment(1);
            return Ok(Appended { topic, partition, offset, lsn, id, duplicate: true });
        }
        let ticket = self.shared.log.submit(&draft, &[])?;
        let sequence = ticket.appended.sequences.get(0).expect("one record, one sequence");
        let (offset, lsn) = (Offset::new(sequence), ticket.appended.first_lsn);
        standing.note(stamp, offset, lsn);
        drop(standings);
        self.shared.log.wait(&ticket)?;
        self.shared.figures.events_appended.increment(1);
        Ok(Appended { topic, partition, offset, lsn, id, duplicate: false })
    }

    fn check_epoch(&self, stamp: Stamp) -> Result<()> {
        let view = self.view();
        let current = view.producers.values().find(|(id, _)| *id == stamp.producer);
        match current {
            Some((_, epoch)) if *epoch > stamp.epoch => {
                Err(Error::Fenced { epoch: stamp.epoch, current: *epoch })
            }
            _ => Ok(()),
        }
    }
}
