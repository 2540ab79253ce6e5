//! Opening a store: the log is replayed through the same rules as live writes. Also how a
//! reader beside a writing process keeps up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use cairn_codec::RecordKind;
use cairn_segment::{Log, RecordRef};
use cairn_types::Lsn;

use crate::index::Index;
use crate::key_value::{LeaseId, Version, place_of};
use crate::lease::Leases;
use crate::record::{CompactionRecord, LeaseRecord};
use crate::store::{Shared, WriteState};
use crate::turn::Turn;
use crate::{Error, Options, Result, Store};

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
        let start = log.start_lsn();
        let mut seed = [0; 8];
        log.rng().fill(&mut seed);
        let state = WriteState { current: FIRST_REVISION, applied: start, ..Default::default() };
        let store = Self {
            shared: Arc::new(Shared {
                log,
                options,
                write: Mutex::new(state),
                index: RwLock::new(Index::new(u64::from_le_bytes(seed))),
                leases: Mutex::new(Leases::default()),
                turn: Turn::default(),
                published: AtomicU64::new(FIRST_REVISION),
                oldest: AtomicU64::new(0),
            }),
        };
        store.replay()?;
        let clock = store.log().clock().clone();
        store.leases().arm(options.lease_restart, clock.now(), clock.monotonic());
        let oldest = store.compact_revision();
        if oldest > 0 {
            store.drop_versions(oldest);
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

    /// Applies all visible records that are not applied yet.
    fn replay(&self) -> Result<()> {
        let mut state = self.write_state();
        let mut index = self.shared.index.write().unwrap_or_else(PoisonError::into_inner);
        let mut leases = self.leases();
        let mut replay = Replay {
            index: &mut index,
            leases: &mut leases,
            current: state.current,
            oldest: self.compact_revision(),
            last_change: state.last_change,
            now: self.shared.log.clock().monotonic(),
        };
        let mut position = state.applied;
        while let Some((from, to)) = self.shared.log.next_keys(position)? {
            let mut scan = self.shared.log.scan(from);
            while scan.position() < to {
                let Some(record) = scan.next_record()? else { break };
                replay.apply(&record)?;
            }
            position = to;
        }
        let (current, oldest) = (replay.current, replay.oldest);
        let last_change = replay.last_change;
        state.current = current;
        state.applied = position;
        state.last_change = last_change;
        // What was replayed is not in the list of recent changes.
        state.recent.clear();
        state.recent_after = current;
        self.shared.oldest.fetch_max(oldest, Ordering::AcqRel);
        drop((index, leases, state));
        self.shared.published.fetch_max(current, Ordering::AcqRel);
        Ok(())
    }
}

/// The state that records are applied to. Reads no clock: `now` is only what leases are armed
/// with afterwards.
struct Replay<'a> {
    index: &'a mut Index,
    leases: &'a mut Leases,
    current: u64,
    oldest: u64,
    last_change: Option<Lsn>,
    now: std::time::Duration,
}

impl Replay<'_> {
    fn apply(&mut self, record: &RecordRef<'_>) -> Result<()> {
        let damaged = |cause| Error::Damaged { lsn: record.lsn, cause };
        let payload = || record.payload().unwrap_or_default();
        match record.view.kind {
            RecordKind::PUT => {
                let facts = record.view.facts.ok_or(damaged("a put without facts"))?;
                if facts.version == 0 {
                    return Err(damaged("a put of version 0"));
                }
                let place = match record.payload() {
                    Some(value) => place_of(value),
                    None => place_of(&[]),
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
            RecordKind::DELETE => self.change(record, |main, lsn| Version {
                main,
                create: 0,
                version: 0,
                lease: LeaseId::NONE,
                lsn,
                place: place_of(&[]),
            }),
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
        let repeated = self
            .index
            .history(record.view.stream, key)
            .is_some_and(|history| history.newest().main >= main);
        if repeated {
            return Err(damaged("its key has a newer or equal revision already"));
        }
        let version = version(main, record.lsn);
        let (lease, key) = (version.lease, Bytes::copy_from_slice(key));
        let before = self.index.insert(record.view.stream, &key, version);
        self.leases.move_key(record.view.stream, &key, before, lease);
        if main > self.current {
            self.last_change = Some(record.lsn);
        }
        self.current = main;
        Ok(())
    }
}
