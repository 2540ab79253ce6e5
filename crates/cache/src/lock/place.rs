//! A place in the queue of a name. Derived: the truth is its key in the engine.

use std::time::Duration;

use bytes::Bytes;
use cairndb::engine::Engine;
use cairndb::keys::{
    self, KeyValue, LeaseId, Order, Planner, Put, RangeRequest, WatchFilter, WatchRequest,
};
use cairndb::types::StreamId;

use super::deadline::Deadline;
use super::name::QueueName;
use super::{HeldLock, Locks, Renewer};
use crate::{Error, Fence, Result};

/// Longest nap of a waiter: leases of those before it may end by the clock alone.
const NAP_MAX: Duration = Duration::from_secs(1);

/// Ends leases whose time is over, if there are any and this process may.
pub(crate) fn end_what_is_over(engine: &Engine) -> cairndb::engine::Result<()> {
    if !engine.log().is_read_only() && !engine.keys().expired_leases().is_empty() {
        engine.maintain()?;
    }
    Ok(())
}

/// A place, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    engine: Engine,
    space: StreamId,
    name: QueueName,
    token: u64,
    lease: LeaseId,
    ttl: Duration,
    deadline: Deadline,
    /// Somebody else answers for the key now.
    given_up: bool,
}

impl Place {
    /// Takes the next place.
    pub(crate) fn enter(locks: &Locks, name: QueueName, label: Bytes) -> Result<Self> {
        let entered = Self::enter_when(locks, name, label, |_| Ok(true))?;
        Ok(entered.expect("there was no condition"))
    }

    /// Takes a place if it is the first.
    pub(crate) fn enter_if_first(
        locks: &Locks,
        name: QueueName,
        label: Bytes,
    ) -> Result<Option<Self>> {
        end_what_is_over(&locks.engine)?;
        let all = RangeRequest::new(locks.space.stream(), name.all()).limit(1);
        let request = RangeRequest { keys_only: true, without_count: true, ..all };
        // Looked at before a lease is granted, so that asking for a held lock writes nothing.
        if !locks.engine.keys().range(&request)?.kvs.is_empty() {
            return Ok(None);
        }
        Self::enter_when(locks, name, label, |planner| Ok(planner.range(&request)?.kvs.is_empty()))
    }

