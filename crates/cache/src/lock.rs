//! Locks: a lease, a key under it, and the order of the keys' create revisions. Truth: the keys
//! are records of the engine's log; a guard in memory is derived.
//!
//! ```text
//! enter ─ lease ─▶ key lock/NAME\0REVISION ─▶ first of its name? ─▶ LockGuard, token = REVISION
//!                        ▲      no: watch those before ─┘                │ with_fence
//!         keep_alive ────┘                                              ▼
//!                              write and check of the key in one transaction of the engine
//! ```
//!
//! Invariants:
//! - Who holds a lock is a fact of the engine: the key of its name that was created first.
//!   Nobody holds it by believing so.
//! - Tokens of one lock grow from holder to holder, across restarts.
//! - Waiters get it in the order in which they came.
//! - A write through a [`Fence`] is refused once the lease is over.

pub mod advisory;
pub(crate) mod deadline;
mod guard;
pub(crate) mod name;
mod place;
mod renew;

use std::time::Duration;

use bytes::Bytes;
use cairndb::engine::{Engine, Keyspace};

pub use name::LOCK_NAME_LEN_MAX;
pub use renew::Renewer;

use crate::{Fence, Result};
pub use guard::{HeldLock, LockGuard, LockPlace};
use name::{Area, QueueName};
pub(crate) use place::{Place, end_what_is_over};

/// Settings of locks and elections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockConfig {
    /// Keyspace that holds them; it is created when absent.
    pub keyspace: String,
    /// How long a holder keeps a lock without renewing it; whole seconds, at least one.
    pub ttl: Duration,
    /// Who this holder is, for people who look; at most a few hundred bytes.
    pub holder: Bytes,
}

impl Default for LockConfig {
    fn default() -> Self {
        Self { keyspace: "locks".to_owned(), ttl: Duration::from_secs(10), holder: Bytes::new() }
    }
}

/// Locks of one engine. Clones share them.
///
/// ```
/// use cairn_cache::{LockConfig, Locks};
/// use cairndb::prelude::*;
/// use std::time::Duration;
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// engine.create_keyspace("reports")?;
/// let reports = engine.keyspace("reports")?.stream();
///
/// let locks = Locks::open(&engine, LockConfig::default())?;
/// let guard = locks.lock("nightly", Duration::from_secs(5))?;
/// assert!(locks.try_lock("nightly")?.is_none(), "it is held");
/// guard.with_fence(|planner| planner.put(&Put::new(reports, "today", "done")))?;
/// let first = guard.token();
/// guard.release()?;
///
/// let next = locks.try_lock("nightly")?.expect("it is free");
/// assert!(next.token() > first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Locks {
    pub(crate) engine: Engine,
    pub(crate) space: Keyspace,
    pub(crate) config: LockConfig,
}

impl Locks {
    /// Opens the locks of an engine.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a time to live below one second; the
    /// engine's.
    pub fn open(engine: &Engine, config: LockConfig) -> Result<Self> {
        if config.ttl < Duration::from_secs(1) {
            let reason = "a lease lasts at least one second".to_owned();
            return Err(crate::Error::Invalid { what: "time to live", reason });
        }
        engine.create_keyspace(&config.keyspace)?;
        let space = engine.keyspace(&config.keyspace)?;
        Ok(Self { engine: engine.clone(), space, config })
    }

    /// The engine beneath.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Takes a lock if nobody holds it or waits for it; `None` otherwise. Waits for nothing but
    /// the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a name that cannot be one; the engine's.
    pub fn try_lock(&self, name: &str) -> Result<Option<LockGuard>> {
        let name = QueueName::new(Area::Lock, name)?;
        Ok(Place::enter_if_first(self, name, self.config.holder.clone())?.map(LockGuard::new))
    }

    /// Takes a lock, waiting for those who came before. Blocks the thread; the own lease is
    /// renewed meanwhile.
    ///
    /// # Errors
    /// [`Error::LockTimeout`](crate::Error::LockTimeout) when the time is over;
    /// [`Error::LockLost`](crate::Error::LockLost) when this process was paused so long that it
    /// lost its place; the engine's.
    pub fn lock(&self, name: &str, timeout: Duration) -> Result<LockGuard> {
        let mut place = self.enter(name)?;
        if place.wait(timeout)? {
            return Ok(place.into_guard());
        }
        let name = name.to_owned();
        place.leave()?;
        Err(crate::Error::LockTimeout { name, timeout })
    }

    /// Takes a place in the queue of a lock, for callers that wait in their own way.
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock).
    pub fn enter(&self, name: &str) -> Result<LockPlace> {
        let name = QueueName::new(Area::Lock, name)?;
        Ok(LockPlace::new(Place::enter(self, name, self.config.holder.clone())?))
    }

    /// Goes on with a place that was [detached](LockPlace::detach), maybe in another process
    /// after the store was closed and opened again.
    ///
    /// # Errors
    /// [`Error::LockLost`](crate::Error::LockLost) when its lease is over; the engine's.
    pub fn resume(&self, held: &HeldLock) -> Result<LockPlace> {
        let name = QueueName::new(Area::Lock, &held.name)?;
        Ok(LockPlace::new(Place::resume(self, name, held.token, held.lease)?))
    }

    /// The fence of whoever holds a lock with this token: for somebody who was handed the number.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a name that cannot be one.
    pub fn fence(&self, name: &str, token: u64) -> Result<Fence> {
        Ok(Fence {
            engine: self.engine.clone(),
            space: self.space.stream(),
            name: QueueName::new(Area::Lock, name)?,
            token,
            deadline: None,
        })
    }

    /// Who holds a lock and who waits for it, in order.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a name that cannot be one; the engine's.
    pub fn queue(&self, name: &str) -> Result<Vec<Holder>> {
        let name = QueueName::new(Area::Lock, name)?;
        end_what_is_over(&self.engine)?;
        let request = cairndb::keys::RangeRequest::new(self.space.stream(), name.all());
        let found = self.engine.keys().range(&request)?.kvs;
        let holders = found.into_iter();
        Ok(holders.map(|kv| Holder { token: kv.create_revision, label: kv.value }).collect())
    }
}

/// Somebody in the queue of a lock or an election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The fencing token.
    pub token: u64,
    /// What it said about itself.
    pub label: Bytes,
}
