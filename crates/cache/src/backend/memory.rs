//! The cache in process: needs no server, and ends with the program. Derived.
//!
//! Entries are the same bytes as on a server, so that scripts mean the same. Beyond the budget of
//! bytes the entries that were not asked for lately go (second chance). An entry that is larger than
//! the whole budget is not kept, and drives out nothing but what its key had.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cairndb::vfs::{Clock, SystemClock};

use super::stamp::{SET_IF_NEWER, ttl_ms, written};
use super::{
    Answer, CacheBackend, Change, Delivery, Reply, Script, ScriptKeys, Sender, Stamped,
    Subscription, Written, check_channel, check_key, check_value,
};
use crate::Result;

/// What an entry costs beside its bytes, about.
const ENTRY_OVERHEAD: usize = 128;
/// With fewer channels none is looked for that nobody listens to.
const SWEEP_MIN: usize = 64;

/// How a [`MemoryCache`] behaves.
#[derive(Debug, Clone)]
pub struct MemoryConfig {
    /// Most bytes of keys, values and what keeps them.
    pub bytes_max: usize,
    /// Time: lives are measured on its monotonic side, which never jumps.
    pub clock: Arc<dyn Clock>,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, clock: Arc::new(SystemClock::default()) }
    }
}

/// A cache in this process. Clones share it.
///
/// ```
/// use cairn_cache::backend::{CacheBackend, MemoryCache, Written};
/// use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let cache = MemoryCache::default();
/// let minute = Duration::from_secs(60);
/// cache.set_if_newer(b"city", "Bern".into(), 7, minute).await?;
/// assert_eq!(cache.set_if_newer(b"city", "Thun".into(), 6, minute).await?, Written::Older);
/// let found = cache.get(b"city").await?.expect("there");
/// assert_eq!((found.revision, found.value), (7, Some("Bern".into())));
/// # Ok::<(), cairn_cache::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    entries: HashMap<Bytes, Entry>,
    /// Every key once, the next to be looked at first.
    turn: VecDeque<Bytes>,
    len: usize,
    bytes_max: usize,
    channels: HashMap<String, Vec<Sender>>,
    /// With so many channels it is time to look for those that nobody listens to.
    sweep_at: usize,
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    /// On the monotonic clock.
    deadline: Option<Duration>,
    asked_for: bool,
}

/// The entries at one moment.
struct At<'a> {
    state: &'a mut State,
    now: Duration,
    now_us: i64,
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new(MemoryConfig::default())
    }
}

impl MemoryCache {
    /// An empty cache.
    #[must_use]
    pub fn new(config: MemoryConfig) -> Self {
        let MemoryConfig { bytes_max, clock } = config;
        let (entries, turn, channels) = (HashMap::new(), VecDeque::new(), HashMap::new());
        let sweep_at = SWEEP_MIN;
        let state = State { entries, turn, len: 0, bytes_max, channels, sweep_at };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Bytes in use, about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().len
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().entries.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, call: impl FnOnce(&mut At<'_>) -> T) -> T {
        let (now, now_us) = (self.clock.monotonic(), self.clock.now().as_micros());
        call(&mut At { state: &mut self.state(), now, now_us })
    }

    fn stamped(&self, key: &[u8]) -> Result<Option<Stamped>> {
        check_key(key)?;
        Ok(self.with(|at| at.get(key)).as_ref().and_then(Stamped::decode))
    }

    fn write(&self, key: &[u8], stamped: &Stamped, ttl: Duration) -> Result<Written> {
        check_key(key)?;
        check_value(stamped.value.as_deref().unwrap_or_default())?;
        let args = [Bytes::from(stamped.encode()), Bytes::from(ttl_ms(ttl).to_string())];
        let keys = [Bytes::copy_from_slice(key)];
        written(&self.with(|at| (SET_IF_NEWER.local)(at, &keys, &args))?)
    }
}

impl State {
    /// Adds a listener; those that went away are forgotten here, since perhaps nobody publishes.
    fn listen(&mut self, channel: &str, listener: Sender) {
        let listeners = self.channels.entry(channel.to_owned()).or_default();
        listeners.retain(Sender::is_open);
        listeners.push(listener);
        if self.channels.len() > self.sweep_at {
            self.channels.retain(|_, listeners| listeners.iter().any(Sender::is_open));
            self.sweep_at = SWEEP_MIN.max(2 * self.channels.len());
        }
    }

