//! At most so many hashes at once. Neither truth nor derived: two counters.
//!
//! A hash takes 64 MiB and 150 ms; whoever can send logins could otherwise take all memory.
//! The place is taken **before** the hash begins, and whoever finds too many waiting is sent
//! away at once instead of waiting without end.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::error::{Error, Result};

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    waiting: usize,
}

/// Counts who hashes and who waits.
///
/// ```
/// use cairn_auth::HashGate;
/// let gate = HashGate::new(1, 0);
/// let place = gate.enter()?;
/// assert!(gate.enter().is_err(), "one place, and nobody may wait");
/// drop(place);
/// assert!(gate.enter().is_ok());
/// # Ok::<(), cairn_auth::Error>(())
/// ```
#[derive(Debug)]
pub struct HashGate {
    counts: Mutex<Counts>,
    freed: Condvar,
    running_max: usize,
    waiting_max: usize,
}

/// The right to compute one hash; given back when dropped.
#[derive(Debug)]
pub struct HashPlace<'a>(&'a HashGate);

impl HashGate {
    /// A gate for so many hashes at once (at least one) and so many callers that wait.
    #[must_use]
    pub fn new(running_max: usize, waiting_max: usize) -> Self {
        let (counts, freed) = Default::default();
        Self { counts, freed, running_max: running_max.max(1), waiting_max }
    }

    /// Takes a place; waits for one while fewer than the allowed number wait.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait.
    pub fn enter(&self) -> Result<HashPlace<'_>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.running >= self.running_max {
            if counts.waiting >= self.waiting_max {
                return Err(Error::Busy);
            }
            counts.waiting += 1;
            while counts.running >= self.running_max {
                counts = self.freed.wait(counts).unwrap_or_else(PoisonError::into_inner);
            }
            counts.waiting -= 1;
        }
        counts.running += 1;
        assert!(counts.running <= self.running_max, "a place was free");
        Ok(HashPlace(self))
    }
}

impl Drop for HashPlace<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.running -= 1;
        drop(counts);
        self.0.freed.notify_one();
    }
}
