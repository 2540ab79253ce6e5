//! Leases: keys that go away when their holder stops renewing. Derived: the log holds every
//! grant, renewal and end, and every key's lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cairn_types::{Lsn, StreamId, Timestamp};

use crate::plan::Planner;
use crate::record::LeaseRecord;
use crate::{Error, LeaseId, Result, Store};

/// Longest time to live in seconds (etcd's).
pub(crate) const TTL_MAX: i64 = 9_000_000_000;

/// What happens to leases when a store is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaseRestart {
    /// Time went on while the store was closed, by the clock of day: right for programs that
    /// open, work and close. A clock that was set back gives a lease its full time again.
    #[default]
    Elapsed,
    /// Every lease gets its full time again, as in etcd: right for servers whose clients could
    /// not renew while it was down.
    Full,
}

/// A lease as its holder sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// The lease.
    pub id: LeaseId,
    /// Seconds granted.
    pub ttl: i64,
    /// Time left; zero when it expired and is about to be revoked.
    pub remaining: Duration,
    /// Keys attached, by keyspace.
    pub keys: Vec<(StreamId, Bytes)>,
}

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) ttl: i64,
    /// The record of the grant or the last renewal.
    pub(crate) lsn: Lsn,
    /// Time of day of the grant or the last renewal.
    pub(crate) renewed_at: Timestamp,
    /// Monotonic time.
    expires_at: Duration,
    pub(crate) keys: BTreeSet<(StreamId, Bytes)>,
}

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    pub(crate) by_id: BTreeMap<LeaseId, Lease>,
}

impl Leases {
    pub(crate) fn contains(&self, id: LeaseId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Notes a grant or renewal.
    pub(crate) fn grant(&mut self, id: LeaseId, ttl: i64, lsn: Lsn, at: Timestamp, now: Duration) {
        let expires_at = now.saturating_add(seconds(ttl));
        let lease = self.by_id.entry(id).or_insert_with(|| Lease {
            ttl,
            lsn,
            renewed_at: at,
            expires_at,
            keys: BTreeSet::new(),
        });
        lease.ttl = ttl;
        lease.lsn = lsn;
        lease.renewed_at = at;
        lease.expires_at = expires_at;
    }

    /// The first place in the log that a lease needs.
    pub(crate) fn oldest_lsn(&self) -> Option<Lsn> {
        self.by_id.values().map(|lease| lease.lsn).min()
    }

    /// Forgets a lease; its keys were deleted or will be.
    pub(crate) fn revoke(&mut self, id: LeaseId) {
        self.by_id.remove(&id);
    }

    /// Keyspaces of the keys that leases have.
    pub(crate) fn spaces(&self) -> BTreeSet<StreamId> {
        let mut spaces = BTreeSet::new();
        for lease in self.by_id.values() {
            let mut from = Some(0);
            while let Some(number) = from {
                let behind = (StreamId::new(number), Bytes::new());
                let Some((space, _)) = lease.keys.range(behind..).next() else { break };
                spaces.insert(*space);
                from = space.get().checked_add(1);
            }
        }
        spaces
    }

    /// Lets go of all keys of a keyspace.
    pub(crate) fn forget_space(&mut self, space: StreamId) {
        self.by_id.values_mut().for_each(|lease| lease.keys.retain(|(at, _)| *at != space));
    }

    /// Moves a key from one lease to another.
    pub(crate) fn move_key(&mut self, space: StreamId, key: &Bytes, from: LeaseId, to: LeaseId) {
        if from == to {
            return;
        }
        if let Some(lease) = self.by_id.get_mut(&from) {
            lease.keys.remove(&(space, key.clone()));
        }
        if let Some(lease) = self.by_id.get_mut(&to) {
            lease.keys.insert((space, Bytes::copy_from_slice(key)));
        }
    }

    /// Sets how long leases have left after the log was replayed.
    pub(crate) fn arm(&mut self, policy: LeaseRestart, today: Timestamp, now: Duration) {
        for lease in self.by_id.values_mut() {
            let full = seconds(lease.ttl);
            let left = match policy {
                LeaseRestart::Full => full,
                LeaseRestart::Elapsed => {
                    let elapsed = today.as_micros().saturating_sub(lease.renewed_at.as_micros());
                    let elapsed = u64::try_from(elapsed).unwrap_or(0);
                    full.saturating_sub(Duration::from_micros(elapsed))
                }
            };
            lease.expires_at = now.saturating_add(left);
        }
    }

    /// Keys attached to a lease, sorted.
    pub(crate) fn keys(&self, id: LeaseId) -> Option<&BTreeSet<(StreamId, Bytes)>> {
        self.by_id.get(&id).map(|lease| &lease.keys)
    }

    pub(crate) fn ttl(&self, id: LeaseId) -> Option<i64> {
        self.by_id.get(&id).map(|lease| lease.ttl)
    }

    /// Whether its time is over.
    pub(crate) fn is_expired(&self, id: LeaseId, now: Duration) -> bool {
        self.by_id.get(&id).is_some_and(|lease| lease.expires_at <= now)
    }

    pub(crate) fn expired(&self, now: Duration) -> Vec<LeaseId> {
        let due = self.by_id.iter().filter(|(_, lease)| lease.expires_at <= now);
        due.map(|(id, _)| *id).collect()
    }

    /// When the next lease expires.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.by_id.values().map(|lease| lease.expires_at).min()
    }

