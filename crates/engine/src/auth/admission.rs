//! The order between calls that are checked and changes that take permissions away. Derived:
//! in memory only, and a restart begins anew with nobody admitted.
//!
//! A guarded call holds the lock shared from its check to its end; a change that may take
//! something away holds it alone. So a call is wholly before such a change or wholly after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The lock and the auth revision.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    lock: RwLock<()>,
    /// The auth revision: how often a record changed that permissions may rest on. Permissions
    /// worked out at another one are stale.
    revision: AtomicU64,
}

impl Admission {
    /// Lets a call in. It must not wait for anything but the log while it is inside.
    pub(crate) fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody is inside and keeps everybody out.
    pub(crate) fn change(&self) -> RwLockWriteGuard<'_, ()> {
        self.lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The auth revision. Inside, it does not move.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// A record changed, or may have.
    pub(crate) fn moved(&self) {
        self.revision.fetch_add(1, Ordering::AcqRel);
    }
}