    fn take_out(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.len = self.len.saturating_sub(cost(&key, &entry.value));
        Some(entry)
    }

    /// Lets entries go until so many bytes more are within the budget. Says whether turns were
    /// taken out: those of keys without an entry may be among them.
    fn make_room(&mut self, now: Duration, more: usize) -> bool {
        let mut has_changed = false;
        while self.len.saturating_add(more) > self.bytes_max {
            let Some(key) = self.turn.pop_front() else { break };
            has_changed = true;
            match self.entries.get_mut(&key) {
                // Removed before; only its turn was left.
                None => {}
                Some(entry) if entry.asked_for && !is_over(entry, now) => {
                    entry.asked_for = false;
                    self.turn.push_back(key);
                }
                Some(_) => {
                    self.take_out(&key);
                }
            }
        }
        // Keys that come and go leave turns behind.
        if self.turn.len() > 2 * self.entries.len() + 64 {
            let mut seen = std::collections::HashSet::new();
            let entries = &self.entries;
            self.turn.retain(|key| entries.contains_key(key) && seen.insert(key.clone()));
            has_changed = true;
        }
        has_changed
    }
}

fn cost(key: &[u8], value: &[u8]) -> usize {
    2 * key.len() + value.len() + ENTRY_OVERHEAD
}

fn is_over(entry: &Entry, now: Duration) -> bool {
    entry.deadline.is_some_and(|deadline| deadline <= now)
}

impl At<'_> {
    fn live(&mut self, key: &[u8]) -> Option<&mut Entry> {
        if self.state.entries.get(key).is_some_and(|entry| is_over(entry, self.now)) {
            self.state.take_out(key);
        }
        self.state.entries.get_mut(key)
    }
}

impl ScriptKeys for At<'_> {
    fn get(&mut self, key: &[u8]) -> Option<Bytes> {
        let entry = self.live(key)?;
        entry.asked_for = true;
        Some(entry.value.clone())
    }

    fn set(&mut self, key: &[u8], value: Bytes, ttl: Option<Duration>) {
        // A copy of its own: a slice would keep the whole buffer it came in alive.
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(&value));
        let deadline = ttl.map(|ttl| self.now.saturating_add(ttl));
        let is_new = self.state.take_out(&key).is_none();
        let cost = cost(&key, &value);
        if cost > self.state.bytes_max {
            // It would drive out everything else and then go itself. What the key had is over.
            return;
        }
        // Before it is there: else it would be the first to go where all others were asked for.
        let may_have_lost_its_turn = self.state.make_room(self.now, cost);
        self.state.len += cost;
        // One turn too many is taken out in time; without one an entry would stay for ever.
        if is_new || may_have_lost_its_turn {
            self.state.turn.push_back(key.clone());
        }
        self.state.entries.insert(key, Entry { value, deadline, asked_for: !is_new });
    }

    fn remove(&mut self, key: &[u8]) -> bool {
        self.live(key).is_some() && self.state.take_out(key).is_some()
    }

    fn expire(&mut self, key: &[u8], ttl: Duration) -> bool {
        let deadline = self.now.saturating_add(ttl);
        let Some(entry) = self.live(key) else { return false };
        entry.deadline = Some(deadline);
        if ttl.is_zero() {
            self.state.take_out(key);
        }
        true
    }

    fn ttl(&mut self, key: &[u8]) -> Option<Duration> {
        let now = self.now;
        self.live(key)?.deadline.map(|deadline| deadline.saturating_sub(now))
    }

    fn now_us(&mut self) -> i64 {
        self.now_us
    }
}

