//! The hybrid store: a keyspace of an engine with a cache in front. Derived: all but the engine.
//!
//! No stale read: whatever a tier remembers has the revision it was read at, and is served only
//! if the engine's index says, after the call began, that this is still the newest. Nothing rests
//! on invalidations arriving.

mod follower;
mod head;
mod options;
mod reader;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use cairndb::prelude::Keyspace;
use quick_cache::Weighter;
use tokio::sync::{mpsc, watch};

use self::follower::{Ends, Fill};
use self::head::Names;
use crate::backend::CacheBackend;
use crate::breaker::Breaker;
use crate::figures::{CacheStats, Figures};
use crate::flight::{self, Flights, Found, Role};
use crate::{Error, Result};

pub(crate) use head::{escape, namespace_prefix};
pub use options::{HybridOptions, Misses};
pub use reader::{CacheReader, Known, Lookup};

/// Fills that wait for the follower; more are left out.
const FILLS_MAX: usize = 1024;
/// Times a read waits for others before it reads for itself.
const JOINS_MAX: u32 = 3;
/// What a local entry costs beside its bytes, about.
const ENTRY_OVERHEAD: u64 = 160;

/// A value in the local tier.
#[derive(Debug)]
struct Local {
    found: Found,
    /// Keyspaces that had been forgotten when it was read.
    forgotten: u64,
    /// The engine's revision at which it was known to be the newest.
    checked: AtomicU64,
}

#[derive(Debug, Clone)]
struct Weights;

impl Weighter<Bytes, Arc<Local>> for Weights {
    fn weight(&self, key: &Bytes, local: &Arc<Local>) -> u64 {
        let value = local.found.value.as_ref().map_or(0, Bytes::len);
        (key.len() + value) as u64 + ENTRY_OVERHEAD
    }
}

type LocalTier = quick_cache::sync::Cache<Bytes, Arc<Local>, Weights>;

/// What store and follower share.
#[derive(Debug)]
pub(crate) struct Core {
    keyspace: Keyspace,
    backend: Arc<dyn CacheBackend>,
    names: Names,
    options: HybridOptions,
    breaker: Breaker,
    figures: Figures,
    epoch: RwLock<Option<Arc<str>>>,
}

impl Core {
    fn set_epoch(&self, epoch: Option<String>) {
        let mut now = self.epoch.write().unwrap_or_else(PoisonError::into_inner);
        if now.as_deref() != epoch.as_deref() {
            *now = epoch.map(Arc::from);
        }
    }

    fn epoch(&self) -> Option<Arc<str>> {
        self.epoch.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The index's word on what was found.
    fn is_newest(&self, key: &[u8], found: &Found) -> Result<bool> {
        let newest = self.keyspace.key_revision(key)?;
        Ok(newest == found.value.is_some().then_some(found.revision))
    }
}

/// A keyspace with a cache in front. Clones share everything.
///
/// ```
/// use cairn_cache::{HybridOptions, HybridStore, backend::MemoryCache};
/// use cairndb::prelude::*;
/// use std::sync::Arc;
///
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// engine.create_keyspace("users")?;
/// let users = engine.keyspace("users")?;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let backend = Arc::new(MemoryCache::default());
/// let cached = HybridStore::new(users.clone(), backend, HybridOptions::default());
/// cached.put("alice", "1").await?;
/// assert_eq!(cached.get(b"alice").await?.as_deref(), Some(&b"1"[..]));
/// // A write that goes past the cache is seen by the next read.
/// users.put("alice", "2")?;
/// assert_eq!(cached.get(b"alice").await?.as_deref(), Some(&b"2"[..]));
/// # Ok::<(), cairn_cache::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct HybridStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    local: LocalTier,
    flights: Flights,
    fills: mpsc::Sender<Fill>,
    applied: watch::Receiver<u64>,
    /// The follower ends when this goes.
    _alive: mpsc::Sender<()>,
}

