//! Opening a store: the log is replayed through the same rules as live writes. Also how a
//! reader beside a writing process keeps up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cairn_codec::RecordKind;
use cairn_lsm::{Opened, Position, Tree};
use cairn_segment::{Log, RecordRef};
use cairn_types::{ErrorKind, Lsn};

use crate::clean::Cleaning;
use crate::erased::Erased;
use crate::index::Index;
use crate::key_value::{LeaseId, Place, Version, place_of};
use crate::lease::Leases;
use crate::maintain::{Maintenance, fits};
use crate::notes::Notes;
use crate::recent::OpenCount;
use crate::record::{CompactionRecord, LeaseRecord};
use crate::records::LogRecords;
use crate::store::{Shared, WriteState};
use crate::turn::Turn;
use crate::{Error, Options, Result, Store, ValueSealer};

/// The revision of a store that was never written to.
const FIRST_REVISION: u64 = 1;

impl Store {
    /// Opens the keys of a log.
    ///
    /// # Errors
    /// [`Error::Damaged`] for records that are no valid changes; the log's.
    pub fn open(log: Log) -> Result<Self> {
        Self::open_with(log, Options::default())
    }

    /// Opens the keys of a log with settings.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(log: Log, options: Options) -> Result<Self> {
        Self::open_erasing(log, options, Arc::default(), None)
    }

    /// Opens the keys of a log of which some records are erased, as somebody else read from it,
    /// and the values of some keyspaces sealed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_erasing(
        log: Log,
        options: Options,
        erased: Arc<Erased>,
        sealer: Option<Arc<dyn ValueSealer>>,
    ) -> Result<Self> {
        let (mut tree, opened) = open_tables(&log, &options)?;
        tree.remember_places(Arc::new(LogRecords(log.clone())));
        tree.redact_by(erased.clone());
        let notes = match opened.position.lsn {
            0 => Notes { current: FIRST_REVISION, ..Notes::default() },
            _ => Notes::decode(&opened.notes).ok_or(Error::Damaged {
                lsn: Lsn::new(opened.position.lsn),
                cause: "the notes of its tables cannot be decoded",
            })?,
        };
        let applied = Lsn::new(opened.position.lsn).max(log.start_lsn());
        let state = WriteState {
            current: notes.current,
            applied,
            flushed: applied,
            last_change: notes.last_change,
            ..WriteState::default()
        };
        let shared = Shared {
            index: Index::new(tree, opened.sequence, notes.anchors),
            options,
            erased,
            sealer,
            write: Mutex::new(state),
            leases: Mutex::new(notes.leases),
            maintenance: Maintenance::default(),
            cleaning: Cleaning::new(log.clock().clone(), options.background_rate),
            open: OpenCount::default(),
            turn: Turn::default(),
            published: AtomicU64::new(notes.current),
            oldest: AtomicU64::new(notes.oldest),
            forgotten: AtomicU64::new(0),
            log,
        };
        let mut store = Self { keeper: None, shared: Arc::new(shared) };
        store.replay()?;
        let clock = store.log().clock().clone();
        store.leases().arm(options.lease_restart, clock.now(), clock.monotonic());
        let oldest = store.compact_revision();
        if oldest > 0 {
            store.drop_versions(oldest);
        }
        if !store.log().is_read_only() && store.log().config().background {
            // Without a thread the writer does the work.
            let _started = store.start_maintenance();
        }
        Ok(store)
    }

    /// On a log that is open for reading only: takes in what another process has written
    /// since, and says whether there was anything.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn refresh(&self) -> Result<bool> {
        let moved = self.shared.log.refresh()?;
        if moved {
            self.catch_up()?;
        }
        Ok(moved)
    }

    /// Takes in what became visible in the log of a reader since, without looking for more.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn catch_up(&self) -> Result<()> {
        self.replay()
    }

    /// Applies all visible records that are not applied yet. What comes together on the way is
    /// flushed: memory holds its budget however long the log is.
    fn replay(&self) -> Result<()> {
        let tree = &self.shared.index.tree;
        while self.replay_some(REPLAY_PIECE)? {
            tree.trim(REPLAY_PIECE);
            if tree.needs_flush() && !self.shared.log.is_read_only() {
                self.flush()?;
                while tree.work(REPLAY_PIECE)? {}
            }
        }
        let current = self.write_state().current;
        self.heed_cleaning(current)?;
        self.shared.published.fetch_max(current, Ordering::AcqRel);
        Ok(())
    }

    /// Takes over what cleaned segments say cannot be read any more: a copy of the log may have
    /// been cut before the compaction that says so.
    fn heed_cleaning(&self, current: u64) -> Result<()> {
        let log = &self.shared.log;
        let cleaned = log.cleaned_to();
        if cleaned > current && !log.is_read_only() {
            let cause = "the log ends before the revision up to which it was cleaned";
            return Err(Error::Damaged { lsn: log.visible_end(), cause });
        }
        self.shared.oldest.fetch_max(cleaned.min(current), Ordering::AcqRel);
        Ok(())
    }

    /// Applies about so many records, ending between two revisions; says whether there is more.
    fn replay_some(&self, most: usize) -> Result<bool> {
        let mut state = self.write_state();
        let _writing = self.shared.index.tree.begin_write();
        let mut leases = self.leases();
        let mut replay = Replay {
            index: &self.shared.index,
            erased: &self.shared.erased,
            leases: &mut leases,
            current: state.current,
            oldest: self.compact_revision(),
            last_change: state.last_change,
            now: self.shared.log.clock().monotonic(),
        };
        let mut position = state.applied;
        let mut count = 0;
        let mut more = false;
        'log: while let Some((from, to)) = self.shared.log.next_keys(position)? {
            let mut scan = self.shared.log.scan(from);
            while scan.position() < to {
                let Some(record) = scan.next_record()? else { break };
                if count >= most && replay.begins_revision(&record) {
                    position = record.lsn;
                    more = true;
                    break 'log;
                }
                replay.apply(&record)?;
                count += 1;
            }
            position = to;
        }
        let (current, oldest, last_change) = (replay.current, replay.oldest, replay.last_change);
        state.current = current;
        state.applied = position;
        state.last_change = last_change;
        // What was replayed is not in the list of recent changes.
        state.recent.start_after(current);
        self.shared.oldest.fetch_max(oldest, Ordering::AcqRel);
        Ok(more)
    }
}

