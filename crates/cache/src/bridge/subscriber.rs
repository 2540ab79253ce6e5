//! Updates from a channel, and from the log what the channel lost. Derived: the position is all
//! that a subscriber has to keep.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cairndb::log::ListenerGuard;
use tokio::sync::Notify;

use super::message::{self, Decoded};
use super::{Feed, FeedStart, Update};
use crate::Result;
use crate::backend::{CacheBackend, Delivery, Subscription};

/// Updates of a lane that are read from the log at once.
const READ_MAX: usize = 256;

/// How a subscriber behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberConfig {
    /// How often the log is looked at when the channel is silent: the latency that a dead cache
    /// costs.
    pub poll: Duration,
    /// Take what is in a message for true when it fits the position, and read only gaps from the
    /// log. Whoever can publish to the channel can then say anything. Without it messages only
    /// wake the subscriber up.
    pub trust_messages: bool,
}

impl Default for SubscriberConfig {
    fn default() -> Self {
        Self { poll: Duration::from_millis(250), trust_messages: false }
    }
}

/// Where updates came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriberStats {
    /// Updates taken from messages.
    pub from_messages: u64,
    /// Updates read from the log.
    pub from_log: u64,
    /// Messages that were seen before, by their position.
    pub repeated: u64,
    /// Messages that were none of ours.
    pub refused: u64,
}

/// Gets every update after a position once, in order.
///
/// ```
/// use cairn_cache::backend::MemoryCache;
/// use cairn_cache::bridge::{Feed, FeedStart, Publisher, Subscriber, UpdateBody};
/// use cairndb::prelude::*;
/// use std::sync::Arc;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// engine.create_keyspace("users")?;
/// let cache = Arc::new(MemoryCache::default());
/// let feed = || Feed::keys(&engine, "users", Range::all());
/// let mut publisher = Publisher::new(feed()?, cache.clone(), "users")?;
/// let mut subscriber = Subscriber::new(feed()?, cache, "users", &FeedStart::Now)?;
///
/// engine.keyspace("users")?.put("alice", "1")?;
/// publisher.pump().await?;
/// let update = subscriber.next().await?;
/// let UpdateBody::Keys(changes) = update.body else { panic!("keys") };
/// assert_eq!(changes[0].key, "alice");
/// let go_on_here_later = subscriber.positions();
/// # let _ = go_on_here_later;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Subscriber {
    feed: Feed,
    cache: Arc<dyn CacheBackend>,
    channel: String,
    config: SubscriberConfig,
    positions: Vec<u64>,
    /// Read, and not handed out yet.
    ready: VecDeque<Update>,
    /// Positions after what is ready.
    read_to: Vec<u64>,
    /// The log may have more than the channel told.
    is_behind: bool,
    subscription: Option<Subscription>,
    /// When to try the channel again, on the monotonic clock.
    retry_at: Duration,
    /// When the log was looked at last, on the same clock.
    looked_at: Duration,
    moved: Arc<Notify>,
    _listening: ListenerGuard,
    stats: SubscriberStats,
}

impl Subscriber {
    /// Subscribes with the default settings.
    ///
    /// # Errors
    /// As [`Feed::start`].
    pub fn new(
        feed: Feed,
        cache: Arc<dyn CacheBackend>,
        channel: &str,
        start: &FeedStart,
    ) -> Result<Self> {
        Self::with(feed, cache, channel, start, SubscriberConfig::default())
    }

    /// Subscribes.
    ///
    /// # Errors
    /// As [`Feed::start`].
    pub fn with(
        feed: Feed,
        cache: Arc<dyn CacheBackend>,
        channel: &str,
        start: &FeedStart,
        config: SubscriberConfig,
    ) -> Result<Self> {
        let (moved, listening) = feed.listen();
        let positions = feed.start(start)?;
        Ok(Self {
            cache,
            channel: channel.to_owned(),
            config,
            read_to: positions.clone(),
            positions,
            ready: VecDeque::new(),
            is_behind: true,
            subscription: None,
            retry_at: Duration::ZERO,
            looked_at: Duration::ZERO,
            moved,
            _listening: listening,
            stats: SubscriberStats::default(),
            feed,
        })
    }

