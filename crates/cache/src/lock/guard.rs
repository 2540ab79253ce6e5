//! Locks as their holders and waiters hold them. Derived: the truth is the key in the engine.

use std::time::Duration;

use cairndb::keys::{self, LeaseId, Planner};

use super::{Place, Renewer};
use crate::{Fence, Result};

/// What is needed to go on with a lock after the store was closed and opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// Name of the lock.
    pub name: String,
    /// The fencing token.
    pub token: u64,
    /// The lease.
    pub lease: LeaseId,
}

/// A place in the queue of a lock. Dropping it gives it up.
#[derive(Debug)]
#[must_use = "dropping a place gives it up"]
pub struct LockPlace(Place);

impl LockPlace {
    pub(crate) const fn new(place: Place) -> Self {
        Self(place)
    }

    /// The token that the lock will have.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.0.token()
    }

    /// Whether nobody is before: then the lock is held.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when the place is gone; the engine's.
    pub fn is_first(&self) -> Result<bool> {
        self.0.is_first()
    }

    /// Waits until nobody is before, renewing the lease; `false` when the time is over.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when the place is gone; the engine's.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool> {
        self.0.wait(timeout)
    }

    /// Gives the lease its full time again.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when it is over; the engine's.
    pub fn keep_alive(&self) -> Result<()> {
        self.0.renewer().renew()
    }

    /// The lock, for a place that is [first](Self::is_first). A guard of a place that is not
    /// first holds nothing, and its fence takes no write.
    pub fn into_guard(self) -> LockGuard {
        LockGuard(self.0)
    }

    /// Keeps the place in the engine and forgets it here; see [`Locks::resume`](super::Locks::resume).
    #[must_use]
    pub fn detach(self) -> HeldLock {
        self.0.detach()
    }

    /// Gives the place up.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when it was gone already; the engine's.
    pub fn leave(self) -> Result<()> {
        self.0.leave()
    }
}

/// A lock that is held until it is released, dropped, or its lease is over.
#[derive(Debug)]
#[must_use = "dropping a guard releases the lock"]
pub struct LockGuard(Place);

impl LockGuard {
    pub(crate) const fn new(place: Place) -> Self {
        Self(place)
    }

    /// The fencing token: greater than that of every earlier holder.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.0.token()
    }

    /// Name of the lock.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name().as_str()
    }

    /// The lease beneath.
    #[must_use]
    pub const fn lease(&self) -> LeaseId {
        self.0.lease()
    }

    /// How long the lease lasts without a renewal, at least.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.remaining()
    }

    /// The right to write, for whoever does the holder's work.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.0.fence()
    }

    /// As [`Fence::with_fence`].
    ///
    /// # Errors
    /// As [`Fence::with_fence`].
    pub fn with_fence<T>(
        &self,
        body: impl FnOnce(&mut Planner<'_>) -> keys::Result<T>,
    ) -> Result<T> {
        self.0.fence().with_fence(body)
    }

    /// Gives the lease its full time again. Call it every third of the time to live, or let a
    /// [`Renewer`] do it.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when it is over; the engine's.
    pub fn keep_alive(&self) -> Result<()> {
        self.0.renewer().renew()
    }

    /// What renews the lease, to be run wherever the caller likes.
    #[must_use]
    pub fn renewer(&self) -> Renewer {
        self.0.renewer()
    }

    /// Keeps the lock in the engine and forgets it here; see [`Locks::resume`](super::Locks::resume).
    #[must_use]
    pub fn detach(self) -> HeldLock {
        self.0.detach()
    }

    /// Gives the lock to the next one.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when it was lost before; the engine's.
    pub fn release(self) -> Result<()> {
        self.0.leave()
    }
}
