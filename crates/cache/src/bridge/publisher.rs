//! From the log to a channel. Derived: what is not published is read from the log by whoever
//! misses it.

use std::sync::Arc;
use std::time::Duration;

use cairndb::log::ListenerGuard;
use tokio::sync::Notify;

use super::{Feed, message};
use crate::backend::CacheBackend;
use crate::{Error, Result};

/// Updates published before other tasks get their turn.
const TURN: usize = 256;

/// How often a store that another process writes is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Publishes the updates of a feed to a channel.
///
/// It remembers nothing: after a restart it begins with what is new, and subscribers read from
/// the log what came in between.
#[derive(Debug)]
pub struct Publisher {
    feed: Feed,
    cache: Arc<dyn CacheBackend>,
    channel: String,
    positions: Vec<u64>,
    moved: Arc<Notify>,
    _listening: ListenerGuard,
    lost: u64,
}

impl Publisher {
    /// Publishes what comes after now.
    ///
    /// # Errors
    /// The engine's.
    pub fn new(feed: Feed, cache: Arc<dyn CacheBackend>, channel: &str) -> Result<Self> {
        let (moved, listening) = feed.listen();
        let positions = feed.ends()?;
        let channel = channel.to_owned();
        Ok(Self { feed, cache, channel, positions, moved, _listening: listening, lost: 0 })
    }

    /// Publishes all that is there now; how many updates. When the cache does not take one, the
    /// rest is left to the log: subscribers see the gap.
    ///
    /// # Errors
    /// The engine's.
    pub async fn pump(&mut self) -> Result<u64> {
        let mut published = 0;
        for lane in 0..self.feed.lane_count() {
            let mut turn = 0;
            while let Some(update) = self.next(lane)? {
                let message = message::encode(&update)?;
                if self.cache.publish(&self.channel, message).await.is_err() {
                    // Trying each of them would only make a slow cache slower.
                    self.lost += 1;
                    self.positions = self.feed.ends()?;
                    return Ok(published);
                }
                published += 1;
                turn += 1;
                if turn % TURN == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(published)
    }

    fn next(&mut self, lane: u32) -> Result<Option<super::Update>> {
        let place = usize::try_from(lane).expect("32 bits fit");
        let Some(position) = self.positions.get(place).copied() else { return Ok(None) };
        let update = match self.feed.next_after(lane, position) {
            // Retention was faster. Subscribers are told the same by their own feed.
            Err(Error::TooFarBehind { .. }) => {
                self.positions = self.feed.ends()?;
                return Ok(None);
            }
            update => update?,
        };
        if let (Some(update), Some(position)) = (&update, self.positions.get_mut(place)) {
            *position = update.at;
        }
        Ok(update)
    }

    /// Publishes until the engine fails. Dropping the future stops it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn run(&mut self) -> Result<()> {
        loop {
            self.pump().await?;
            let writes_here = !self.feed.engine().log().is_read_only();
            let most = if writes_here { Duration::from_secs(1) } else { LOOK };
            self.feed.moved(&self.moved, most).await?;
        }
    }

    /// How often the cache did not take an update.
    #[must_use]
    pub const fn lost_count(&self) -> u64 {
        self.lost
    }
}