    pub(crate) fn info(&self, id: LeaseId, now: Duration) -> Option<LeaseInfo> {
        let lease = self.by_id.get(&id)?;
        Some(LeaseInfo {
            id,
            ttl: lease.ttl,
            remaining: lease.expires_at.saturating_sub(now),
            keys: lease.keys.iter().cloned().collect(),
        })
    }

    pub(crate) fn ids(&self) -> Vec<LeaseId> {
        self.by_id.keys().copied().collect()
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

/// Checks a time to live and raises it to the least allowed.
pub(crate) fn clamp_ttl(ttl: i64, least: i64) -> Result<i64> {
    if ttl > TTL_MAX {
        return Err(Error::LeaseTtlTooLarge { ttl, limit: TTL_MAX });
    }
    Ok(ttl.max(least).max(1))
}

impl Planner<'_> {
    /// Grants a lease of `ttl` seconds, raised to `least` seconds; the seconds granted. Keys can
    /// be attached from the next transaction on.
    ///
    /// # Errors
    /// [`Error::LeaseExists`], [`Error::LeaseTtlTooLarge`].
    pub fn lease_grant(&mut self, id: LeaseId, ttl: i64, least: i64) -> Result<i64> {
        let ttl = clamp_ttl(ttl, least)?;
        if self.leases.contains(id) {
            return Err(Error::LeaseExists { id });
        }
        self.lease_records.push(LeaseRecord::Granted { id, ttl, renewed: false });
        Ok(ttl)
    }

    /// Whether just these keys, in order, are attached to a lease; true of one that is not there.
    fn is_attached(&self, id: LeaseId, keys: &[(StreamId, Bytes)]) -> bool {
        self.leases.keys(id).is_none_or(|attached| attached.iter().eq(keys))
    }

    /// Gives a lease its full time again, whether it was over or not; the seconds it has now.
    /// What looks at the clock is [`Store::lease_keep_alive`].
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`].
    pub fn lease_renew(&mut self, id: LeaseId) -> Result<i64> {
        let ttl = self.leases.ttl(id).ok_or(Error::LeaseNotFound { id })?;
        self.lease_records.push(LeaseRecord::Granted { id, ttl, renewed: true });
        Ok(ttl)
    }

    /// Ends a lease and deletes its keys, sorted, in one revision; how many. `expired` says in the
    /// log why it ended. Keys that this transaction attaches are not among them.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`]; [`Error::DuplicateKey`] for a key that this transaction put.
    pub fn lease_revoke(&mut self, id: LeaseId, expired: bool) -> Result<u64> {
        let keys = self.leases.keys(id).ok_or(Error::LeaseNotFound { id })?;
        let mut deleted = 0;
        for (space, key) in keys {
            let own = self.overlay.get(self.index.hash(*space, key), *space, key);
            if own.is_some_and(|change| change.version != 0) {
                return Err(Error::DuplicateKey { key: key.clone() });
            }
            if self.view().has(*space, key)? {
                self.tombstone(*space, key.clone())?;
                deleted += 1;
            }
        }
        self.lease_records.push(LeaseRecord::Revoked { id, expired });
        Ok(deleted)
    }
}

