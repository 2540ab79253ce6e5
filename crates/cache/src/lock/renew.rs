//! Renewing a lease in time. Neither truth nor derived; it starts no thread of its own.

use std::time::Duration;

use cairndb::engine::Engine;
use cairndb::keys::{self, LeaseId};

use super::deadline::Deadline;
use crate::{Fence, Result};

/// Renews the lease of a lock or a leadership.
///
/// Run it in a thread or a task: [`step`](Self::step) renews when it is due and says how long to
/// wait for the next time. It may outlive its guard: then it reports that the lock is lost.
#[derive(Debug, Clone)]
pub struct Renewer {
    pub(super) engine: Engine,
    pub(super) fence: Fence,
    pub(super) lease: LeaseId,
    pub(super) ttl: Duration,
    pub(super) deadline: Deadline,
}

impl Renewer {
    /// Renews if a third of the time is gone; how long until the next call is due.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when the lease is over: stop what the lock
    /// was held for. The engine's.
    pub fn step(&self) -> Result<Duration> {
        let third = self.ttl / 3;
        let left = self.remaining();
        let due = self.ttl.saturating_sub(third);
        if left > due {
            return Ok(left - due);
        }
        self.renew()?;
        Ok(third)
    }

    /// How long the lease lasts, at least.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining(self.engine.log().clock().monotonic())
    }

    pub(super) fn renew(&self) -> Result<()> {
        let asked_at = self.engine.log().clock().monotonic();
        if self.deadline.remaining(asked_at).is_zero() {
            // Once over it stays over, also when nobody has ended the lease yet: whoever was
            // told so must not hold the lock again by a later call.
            self.deadline.end();
            return Err(self.fence.lost());
        }
        match self.engine.keys().lease_keep_alive(self.lease) {
            Ok(seconds) => {
                let ttl = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                self.deadline.renewed(asked_at, ttl);
                Ok(())
            }
            Err(keys::Error::LeaseNotFound { .. }) => {
                self.deadline.end();
                Err(self.fence.lost())
            }
            Err(error) => Err(error.into()),
        }
    }
}