    /// Positions after what was handed out, one a lane. Kept with what was made of the updates,
    /// they are where to go on after a restart.
    #[must_use]
    pub fn positions(&self) -> Vec<u64> {
        self.positions.clone()
    }

    /// Where updates came from so far.
    #[must_use]
    pub const fn stats(&self) -> SubscriberStats {
        self.stats
    }

    /// The next update, waiting for it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::TooFarBehind`](crate::Error::TooFarBehind) when the log has given up what comes
    /// next; the engine's. Never the cache's.
    pub async fn next(&mut self) -> Result<Update> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                if let Some(position) = position(&mut self.positions, update.lane) {
                    *position = update.at;
                }
                return Ok(update);
            }
            // The channel comes before the log, so that nothing falls between the two.
            self.connect().await;
            if self.is_behind {
                self.read_log()?;
                if !self.ready.is_empty() {
                    continue;
                }
            }
            self.wait().await?;
        }
    }

    fn now(&self) -> Duration {
        self.feed.engine().log().clock().monotonic()
    }

    /// Listens to the channel, if that can be had within a poll interval.
    async fn connect(&mut self) {
        let now = self.now();
        if self.subscription.is_some() || now < self.retry_at {
            return;
        }
        let attempt = self.cache.subscribe(&self.channel);
        let made = tokio::time::timeout(self.config.poll, attempt).await;
        self.subscription = made.ok().and_then(Result::ok);
        if self.subscription.is_some() {
            self.is_behind = true;
        } else {
            self.retry_at = now.saturating_add(self.config.poll * 4);
        }
    }

    /// Waits for a message, or for the time to look at the log.
    async fn wait(&mut self) -> Result<()> {
        let poll = self.config.poll;
        let Some(subscription) = &mut self.subscription else {
            self.feed.moved(&self.moved, poll).await?;
            self.is_behind = true;
            return Ok(());
        };
        match tokio::time::timeout(poll, subscription.next()).await {
            Ok(Some(Delivery::Message(bytes))) => self.take(&bytes),
            Ok(Some(Delivery::Gap)) | Err(_) => self.is_behind = true,
            Ok(None) => {
                self.subscription = None;
                self.is_behind = true;
            }
        }
        // A channel that is never silent (other lanes, repetitions, strangers) says nothing about
        // what it lost.
        self.is_behind |= self.now().saturating_sub(self.looked_at) >= poll;
        if self.is_behind && self.feed.engine().log().is_read_only() {
            self.feed.engine().refresh()?;
        }
        Ok(())
    }

    /// Takes a message in: by its positions it is old, fits, or shows a gap.
    fn take(&mut self, bytes: &[u8]) {
        let Ok(message) = message::decode(bytes) else {
            self.stats.refused += 1;
            return;
        };
        let Decoded { lane, prev, at, body } = message;
        let Some(position) = position(&mut self.read_to, lane) else {
            self.stats.refused += 1;
            return;
        };
        match body {
            _ if at <= *position => self.stats.repeated += 1,
            Some(body) if self.config.trust_messages && prev <= *position => {
                let update = Update { lane, prev: *position, at, body };
                *position = at;
                self.stats.from_messages += 1;
                self.ready.push_back(update);
            }
            _ => self.is_behind = true,
        }
    }

    /// Reads what the log has after the positions, a bounded number of updates.
    fn read_log(&mut self) -> Result<()> {
        // What comes from now on is told by the channel, or seen at the next look.
        self.is_behind = false;
        self.looked_at = self.now();
        for lane in 0..self.feed.lane_count() {
            let Some(position) = position(&mut self.read_to, lane) else { continue };
            let mut read = 0;
            while read < READ_MAX {
                let Some(update) = self.feed.next_after(lane, *position)? else { break };
                *position = update.at;
                self.stats.from_log += 1;
                self.ready.push_back(update);
                read += 1;
            }
            self.is_behind |= read == READ_MAX;
        }
        Ok(())
    }
}

fn position(positions: &mut [u64], lane: u32) -> Option<&mut u64> {
    positions.get_mut(usize::try_from(lane).ok()?)
}