impl Store {
    /// Grants a lease for `ttl` seconds (raised to the least allowed); without a number a
    /// random one is taken.
    ///
    /// # Errors
    /// [`Error::LeaseExists`], [`Error::LeaseTtlTooLarge`]; the log's.
    pub fn lease_grant(&self, id: Option<LeaseId>, ttl: i64) -> Result<LeaseInfo> {
        let id = id.filter(|id| !id.is_none());
        let id = id.unwrap_or_else(|| LeaseId::random(&**self.log().rng()));
        let least = self.shared.options.lease_ttl_min;
        let ttl = self.write(|planner| planner.lease_grant(id, ttl, least))?;
        Ok(LeaseInfo { id, ttl, remaining: seconds(ttl), keys: Vec::new() })
    }

    /// Gives a lease its full time again; the seconds it has now. Each renewal is a record of
    /// the log, so that it holds across restarts.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`], also when it expired and its keys are about to go; the log's.
    pub fn lease_keep_alive(&self, id: LeaseId) -> Result<i64> {
        let now = self.log().clock().monotonic();
        self.write(|planner| {
            if planner.leases.is_expired(id, now) {
                return Err(Error::LeaseNotFound { id });
            }
            planner.lease_renew(id)
        })
    }

    /// Ends a lease and deletes its keys in one revision; how many.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`]; the log's.
    pub fn lease_revoke(&self, id: LeaseId) -> Result<u64> {
        self.write(|planner| planner.lease_revoke(id, false))
    }

    /// As [`lease_keep_alive`](Self::lease_keep_alive), if these are the keys attached to it, in
    /// order; `None` when by now they are others.
    ///
    /// # Errors
    /// As [`lease_keep_alive`](Self::lease_keep_alive).
    pub fn lease_keep_alive_of(
        &self,
        id: LeaseId,
        keys: &[(StreamId, Bytes)],
    ) -> Result<Option<i64>> {
        let now = self.log().clock().monotonic();
        self.write(|planner| {
            if planner.leases.is_expired(id, now) {
                return Err(Error::LeaseNotFound { id });
            }
            if !planner.is_attached(id, keys) {
                return Ok(None);
            }
            planner.lease_renew(id).map(Some)
        })
    }

    /// As [`lease_revoke`](Self::lease_revoke), if these are the keys attached to it, in order;
    /// `None` when by now they are others.
    ///
    /// # Errors
    /// As [`lease_revoke`](Self::lease_revoke).
    pub fn lease_revoke_of(&self, id: LeaseId, keys: &[(StreamId, Bytes)]) -> Result<Option<u64>> {
        self.write(|planner| {
            if !planner.is_attached(id, keys) {
                return Ok(None);
            }
            planner.lease_revoke(id, false).map(Some)
        })
    }

    /// Ends every lease whose time is over, each in a revision of its own; how many. Owners
    /// call this by the clock, see [`next_expiry`](Self::next_expiry).
    ///
    /// # Errors
    /// The log's; leases ended before stay ended.
    pub fn expire_leases(&self) -> Result<usize> {
        let now = self.log().clock().monotonic();
        let due = self.leases().expired(now);
        let mut ended = 0;
        for id in due {
            let over = self.write(|planner| {
                // It may have been renewed or revoked meanwhile.
                if planner.leases.is_expired(id, now) {
                    planner.lease_revoke(id, true).map(|_| true)
                } else {
                    Ok(false)
                }
            })?;
            ended += usize::from(over);
        }
        Ok(ended)
    }

    /// Leases whose time is over by the clock and that nobody has ended yet.
    #[must_use]
    pub fn expired_leases(&self) -> Vec<LeaseId> {
        let now = self.log().clock().monotonic();
        self.leases().expired(now)
    }

    /// Monotonic time at which the next lease expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        self.leases().next_expiry()
    }
}
