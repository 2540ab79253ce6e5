//! Retrying transactions take turns: whoever met a conflict tries again while newcomers wait a
//! moment, so that under contention somebody always gets through. Holds no state of the store.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::Store;

/// Attempts of one transaction before its conflict is returned.
const ATTEMPTS: u32 = 32;

/// Longest wait of a first attempt for one that is being repeated.
const YIELD_MAX: Duration = Duration::from_millis(5);

/// Longest wait of a repeated attempt for its turn, and for others' commits to show.
const TURN_WAIT_MAX: Duration = Duration::from_millis(100);

/// Whether somebody repeats an attempt now. All waits are bounded: a transaction within a
/// transaction must not wait for itself.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    taken: Mutex<bool>,
    freed: Condvar,
}

/// Gives the turn back when dropped.
struct Taken<'a>(&'a Turn);

impl Turn {
    fn wait(&self, most: Duration, take: bool) -> Option<Taken<'_>> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_timeout_while(taken, most, |taken| *taken);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken || !take {
            return None;
        }
        *taken = true;
        Some(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_all();
    }
}

impl Store {
    /// Calls `attempt` until it returns no conflict, at most 32 times. From the second time on
    /// it runs on a state that shows what it conflicted with, and while it does, first attempts
    /// of others wait a moment.
    ///
    /// # Errors
    /// What `attempt` returns; the conflict of the last attempt.
    pub fn retry<T, E>(
        &self,
        mut attempt: impl FnMut() -> std::result::Result<T, E>,
        is_conflict: impl Fn(&E) -> bool,
    ) -> std::result::Result<T, E> {
        let turn = &self.shared.turn;
        turn.wait(YIELD_MAX, false);
        let mut outcome = attempt();
        for _ in 1..ATTEMPTS {
            if !outcome.as_ref().is_err_and(&is_conflict) {
                break;
            }
            let _turn = turn.wait(TURN_WAIT_MAX, true);
            self.show_what_was_submitted(TURN_WAIT_MAX);
            outcome = attempt();
        }
        outcome
    }
}
