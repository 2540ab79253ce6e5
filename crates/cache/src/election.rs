//! Leader election: a lock whose holder says something, and everybody may listen. Truth: the
//! candidates' keys in the engine's log.

use std::time::Duration;

use bytes::Bytes;
use cairndb::keys::{self, Put, Range, RangeRequest, WatchRequest, Watcher};

use crate::lock::name::{Area, QueueName};
use crate::lock::{Holder, Place, Renewer};
use crate::{Error, Fence, Locks, Result};

/// An election of one name. Clones are the same election.
///
/// ```
/// use cairn_cache::{Election, LockConfig, Locks};
/// use cairndb::prelude::*;
/// use std::time::Duration;
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// let election = Election::open(&Locks::open(&engine, LockConfig::default())?, "scheduler")?;
/// let mut seen = election.observe()?;
///
/// let leadership = election.campaign("node-1", Duration::from_secs(5))?;
/// assert_eq!(election.leader()?.expect("one").label, "node-1");
/// leadership.proclaim("node-1 at 10.0.0.7")?;
/// assert_eq!(seen.next(Duration::from_secs(5))?.expect("news").expect("one").label, "node-1 at 10.0.0.7");
/// leadership.resign()?;
/// assert!(election.leader()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Election {
    locks: Locks,
    name: QueueName,
}

impl Election {
    /// An election among those who use the same locks.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be one.
    pub fn open(locks: &Locks, name: &str) -> Result<Self> {
        Ok(Self { locks: locks.clone(), name: QueueName::new(Area::Vote, name)? })
    }

    /// Stands for election and waits until it is won. Blocks the thread.
    ///
    /// # Errors
    /// [`Error::LockTimeout`] when the time is over, the candidacy is withdrawn then;
    /// [`Error::LockLost`] when this process was paused so long that it lost its place; the
    /// engine's.
    pub fn campaign(&self, label: impl Into<Bytes>, timeout: Duration) -> Result<Leadership> {
        let mut place = Place::enter(&self.locks, self.name.clone(), label.into())?;
        if place.wait(timeout)? {
            return Ok(Leadership(place));
        }
        place.leave()?;
        Err(Error::LockTimeout { name: self.name.as_str().to_owned(), timeout })
    }

    /// Wins if nobody leads or stands; `None` otherwise.
    ///
    /// # Errors
    /// The engine's.
    pub fn try_campaign(&self, label: impl Into<Bytes>) -> Result<Option<Leadership>> {
        let place = Place::enter_if_first(&self.locks, self.name.clone(), label.into())?;
        Ok(place.map(Leadership))
    }

    /// Who leads now.
    ///
    /// # Errors
    /// The engine's.
    pub fn leader(&self) -> Result<Option<Holder>> {
        let engine = self.locks.engine();
        crate::lock::end_what_is_over(engine)?;
        let all = RangeRequest::new(self.locks.space.stream(), self.name.all()).limit(1);
        let found = engine.keys().range(&RangeRequest { without_count: true, ..all })?.kvs.pop();
        Ok(found.map(|kv| Holder { token: kv.create_revision, label: kv.value }))
    }

    /// Follows who leads, from what is so now on.
    ///
    /// # Errors
    /// The engine's.
    pub fn observe(&self) -> Result<Observer> {
        let watcher = watch(self)?;
        let told = self.leader()?;
        Ok(Observer { election: self.clone(), watcher, told })
    }

    fn range(&self) -> Range {
        self.name.all()
    }
}

fn watch(election: &Election) -> Result<Watcher> {
    let space = election.locks.space.stream();
    Ok(election.locks.engine().keys().watch(WatchRequest::new(space, election.range()))?)
}

/// Follows who leads.
#[derive(Debug)]
pub struct Observer {
    election: Election,
    watcher: Watcher,
    told: Option<Holder>,
}

impl Observer {
    /// Who led when this was told last.
    #[must_use]
    pub const fn current(&self) -> Option<&Holder> {
        self.told.as_ref()
    }

    /// The next change of leader or of what it says; `Some(None)` when nobody leads any more,
    /// `None` when the time is over. A leader that came and went in between may be left out: what
    /// counts is who leads now.
    ///
    /// # Errors
    /// The engine's.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Option<Holder>>> {
        let clock = self.election.locks.engine().log().clock().clone();
        let start = clock.monotonic();
        loop {
            let now = self.election.leader()?;
            if now != self.told {
                self.told.clone_from(&now);
                return Ok(Some(now));
            }
            let left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
            if left.is_zero() {
                return Ok(None);
            }
            // A lease may end by the clock alone, and nobody else may be there to notice.
            match self.watcher.next(left.min(Duration::from_secs(1))) {
                Ok(_) => {}
                Err(keys::Error::Compacted { .. }) => self.watcher = watch(&self.election)?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The leadership of one election. Dropping it resigns.
#[derive(Debug)]
#[must_use = "dropping a leadership resigns"]
pub struct Leadership(Place);

impl Leadership {
    /// The fencing token: greater than that of every earlier leader.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.0.token()
    }

    /// The right to write as the leader.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.0.fence()
    }

    /// Says something else to those who observe.
    ///
    /// # Errors
    /// [`Error::LockLost`] when somebody else may lead; the engine's.
    pub fn proclaim(&self, label: impl Into<Bytes>) -> Result<()> {
        let fence = self.0.fence();
        let put = Put::new(fence.space, self.0.name().key(self.0.token()), label.into());
        let put = Put { ignore_lease: true, ..put };
        fence.with_fence(|planner| planner.put(&put).map(drop))
    }

    /// What renews the lease, to be run wherever the caller likes.
    #[must_use]
    pub fn renewer(&self) -> Renewer {
        self.0.renewer()
    }

    /// Lets somebody else lead.
    ///
    /// # Errors
    /// [`Error::LockLost`] when the leadership was over already; the engine's.
    pub fn resign(self) -> Result<()> {
        self.0.leave()
    }
}