    fn enter_when(
        locks: &Locks,
        name: QueueName,
        label: Bytes,
        condition: impl FnOnce(&Planner<'_>) -> keys::Result<bool>,
    ) -> Result<Option<Self>> {
        let (engine, space) = (locks.engine.clone(), locks.space.stream());
        let store = engine.keys();
        let asked_at = engine.log().clock().monotonic();
        let lease = fresh_lease(&engine);
        let seconds = i64::try_from(locks.config.ttl.as_secs()).unwrap_or(i64::MAX);
        // Not waited for: the key comes after it in the log, and whoever waits for the key has
        // waited for the lease. A crash in between leaves a lease without keys, which ends.
        let granted = store.submit(&[], |planner| planner.lease_grant(lease, seconds, 1))?;
        let ttl = Duration::from_secs(u64::try_from(granted.answer).unwrap_or(0));
        let entered = store.write(|planner| {
            if !condition(planner)? {
                return Ok(None);
            }
            let token = planner.revision();
            planner.put(&Put::new(space, name.key(token), label).lease(lease))?;
            Ok(Some(token))
        })?;
        let Some(token) = entered else {
            store.lease_revoke(lease)?;
            return Ok(None);
        };
        let deadline = Deadline::new(asked_at, ttl);
        Ok(Some(Self { engine, space, name, token, lease, ttl, deadline, given_up: false }))
    }

    /// Goes on with a place of an earlier run.
    pub(crate) fn resume(
        locks: &Locks,
        name: QueueName,
        token: u64,
        lease: LeaseId,
    ) -> Result<Self> {
        end_what_is_over(&locks.engine)?;
        let engine = locks.engine.clone();
        let asked_at = engine.log().clock().monotonic();
        let space = locks.space.stream();
        let found = engine.keys().get(space, &name.key(token))?;
        let info = engine.keys().lease(lease);
        match (found, info) {
            (Some(kv), Some(info)) if kv.create_revision == token && kv.lease == lease => {
                let deadline = Deadline::new(asked_at, info.remaining);
                let ttl = Duration::from_secs(u64::try_from(info.ttl).unwrap_or(0));
                Ok(Self { engine, space, name, token, lease, ttl, deadline, given_up: false })
            }
            _ => Err(Error::LockLost { name: name.as_str().to_owned(), token }),
        }
    }

    pub(crate) fn fence(&self) -> Fence {
        Fence {
            engine: self.engine.clone(),
            space: self.space,
            name: self.name.clone(),
            token: self.token,
            deadline: Some(self.deadline.clone()),
        }
    }

    pub(crate) fn renewer(&self) -> Renewer {
        let (engine, fence) = (self.engine.clone(), self.fence());
        Renewer { engine, fence, lease: self.lease, ttl: self.ttl, deadline: self.deadline.clone() }
    }

    pub(crate) const fn token(&self) -> u64 {
        self.token
    }

    pub(crate) const fn lease(&self) -> LeaseId {
        self.lease
    }

    pub(crate) fn name(&self) -> &QueueName {
        &self.name
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.remaining(self.engine.log().clock().monotonic())
    }

    fn lost(&self) -> Error {
        Error::LockLost { name: self.name.as_str().to_owned(), token: self.token }
    }

    /// Whoever stands right before.
    fn predecessor(&self) -> Result<Option<KeyValue>> {
        let before = RangeRequest::new(self.space, self.name.before(self.token)).limit(1);
        let request = RangeRequest { keys_only: true, order: Order::Descend, ..before };
        Ok(self.engine.keys().range(&request)?.kvs.pop())
    }

    /// Whether nobody is before; an error when this place is gone.
    pub(crate) fn is_first(&self) -> Result<bool> {
        end_what_is_over(&self.engine)?;
        let predecessor = self.predecessor()?;
        let own = self.engine.keys().get(self.space, &self.name.key(self.token))?;
        if own.is_none_or(|kv| kv.create_revision != self.token) || self.remaining().is_zero() {
            self.deadline.end();
            return Err(self.lost());
        }
        Ok(predecessor.is_none())
    }

    /// Waits until nobody is before; `false` when the time is over.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<bool> {
        let clock = self.engine.log().clock().clone();
        let start = clock.monotonic();
        let renewer = self.renewer();
        loop {
            // The watch begins before looking, so that no departure falls between the two.
            let filter = WatchFilter { no_put: true, no_delete: false };
            let request = WatchRequest::new(self.space, self.name.before(self.token));
            let mut departures = self.engine.keys().watch(WatchRequest { filter, ..request })?;
            if self.is_first()? {
                return Ok(true);
            }
            let left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
            if left.is_zero() {
                return Ok(false);
            }
            let nap = left.min(NAP_MAX).min(renewer.step()?).min(self.next_expiry());
            match departures.next(nap.max(Duration::from_millis(1))) {
                // A compaction passed the watch: the next round looks at what is there.
                Ok(_) | Err(keys::Error::Compacted { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How long until some lease ends by the clock.
    fn next_expiry(&self) -> Duration {
        let now = self.engine.log().clock().monotonic();
        self.engine.keys().next_expiry().map_or(NAP_MAX, |at| at.saturating_sub(now))
    }

    /// Gives the place up.
    pub(crate) fn leave(mut self) -> Result<()> {
        self.given_up = true;
        self.deadline.end();
        match self.engine.keys().lease_revoke(self.lease) {
            Ok(_) => Ok(()),
            Err(keys::Error::LeaseNotFound { .. }) => Err(self.lost()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the key and forgets about it.
    pub(crate) fn detach(mut self) -> HeldLock {
        self.given_up = true;
        let (name, token, lease) = (self.name.as_str().to_owned(), self.token, self.lease);
        HeldLock { name, token, lease }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.given_up {
            self.deadline.end();
            // What fails here is over when the lease is.
            let _ended_later = self.engine.keys().lease_revoke(self.lease);
        }
    }
}

fn fresh_lease(engine: &Engine) -> LeaseId {
    let random = engine.log().rng().next_u64();
    LeaseId::new((random & i64::MAX.unsigned_abs()).max(1).cast_signed())
}
