//! A reader without an engine: another program that has the cache alone. Derived.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::head::{Head, LOOK, Names, found};
use crate::backend::{CacheBackend, Stamped};
use crate::{Error, Result};

/// What a cache says about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The answer.
    pub answer: Lookup,
    /// All changes up to this revision had been taken in.
    pub revision: u64,
    /// How long ago that was at most, on the server's clock.
    pub age: Duration,
}

/// An answer of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The value.
    Value(Bytes),
    /// There is no such key.
    Absent,
    /// The cache does not know: ask whoever has the engine.
    Unknown,
}

/// Reads what a [`HybridStore`](crate::HybridStore) keeps in a backend.
///
/// The bound: an answer is at most so old. It is measured on the server's clock alone, from a
/// moment at which all changes up to [`Known::revision`] were in the cache; a server that was
/// paused, or whose keeper is gone, gives [`Error::TooOld`], never an older value.
#[derive(Debug, Clone)]
pub struct CacheReader {
    backend: Arc<dyn CacheBackend>,
    names: Names,
    bound: Duration,
}

impl CacheReader {
    /// A reader of one keyspace.
    #[must_use]
    pub fn new(
        backend: Arc<dyn CacheBackend>,
        namespace: &str,
        keyspace: &str,
        bound: Duration,
    ) -> Self {
        Self { backend, names: Names::new(namespace, keyspace), bound }
    }

    /// What is known about a key. One round trip.
    ///
    /// # Errors
    /// [`Error::TooOld`]; the backend's.
    pub async fn get(&self, key: &[u8]) -> Result<Known> {
        let args = [self.names.prefix(), Names::tail(key).into()];
        let reply = self.backend.script(&LOOK, &[self.names.head()], &args).await?;
        let too_old = |age| Error::TooOld { age, bound: self.bound };
        let parts = reply.as_list().ok_or_else(|| Error::protocol("a list was expected"))?;
        let [seconds, micros, head, rest @ ..] = parts else { return Err(too_old(None)) };
        let now = seconds
            .as_int()
            .and_then(|seconds| seconds.checked_mul(1_000_000)?.checked_add(micros.as_int()?));
        let now = now.ok_or_else(|| Error::protocol("no time"))?;
        let head = head.as_bytes().and_then(|head| Head::decode(head));
        let head = head.ok_or_else(|| too_old(None))?;
        // A clock that went back says nothing about age.
        let age = now.checked_sub(head.time_us).and_then(|age| u64::try_from(age).ok());
        let age = age.map(Duration::from_micros).ok_or_else(|| too_old(None))?;
        if age > self.bound {
            return Err(too_old(Some(age)));
        }
        let stamped = rest.first().and_then(|entry| entry.as_bytes()).and_then(Stamped::decode);
        let known = stamped.and_then(|entry| found(&entry.value?, entry.revision));
        let answer = match known.map(|found| found.value) {
            None => Lookup::Unknown,
            Some(None) => Lookup::Absent,
            Some(Some(value)) => Lookup::Value(value),
        };
        Ok(Known { answer, revision: head.revision, age })
    }
}
