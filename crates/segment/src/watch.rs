//! Telling others that the log advanced: callbacks and a blocking wait. Derived state only.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use cairn_types::Lsn;

type Callback = Box<dyn Fn(Lsn) + Send + Sync>;

/// Everyone who wants to know when the visible end moved.
#[derive(Default)]
pub(crate) struct Listeners {
    callbacks: RwLock<Vec<(u64, Callback)>>,
    next_id: Mutex<u64>,
    /// Callbacks and blocked threads. While it is zero an advance costs no lock and no system
    /// call, which an append would otherwise pay for every time.
    audience: AtomicUsize,
    turn: Mutex<()>,
    moved: Condvar,
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}

impl Listeners {
    /// Registers a callback, called after each advance with the new visible end, from the
    /// thread that led the commit, under the append lock. It must be quick and must not take it.
    pub(crate) fn add(self: &Arc<Self>, callback: Callback) -> ListenerGuard {
        let mut next = self.next_id.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        let id = *next;
        self.callbacks.write().unwrap_or_else(PoisonError::into_inner).push((id, callback));
        self.audience.fetch_add(1, Ordering::SeqCst);
        ListenerGuard { id, listeners: Arc::downgrade(self) }
    }

    /// Tells everyone that the visible end, which was moved before, is now here.
    pub(crate) fn advanced(&self, visible: Lsn) {
        // Pairs with the fence in `wait`: either this sees the waiter, or the waiter sees the
        // mark that was moved before this.
        fence(Ordering::SeqCst);
        if self.audience.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.wake();
        for (_, callback) in self.callbacks.read().unwrap_or_else(PoisonError::into_inner).iter() {
            callback(visible);
        }
    }

    /// Blocks until `reached` holds or the time is over; says whether it holds.
    pub(crate) fn wait(&self, timeout: Duration, reached: impl Fn() -> bool) -> bool {
        let guard = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.audience.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let (guard, _) = self
            .moved
            .wait_timeout_while(guard, timeout, |()| !reached())
            .unwrap_or_else(PoisonError::into_inner);
        self.audience.fetch_sub(1, Ordering::Relaxed);
        drop(guard);
        reached()
    }

    /// Wakes every blocked waiter, so that it looks again.
    pub(crate) fn wake(&self) {
        drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }
}

/// Keeps a callback registered; dropping it removes the callback.
#[derive(Debug)]
#[must_use = "the callback is removed when the guard is dropped"]
pub struct ListenerGuard {
    id: u64,
    listeners: Weak<Listeners>,
}

impl Drop for ListenerGuard {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.audience.fetch_sub(1, Ordering::SeqCst);
            listeners
                .callbacks
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|(id, _)| *id != self.id);
        }
    }
}
