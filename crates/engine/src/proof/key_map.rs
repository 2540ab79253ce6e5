//! The key map over the log: which versions every key had, under one root. **Derived**: built by
//! reading the puts and deletes of the log, or from `proofs/key-map` and the records after it.
//!
//! The file is a key map checkpoint (`cairn_merkle::map`), kept only for a head that the log
//! states in a MAP_ROOT record, and believed only when that record is met again.

use std::collections::HashMap;

use cairn_codec::{Content, hash};
use cairn_merkle::map::{HistorySource, KeyMap, MapHead, PathHash, VersionLeaf};
use cairn_segment::{Facts, Log, RecordKind, RecordRef};
use cairn_types::{Lsn, Revision};
use cairn_vfs::Vfs;

use super::files::{self, Keep};
use super::tree::end_of;
use super::{Error, Result, records};

const PATH: &str = "proofs/key-map";
/// A checkpoint of 100 million keys with short histories.
const LEN_MAX: usize = 16 << 30;
/// Versions gathered before they are taken in.
const BATCH: usize = 100_000;
/// The revision of a store without a change.
const FIRST_REVISION: u64 = 1;

/// Where the log has a version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lsn: Lsn,
    pub(super) revision: Revision,
}

/// The map, and where the versions are that it commits to.
#[derive(Debug)]
pub(super) struct KeyMapView {
    map: KeyMap,
    places: HashMap<PathHash, Vec<Place>>,
    /// Versions that are read and not taken in.
    pending: Vec<(PathHash, VersionLeaf)>,
    /// Records before this one were read.
    scanned: Lsn,
    /// The newest change met.
    newest: Revision,
    /// The newest map root in the log.
    recorded: Option<(Lsn, MapHead)>,
    /// The head of the file that the map came from, until the log is seen to state it.
    unconfirmed: Option<MapHead>,
}

