//! Single flight: of many who miss the same key at once, one reads and the others wait for it.
//! Derived.
//!
//! Who waits gets what was read with its revision and has to check it: the read may have begun
//! before a write that the waiting one knows of.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// `None` for a key that is not there.
    pub(crate) value: Option<Bytes>,
    /// Of the value; for an absent key the revision at which it was not there.
    pub(crate) revision: u64,
}

type Landing = watch::Receiver<Option<Found>>;

/// Reads under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    by_key: Mutex<HashMap<Bytes, Landing>>,
}

/// What to do about a key.
#[derive(Debug)]
pub(crate) enum Role<'a> {
    /// Read, then land.
    Leader(Leader<'a>),
    /// Somebody reads.
    Waiting(Landing),
}

/// The one that reads. Dropped without landing, the others are told to look again.
#[derive(Debug)]
pub(crate) struct Leader<'a> {
    flights: &'a Flights,
    key: Bytes,
    result: watch::Sender<Option<Found>>,
}

impl Flights {
    fn by_key(&self) -> MutexGuard<'_, HashMap<Bytes, Landing>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(&self, key: &[u8]) -> Role<'_> {
        let mut by_key = self.by_key();
        if let Some(landing) = by_key.get(key) {
            return Role::Waiting(landing.clone());
        }
        let (result, landing) = watch::channel(None);
        let key = Bytes::copy_from_slice(key);
        by_key.insert(key.clone(), landing);
        Role::Leader(Leader { flights: self, key, result })
    }
}

impl Leader<'_> {
    pub(crate) fn land(self, found: Found) {
        self.result.send_replace(Some(found));
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.flights.by_key().remove(&self.key);
    }
}

/// Waits; `None` when the leader gave up.
pub(crate) async fn wait(mut landing: Landing) -> Option<Found> {
    let landed = landing.wait_for(Option::is_some).await.ok()?;
    landed.clone()
}