fn ready<'a, T: Send + 'a>(answer: Result<T>) -> Answer<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl CacheBackend for MemoryCache {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn ping(&self) -> Answer<'_, ()> {
        ready(Ok(()))
    }

    fn time(&self) -> Answer<'_, i64> {
        ready(Ok(self.clock.now().as_micros()))
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Stamped>> {
        ready(self.stamped(key))
    }

    fn mget<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, Vec<Option<Stamped>>> {
        let found = self.with(|at| keys.iter().map(|key| at.get(key)).collect::<Vec<_>>());
        let decode = |found: Option<Bytes>| found.as_ref().and_then(Stamped::decode);
        ready(Ok(found.into_iter().map(decode).collect()))
    }

    fn set_if_newer<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        revision: u64,
        ttl: Duration,
    ) -> Answer<'a, Written> {
        ready(self.write(key, &Stamped { revision, value: Some(value) }, ttl))
    }

    fn delete<'a>(&'a self, key: &'a [u8], revision: u64, ttl: Duration) -> Answer<'a, Written> {
        ready(self.write(key, &Stamped { revision, value: None }, ttl))
    }

    fn apply<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, ()> {
        let write = |change: &Change| {
            let stamped = Stamped { revision: change.revision, value: change.value.clone() };
            self.write(&change.key, &stamped, change.ttl).map(drop)
        };
        ready(changes.iter().try_for_each(write))
    }

    fn expire<'a>(&'a self, key: &'a [u8], ttl: Duration) -> Answer<'a, bool> {
        ready(Ok(self.with(|at| at.expire(key, ttl))))
    }

    fn get_plain<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        ready(check_key(key).map(|()| self.with(|at| at.get(key))))
    }

    fn set_plain<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Answer<'a, ()> {
        let checked = check_key(key).and_then(|()| check_value(&value));
        ready(checked.map(|()| self.with(|at| at.set(key, value, ttl))))
    }

    fn remove<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, u64> {
        ready(Ok(self.with(|at| keys.iter().map(|key| u64::from(at.remove(key))).sum())))
    }

    fn flush<'a>(&'a self, prefix: &'a [u8]) -> Answer<'a, u64> {
        let mut keys: Vec<Bytes> = self.state().entries.keys().cloned().collect();
        keys.retain(|key| key.starts_with(prefix));
        ready(Ok(self.with(|at| keys.iter().map(|key| u64::from(at.remove(key))).sum())))
    }

    fn publish<'a>(&'a self, channel: &'a str, message: Bytes) -> Answer<'a, u64> {
        if let Err(error) = check_channel(channel).and_then(|()| check_value(&message)) {
            return ready(Err(error));
        }
        let mut state = self.state();
        let Some(listeners) = state.channels.get_mut(channel) else { return ready(Ok(0)) };
        listeners.retain(|listener| listener.send(Delivery::Message(message.clone())));
        let count = listeners.len() as u64;
        if count == 0 {
            state.channels.remove(channel);
        }
        ready(Ok(count))
    }

    fn subscribe<'a>(&'a self, channel: &'a str) -> Answer<'a, Subscription> {
        if let Err(error) = check_channel(channel) {
            return ready(Err(error));
        }
        let (subscription, sender, _ended) = Subscription::new();
        self.state().listen(channel, sender);
        ready(Ok(subscription))
    }

    fn script<'a>(
        &'a self,
        script: &'a Script,
        keys: &'a [Bytes],
        args: &'a [Bytes],
    ) -> Answer<'a, Reply> {
        ready(self.with(|at| (script.local)(at, keys, args)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_that_went_away_are_forgotten_though_nobody_publishes() {
        let cache = MemoryCache::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for number in 0..10_000 {
                let gone = cache.subscribe(&format!("c{number}")).await.expect("subscribes");
                drop(gone);
                drop(cache.subscribe("same").await.expect("subscribes"));
            }
        });
        let state = cache.state();
        assert!(state.channels.len() <= SWEEP_MIN + 1, "{}", state.channels.len());
        assert!(state.channels.values().all(|listeners| listeners.len() <= 1));
    }
}