/// Records replayed between two looks at the budget of memory.
const REPLAY_PIECE: usize = 20_000;

/// The directory of the tables within the store's.
const TABLES: &str = "tables";

/// Opens the tables that belong to a log; those that do not, or are damaged while the log is
/// there whole, are built again.
fn open_tables(log: &Log, options: &Options) -> Result<(Tree<Version>, Opened)> {
    let (vfs, rng, store) = (log.sealed_vfs(), &**log.rng(), log.store_id());
    let fits = |position: &Position| Ok(fits(log, position));
    if log.is_read_only() {
        return Ok(Tree::open_read_only(vfs, TABLES, options.tree, rng, store, fits)?);
    }
    match Tree::open(vfs.clone(), TABLES, options.tree, rng, store, fits) {
        Err(error) if error.kind() == ErrorKind::Corrupt && log.start_lsn() == Lsn::new(0) => {
            Tree::<Version>::discard(&*vfs, TABLES)?;
            Ok(Tree::open(vfs, TABLES, options.tree, rng, store, fits)?)
        }
        outcome => Ok(outcome?),
    }
}

/// The state that records are applied to. Reads no clock: `now` is only what leases are armed
/// with afterwards.
struct Replay<'a> {
    index: &'a Index,
    erased: &'a Erased,
    leases: &'a mut Leases,
    current: u64,
    oldest: u64,
    last_change: Option<Lsn>,
    now: std::time::Duration,
}

impl Replay<'_> {
    /// Whether a record is the first change of a revision.
    fn begins_revision(&self, record: &RecordRef<'_>) -> bool {
        let is_change = matches!(record.view.kind, RecordKind::PUT | RecordKind::DELETE);
        is_change && record.view.sequence > self.current
    }

    fn apply(&mut self, record: &RecordRef<'_>) -> Result<()> {
        let damaged = |cause| Error::Damaged { lsn: record.lsn, cause };
        let payload = || record.payload().unwrap_or_default();
        match record.view.kind {
            RecordKind::PUT => {
                let facts = record.view.facts.ok_or(damaged("a put without facts"))?;
                if facts.version == 0 {
                    return Err(damaged("a put of version 0"));
                }
                let is_erased = self.erased.by(record.lsn).is_some();
                let place = match record.payload().filter(|_| !is_erased) {
                    Some(value) => place_of(value),
                    None => Place::Erased,
                };
                self.change(record, |main, lsn| Version {
                    main,
                    create: facts.create_revision,
                    version: facts.version,
                    lease: LeaseId::new(facts.lease.cast_signed()),
                    lsn,
                    place,
                })
            }
            RecordKind::DELETE => self.change(record, Version::tombstone),
            RecordKind::LEASE_GRANT => match LeaseRecord::decode_grant(payload()) {
                Some(LeaseRecord::Granted { id, ttl, .. }) => {
                    self.leases.grant(id, ttl, record.lsn, record.commit_time(), self.now);
                    Ok(())
                }
                _ => Err(damaged("not a valid grant of a lease")),
            },
            RecordKind::LEASE_REVOKE => match LeaseRecord::decode_revoke(payload()) {
                Some(LeaseRecord::Revoked { id, .. }) => {
                    self.leases.revoke(id);
                    Ok(())
                }
                _ => Err(damaged("not a valid end of a lease")),
            },
            RecordKind::COMPACTION => {
                let compaction =
                    CompactionRecord::decode(payload()).ok_or(damaged("not a valid compaction"))?;
                self.oldest = self.oldest.max(compaction.oldest);
                self.current = self.current.max(compaction.current);
                self.last_change = Some(record.lsn);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn change(
        &mut self,
        record: &RecordRef<'_>,
        version: impl FnOnce(u64, Lsn) -> Version,
    ) -> Result<()> {
        let damaged = |cause| Error::Damaged { lsn: record.lsn, cause };
        let main = record.view.sequence;
        let key = record.view.key.ok_or(damaged("a change without a key"))?;
        if main < self.current || main <= FIRST_REVISION {
            return Err(damaged("its revision runs backwards"));
        }
        let (repeated, before) = self.index.prepare(record.view.stream, key, |newest| {
            newest.is_some_and(|newest| newest.main >= main)
        })?;
        if repeated {
            return Err(damaged("its key has a newer or equal revision already"));
        }
        let version = version(main, record.lsn);
        let (lease, key) = (version.lease, Bytes::copy_from_slice(key));
        self.index.replay(record.view.stream, &key, version, before);
        self.leases.move_key(record.view.stream, &key, before.lease, lease);
        if main > self.current {
            self.last_change = Some(record.lsn);
        }
        self.current = main;
        Ok(())
    }
}