impl HybridStore {
    /// Puts a cache in front of a keyspace, and starts the task that keeps the backend up to
    /// date. The backend need not be there.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(keyspace: Keyspace, backend: Arc<dyn CacheBackend>, options: HybridOptions) -> Self {
        let names = Names::new(&options.namespace, keyspace.name().as_str());
        let breaker = Breaker::new(options.breaker, options.clock.clone(), options.rng.clone());
        let local_len_max = options.local_len_max;
        let items = usize::try_from(local_len_max / (2 * ENTRY_OVERHEAD)).unwrap_or(usize::MAX);
        let local = LocalTier::with_weighter(items.clamp(16, 1 << 20), local_len_max, Weights);
        let (figures, epoch) = (Figures::new(), RwLock::default());
        let core = Arc::new(Core { keyspace, backend, names, options, breaker, figures, epoch });
        let (fills, to_fill) = mpsc::channel(FILLS_MAX);
        let (say, applied) = watch::channel(0);
        let (alive, ended) = mpsc::channel(1);
        let ends = Ends { fills: to_fill, applied: say, alive: ended };
        tokio::spawn(follower::run(core.clone(), ends));
        let flights = Flights::default();
        let shared = Shared { core, local, flights, fills, applied, _alive: alive };
        Self { shared: Arc::new(shared) }
    }

    /// The keyspace behind it.
    #[must_use]
    pub fn keyspace(&self) -> &Keyspace {
        &self.shared.core.keyspace
    }

    /// The value of a key: the newest that was acknowledged before the call.
    ///
    /// # Errors
    /// The engine's only.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(known) = self.get_local(key)? {
            return Ok(known);
        }
        let found = self.fetch(key).await?;
        if found.value.is_none() {
            self.shared.core.figures.absent.add(1);
        }
        Ok(found.value)
    }

    /// What the local tier knows of a key and the engine confirms: `None` when it does not know,
    /// `Some(None)` when there is no such key. Waits for nothing.
    ///
    /// # Errors
    /// The engine's.
    pub fn get_local(&self, key: &[u8]) -> Result<Option<Option<Bytes>>> {
        let core = &self.shared.core;
        let Some(local) = self.shared.local.get(key) else { return Ok(None) };
        // Taken before looking: what comes later makes it differ the next time.
        let mark = core.keyspace.engine().keys().change_mark();
        let is_fresh = mark.forgotten == local.forgotten
            && (mark.revision == local.checked.load(Ordering::Acquire)
                || core.is_newest(key, &local.found)?);
        if !is_fresh {
            core.figures.stale_refused.add(1);
            self.shared.local.remove(key);
            return Ok(None);
        }
        if local.checked.load(Ordering::Relaxed) < mark.revision {
            local.checked.fetch_max(mark.revision, Ordering::AcqRel);
        }
        core.figures.local_hits.add(1);
        if local.found.value.is_none() {
            core.figures.absent.add(1);
        }
        Ok(Some(local.found.value.clone()))
    }

    /// Reads a key once for all who ask for it now.
    async fn fetch(&self, key: &[u8]) -> Result<Found> {
        let core = &self.shared.core;
        for _ in 0..JOINS_MAX {
            match self.shared.flights.join(key) {
                Role::Leader(leader) => {
                    let found = self.load(key).await?;
                    leader.land(found.clone());
                    return Ok(found);
                }
                Role::Waiting(landing) => {
                    core.figures.joined.add(1);
                    // It may have begun before a write that our caller has seen.
                    if let Some(found) = flight::wait(landing).await
                        && core.is_newest(key, &found)?
                    {
                        return Ok(found);
                    }
                }
            }
        }
        self.load(key).await
    }

    async fn load(&self, key: &[u8]) -> Result<Found> {
        let core = &self.shared.core;
        if core.options.misses == Misses::Backend
            && let Some(found) = self.ask_backend(key).await?
        {
            core.figures.backend_hits.add(1);
            return Ok(found);
        }
        core.figures.misses.add(1);
        let mark = core.keyspace.engine().keys().change_mark();
        let found = match core.keyspace.get_at(key, 0)? {
            Some(kv) => Found { value: Some(kv.value), revision: kv.mod_revision },
            None => Found { value: None, revision: mark.revision },
        };
        self.remember(key, &found, mark.forgotten, mark.revision);
        if core.epoch().is_some() && self.fits(&found) {
            // A full queue means that the backend is slow: it can do without.
            let fill = Fill { key: Bytes::copy_from_slice(key), found: found.clone() };
            let _left_out_when_full = self.shared.fills.try_send(fill);
        }
        Ok(found)
    }

    /// The backend's answer, if there is one and the engine confirms it.
    async fn ask_backend(&self, key: &[u8]) -> Result<Option<Found>> {
        let core = &self.shared.core;
        let Some(epoch) = core.epoch() else {
            core.figures.skipped.add(1);
            return Ok(None);
        };
        if core.breaker.is_open() {
            core.figures.skipped.add(1);
            return Ok(None);
        }
        let name = core.names.entry(&epoch, key);
        let asked = core.backend.get(&name);
        let entry = match tokio::time::timeout(core.options.read_limit, asked).await {
            Ok(Ok(entry)) => {
                core.breaker.succeeded();
                entry
            }
            Ok(Err(_)) | Err(_) => {
                core.figures.backend_errors.add(1);
                core.breaker.failed();
                return Ok(None);
            }
        };
        let found = entry.and_then(|entry| head::found(&entry.value?, entry.revision));
        let Some(found) = found else { return Ok(None) };
        let mark = core.keyspace.engine().keys().change_mark();
        if !core.is_newest(key, &found)? {
            core.figures.stale_refused.add(1);
            return Ok(None);
        }
        self.remember(key, &found, mark.forgotten, mark.revision);
        Ok(Some(found))
    }

    fn fits(&self, found: &Found) -> bool {
        let most = self.shared.core.options.value_len_max;
        found.value.as_ref().is_none_or(|value| value.len() <= most)
    }

    fn remember(&self, key: &[u8], found: &Found, forgotten: u64, revision: u64) {
        if self.fits(found) {
            let checked = AtomicU64::new(revision);
            let local = Local { found: found.clone(), forgotten, checked };
            self.shared.local.insert(Bytes::copy_from_slice(key), Arc::new(local));
        }
    }

    /// Writes a key: to the engine, whose word counts, then to the tiers. Gives the revision.
    /// Waits for the disk on a thread where that is allowed, so that other tasks go on. When the
    /// future is dropped the key may still be written.
    ///
    /// # Errors
    /// The engine's only.
    pub async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<u64> {
        let (key, value) = (key.into(), value.into());
        let keyspace = self.keyspace().clone();
        let forgotten = keyspace.engine().keys().change_mark().forgotten;
        let (name, content) = (key.clone(), value.clone());
        let revision = may_block(move || keyspace.put(name, content)).await?.revision;
        self.remember(&key, &Found { value: Some(value), revision }, forgotten, 0);
        self.wait_a_little(revision).await;
        Ok(revision)
    }

    /// Deletes a key; whether there was one. Waits as [`put`](Self::put) does.
    ///
    /// # Errors
    /// The engine's only.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<bool> {
        let key = key.into();
        let (keyspace, name) = (self.keyspace().clone(), key.clone());
        let deleted = may_block(move || keyspace.delete(name)).await?;
        self.shared.local.remove(&key[..]);
        self.wait_a_little(deleted.revision).await;
        Ok(deleted.deleted > 0)
    }

    async fn wait_a_little(&self, revision: u64) {
        let wait = self.shared.core.options.write_wait;
        if !wait.is_zero() && self.shared.core.epoch().is_some() {
            self.settled(revision, wait).await;
        }
    }

    /// Waits until the backend has taken in everything up to a revision; whether it did in time.
    pub async fn settled(&self, revision: u64, limit: Duration) -> bool {
        let mut applied = self.shared.applied.clone();
        let reached = applied.wait_for(|applied| *applied >= revision);
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// Forgets what the local tier remembers.
    pub fn clear_local(&self) {
        self.shared.local.clear();
    }

    /// Figures since it was opened.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let core = &self.shared.core;
        let lag = self.keyspace().engine().revision().saturating_sub(*self.shared.applied.borrow());
        core.figures.stats(core.breaker.opened(), lag)
    }

    /// Whether the backend is up and kept up to date at the moment.
    #[must_use]
    pub fn is_backend_up(&self) -> bool {
        self.shared.core.epoch().is_some()
    }
}

/// Does what may wait for a disk on a thread for that.
async fn may_block<T: Send + 'static>(
    work: impl FnOnce() -> cairndb::engine::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down does not begin what it was given.
            Err(_) => Err(cairndb::engine::Error::Log(cairndb::log::Error::Closed).into()),
        },
    }
}

/// Removes everything that stores of a namespace have put into a backend; how many entries.
///
/// # Errors
/// [`Error::Invalid`] for an empty name; the backend's.
pub async fn flush_namespace(backend: &dyn CacheBackend, namespace: &str) -> Result<u64> {
    if namespace.is_empty() {
        return Err(Error::Invalid { what: "namespace", reason: "it is empty".to_owned() });
    }
    backend.flush(namespace_prefix(namespace).as_bytes()).await
}