impl KeyMapView {
    /// The map of all durable records.
    pub(super) fn open(log: &Log) -> Result<Self> {
        if let Some(map) = load(&*log.sealed_vfs())? {
            let mut view = Self::over(map, log.start_lsn());
            view.unconfirmed = Some(view.map.head());
            match view.catch_up(log) {
                Ok(()) if view.unconfirmed.is_none() => return Ok(view),
                Ok(()) | Err(Error::Map(_) | Error::MapRootDiffers { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if log.start_lsn() > Lsn::ZERO {
            return Err(Error::Pruned { start: log.start_lsn() });
        }
        let mut view = Self::over(KeyMap::new(), Lsn::ZERO);
        view.catch_up(log)?;
        Ok(view)
    }

    fn over(map: KeyMap, scanned: Lsn) -> Self {
        Self {
            map,
            places: HashMap::new(),
            pending: Vec::new(),
            scanned,
            newest: Revision::new(FIRST_REVISION),
            recorded: None,
            unconfirmed: None,
        }
    }

    /// Reads what became durable since.
    pub(super) fn catch_up(&mut self, log: &Log) -> Result<()> {
        let end = end_of(log);
        while let Some((from, to)) = log.next_keys(self.scanned)? {
            let to = to.min(end);
            let mut scan = log.scan(from);
            while scan.position() < to {
                let Some(record) = scan.next_record()? else { break };
                self.take(&record)?;
            }
            if self.scanned >= to {
                break;
            }
            self.scanned = to;
        }
        self.scanned = self.scanned.max(end);
        Ok(())
    }

    fn take(&mut self, record: &RecordRef<'_>) -> Result<()> {
        match record.view.kind {
            RecordKind::PUT | RecordKind::DELETE => self.take_version(record),
            RecordKind::MAP_ROOT => self.take_root(record),
            _ => Ok(()),
        }
    }

    fn take_version(&mut self, record: &RecordRef<'_>) -> Result<()> {
        let main = record.view.sequence;
        let sub = if main == self.newest.main { self.newest.sub.saturating_add(1) } else { 0 };
        if main > self.newest.main && self.pending.len() >= BATCH {
            self.take_in(self.newest.main, record.lsn)?;
        }
        self.newest = Revision { main, sub };
        let path = path_of(record);
        let place = Place { lsn: record.lsn, revision: self.newest };
        self.places.entry(path).or_default().push(place);
        if record.lsn >= self.map.head().lsn_end {
            self.pending.push((path, version_of(record, self.newest)));
        }
        Ok(())
    }

    /// A map root of the log must be what the records before its end lead to.
    fn take_root(&mut self, record: &RecordRef<'_>) -> Result<()> {
        let head = record.payload().and_then(|payload| MapHead::decode(payload).ok());
        let differs = Error::MapRootDiffers { lsn: record.lsn };
        let Some(head) = head else { return Err(differs) };
        self.recorded = Some((record.lsn, head));
        if self.unconfirmed == Some(head) {
            self.unconfirmed = None;
        }
        if head.lsn_end < self.map.head().lsn_end {
            return Ok(());
        }
        let rest = self.pending.partition_point(|(_, version)| version.lsn < head.lsn_end);
        let rest = self.pending.split_off(rest);
        self.take_in(head.revision, head.lsn_end)?;
        self.pending = rest;
        if self.map.head() == head { Ok(()) } else { Err(differs) }
    }

    fn take_in(&mut self, revision: u64, lsn_end: Lsn) -> Result<()> {
        self.map.update(&self.pending, revision, lsn_end)?;
        self.pending.clear();
        Ok(())
    }

    /// The record that states the map as it is now; written unless the newest one does.
    pub(super) fn root(&mut self, log: &Log, anew: bool) -> Result<(Lsn, MapHead)> {
        if let Some((lsn, head)) = self.recorded
            && !anew
            && self.pending.is_empty()
            && head == self.map.head()
        {
            return Ok((lsn, head));
        }
        if log.is_read_only() {
            return Err(Error::ReadOnly);
        }
        self.take_in(self.newest.main, self.scanned)?;
        let head = self.map.head();
        let lsn = records::append(log, RecordKind::MAP_ROOT, head.revision, &head.encode())?;
        self.recorded = Some((lsn, head));
        Ok((lsn, head))
    }

    /// The newest version of a key at a main revision.
    pub(super) fn version_at(&self, path: &PathHash, revision: u64) -> Option<Place> {
        let places = self.places.get(path)?;
        let until = places.partition_point(|place| place.revision.main <= revision);
        until.checked_sub(1).and_then(|last| places.get(last)).copied()
    }

    pub(super) const fn map(&self) -> &KeyMap {
        &self.map
    }

    /// The newest main revision read.
    pub(super) const fn newest_revision(&self) -> u64 {
        self.newest.main
    }

    pub(super) fn history<'a>(&'a self, log: &'a Log) -> LogHistory<'a> {
        LogHistory { log, view: self }
    }

    /// Keeps the map as a file; only for a head that the log states.
    pub(super) fn save(&self, vfs: &dyn Vfs) -> Result<()> {
        assert_eq!(
            self.recorded.map(|(_, head)| head),
            Some(self.map.head()),
            "a map that no record states would not be believed again"
        );
        let mut bytes = Vec::new();
        self.map.checkpoint(|piece| {
            bytes.extend_from_slice(piece);
            Ok::<(), Error>(())
        })?;
        files::replace(vfs, PATH, &bytes, Keep::Durably)
    }
}

fn load(vfs: &dyn Vfs) -> Result<Option<KeyMap>> {
    let bytes = files::read_derived(vfs, PATH, LEN_MAX)?;
    Ok(bytes.and_then(|bytes| KeyMap::restore(&bytes).ok()))
}

fn path_of(record: &RecordRef<'_>) -> PathHash {
    let key = record.view.key.unwrap_or_default();
    PathHash::of_key(u64::from(record.view.stream.get()), key)
}

/// What the map commits to of a record.
fn version_of(record: &RecordRef<'_>, modified: Revision) -> VersionLeaf {
    let payload_hash = match &record.view.content {
        Content::Erased(hash) => *hash,
        _ => hash::payload(record.payload().unwrap_or_default()),
    };
    let tombstone = record.view.kind == RecordKind::DELETE;
    let facts = record.view.facts.filter(|_| !tombstone);
    let Facts { create_revision: created, version, lease } = facts.unwrap_or_default();
    VersionLeaf { modified, created, version, lease, tombstone, lsn: record.lsn, payload_hash }
}

/// Gives versions back from the log.
pub(super) struct LogHistory<'a> {
    log: &'a Log,
    view: &'a KeyMapView,
}

impl HistorySource for LogHistory<'_> {
    fn version(
        &self,
        path: &PathHash,
        index: u64,
    ) -> Result<VersionLeaf, Box<dyn std::error::Error + Send + Sync>> {
        // What retention dropped is missing at the beginning.
        let places = self.view.places.get(path).map(Vec::as_slice).unwrap_or_default();
        let end = self.view.map.head().lsn_end;
        let taken = places.partition_point(|place| place.lsn < end) as u64;
        let missing = self.view.map.version_count(path).saturating_sub(taken);
        let found = index.checked_sub(missing).and_then(|at| usize::try_from(at).ok());
        let place = found.and_then(|at| places.get(at));
        let place = place.ok_or("this version's record was dropped by retention")?;
        let mut scan = self.log.scan(place.lsn);
        let record = scan.next_record()?.ok_or("the record is not there any more")?;
        if !matches!(record.view.kind, RecordKind::PUT | RecordKind::DELETE) {
            return Err("only the leaf of this version's record is left".into());
        }
        Ok(version_of(&record, place.revision))
    }
}
