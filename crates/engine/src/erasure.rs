//! Erasure: the payload of a record goes, the record stays. Leaf, chain, tree, every proof and
//! every checkpoint made before still hold.
//!
//! ```text
//! erase ─▶ find the records ─▶ log who asked and why (kind 10), synced ─▶ nobody reads them
//!                                   │
//!                                   ▼ carried out now, or by the next opening
//!              values out of memory ─▶ tables written again ─▶ segments written again
//! ```
//!
//! Truth is the record of kind 10: from it on the payloads are gone for every reader, also after
//! a crash, whether their bytes are still there or not. Which records are erased is **derived**
//! from these records, so a store that is rebuilt from its log hides the same ones. That record
//! goes with retention only after those it names, which come before it.
//!
//! ```
//! use cairn_engine::{Engine, EraseTarget, Error, NewEvent, TopicConfig};
//! let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("data"))?;
//! engine.create_topic("letters", TopicConfig::default())?;
//! let letter = engine.append("letters", NewEvent::text("dear"))?;
//! let target = EraseTarget::Event { topic: "letters", partition: 0, offset: 0 };
//! let done = engine.erase(&target, "request 12 of the writer")?;
//! assert_eq!(done.records, [letter.lsn]);
//! let read = engine.event("letters", 0, 0);
//! assert!(matches!(read, Err(Error::Erased { by, .. }) if by == Some(done.by)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod carry_out;
mod heads;
mod progress;
mod record;
mod report;

use std::sync::PoisonError;

use cairn_codec::Content;
use cairn_segment::{Cleaned, RecordKind, RecordRef};
use cairn_types::{Lsn, Partition, StreamId};

pub use record::{ErasedPlace, ErasureKind, ErasureRecord, REASON_LEN_MAX};
pub use report::{Authorised, ErasedRecords, ErasureReport};

pub(crate) use heads::EventHeads;
pub(crate) use progress::Progress;

use crate::{Engine, Error, Result};

/// Records that one erasure may name.
const RECORDS_MAX: usize = 1_000_000;

/// What is to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EraseTarget<'a> {
    /// The record at this place: an event, a put, a block of the graph, or a record of a kind of
    /// the user's own.
    Record(Lsn),
    /// An event.
    Event {
        /// Its topic.
        topic: &'a str,
        /// Its partition.
        partition: u32,
        /// Its offset.
        offset: u64,
    },
    /// Versions of a key. The key itself stays, and so do its revisions.
    Key {
        /// Its keyspace.
        keyspace: &'a str,
        /// The key.
        key: &'a [u8],
        /// Which versions.
        versions: Versions,
    },
}

/// Versions of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// The one that was current at this revision; 0 for the newest.
    At(u64),
    /// All up to this revision, also those that were compacted and lie in the log still.
    UpTo(u64),
    /// All, also those that were compacted and lie in the log still.
    All,
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The record that authorises it.
    pub by: Lsn,
    /// The records whose payload is gone, rising.
    pub records: Vec<Lsn>,
    /// What was done to segments of the log.
    pub cleaned: Cleaned,
    /// Tables of keys that were written again.
    pub table_count: usize,
}

/// A record that may be erased.
struct Found {
    place: ErasedPlace,
    is_gone: bool,
}

impl Engine {
    /// Erases payloads for ever: no file of the store holds them when this returns, and every
    /// proof and checkpoint still holds. The reason goes into the log: say who asked and why, and
    /// nothing of what goes.
    ///
    /// What was shown, copied or backed up before is out of reach, and so is a linked checkpoint
    /// beside the store. The statement stays: kind, time, key, length and SHA-256 of the payload.
    /// Of a payload that can be guessed the hash tells whether a guess is right.
    ///
    /// Costs a reading and writing of the segments and tables concerned; versions of a key are
    /// looked for in the whole log, and where keyspaces were cleaned all tables are merged. If it
    /// fails after the reason was logged, nobody reads the payloads, and
    /// [`finish_erasures`](Self::finish_erasures), [`maintain`](Self::maintain) and the next
    /// opening go on.
    ///
    /// # Errors
    /// [`Error::Erased`] when that was done before; [`Error::NothingToErase`];
    /// [`Error::NotErasable`] for records that the store itself needs; [`Error::TooLarge`] for
    /// the reason; those of looking the target up; the log's.
    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_erase", skip_all, err))]
    pub fn erase(&self, target: &EraseTarget<'_>, reason: &str) -> Result<Erasure> {
        let (found, limit) = (reason.len() as u64, REASON_LEN_MAX as u64);
        if found > limit {
            return Err(Error::TooLarge { what: "reason", found, limit });
        }
        let mut progress = self.progress();
        let found = self.find(target)?;
        self.merge_away_cleaned(target)?;
        let gone = found.first().map(|found| found.place.lsn);
        let records: Vec<ErasedPlace> =
            found.into_iter().filter(|found| !found.is_gone).map(|found| found.place).collect();
        if records.is_empty() {
            return Err(gone.map_or(Error::NothingToErase, |lsn| self.erased_at(lsn)));
        }
        let (count, limit) = (records.len() as u64, RECORDS_MAX as u64);
        if records.len() > RECORDS_MAX {
            return Err(Error::TooLarge { what: "number of records", found: count, limit });
        }
        let kind = match target {
            EraseTarget::Record(_) => ErasureKind::Record,
            EraseTarget::Event { .. } => ErasureKind::Event,
            EraseTarget::Key { .. } => ErasureKind::Key,
        };
        let record = ErasureRecord { kind, reason: reason.to_owned(), records };
        if let Some(last) = record.records.last() {
            self.end_segment_of(last.lsn)?;
        }
        let by = {
            let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
            self.append_system(&mut view, RecordKind::ERASURE, &record.encode(), None)?
        };
        let (cleaned, table_count) = self.finish(&mut progress)?;
        let records = record.records.iter().map(|place| place.lsn).collect();
        Ok(Erasure { by, records, cleaned, table_count })
    }

    /// Versions that were cleaned out of the log cannot be named any more, but tables may have
    /// their values until a merge meets them: it does so now.
    fn merge_away_cleaned(&self, target: &EraseTarget<'_>) -> Result<()> {
        let (log, only_newest) = (self.log(), Versions::At(0));
        match *target {
            EraseTarget::Key { versions, .. }
                if versions != only_newest && log.cleaned_to() > 0 && !log.is_read_only() =>
            {
                Ok(self.keys().merge_tables()?)
            }
            _ => Ok(()),
        }
    }

    /// The records whose payload an erasure would take, rising; nothing is changed.
    ///
    /// # Errors
    /// [`Error::NotErasable`]; those of looking the target up; the log's.
    pub fn erasable_records(&self, target: &EraseTarget<'_>) -> Result<Vec<Lsn>> {
        let found = self.find(target)?;
        Ok(found.iter().filter(|found| !found.is_gone).map(|found| found.place.lsn).collect())
    }

    /// That a record is erased.
    pub(crate) fn erased_at(&self, lsn: Lsn) -> Error {
        Error::Erased { lsn, by: self.shared.erased.by(lsn) }
    }

    fn find(&self, target: &EraseTarget<'_>) -> Result<Vec<Found>> {
        match *target {
            EraseTarget::Record(lsn) => {
                let mut scan = self.log().scan(lsn);
                match scan.next_record()?.filter(|record| record.lsn == lsn) {
                    Some(record) => self.erasable(&record).map(|found| vec![found]),
                    None => Err(Error::NothingToErase),
                }
            }
            EraseTarget::Event { topic, partition, offset } => {
                let stream = self.entry(topic)?.stream(Partition::new(partition))?;
                let mut scan = self.log().scan_stream(stream, offset);
                match scan.next_record()?.filter(|record| record.view.sequence == offset) {
                    Some(record) => self.erasable(&record).map(|found| vec![found]),
                    None => Err(no_such(stream, offset)),
                }
            }
            EraseTarget::Key { keyspace, key, versions } => {
                let stream = self.keyspace(keyspace)?.stream();
                self.find_versions(stream, key, versions)
            }
        }
    }

    /// Looks through all changes of keys in the log.
    fn find_versions(
        &self,
        stream: StreamId,
        key: &[u8],
        versions: Versions,
    ) -> Result<Vec<Found>> {
        let until = match versions {
            Versions::At(0) | Versions::All => u64::MAX,
            Versions::At(revision) | Versions::UpTo(revision) => revision,
        };
        let only_last = matches!(versions, Versions::At(_));
        let log = self.log();
        let (mut found, mut position) = (Vec::new(), log.start_lsn());
        while let Some((from, to)) = log.next_keys(position)? {
            let mut scan = log.scan(from);
            while scan.position() < to {
                let Some(record) = scan.next_record()? else { break };
                let view = &record.view;
                let is_of_key = view.stream == stream && view.key == Some(key);
                if !is_of_key || view.sequence > until {
                    continue;
                }
                if only_last {
                    found.clear();
                }
                if view.kind == RecordKind::PUT {
                    found.push(self.erasable(&record)?);
                }
            }
            position = to;
        }
        Ok(found)
    }

    /// A record that may be erased: nothing is read from it that the store needs.
    fn erasable(&self, record: &RecordRef<'_>) -> Result<Found> {
        let (lsn, kind) = (record.lsn, record.view.kind);
        let is_data = matches!(kind, RecordKind::EVENT | RecordKind::PUT | RecordKind::DAG_BLOCK)
            || kind >= RecordKind::USER;
        if !is_data || record.view.stream == crate::auth::STREAM {
            return Err(Error::NotErasable { lsn, kind });
        }
        let is_there = matches!(record.view.content, Content::Payload(_));
        let payload = record.payload().filter(|_| kind == RecordKind::EVENT).unwrap_or_default();
        let place = ErasedPlace { lsn, head: crate::envelope::head_of(payload).to_vec() };
        Ok(Found { place, is_gone: !is_there || self.shared.erased.by(lsn).is_some() })
    }
}

pub(crate) fn no_such(stream: StreamId, sequence: u64) -> Error {
    cairn_segment::Error::NoSuchSequence { stream, sequence }.into()
}
