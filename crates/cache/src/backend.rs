//! What a cache can do, whoever does it. Derived: everything in a cache can be lost at any time.
//!
//! A stamped entry carries the revision its value was read at. Whoever writes an entry says the
//! revision, and the older of two never replaces the newer, in whatever order they arrive.
//! Entries without a stamp (the `plain` ones) are those of other programs.

mod limits;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod script;
mod stamp;
mod subscription;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod tls;
#[cfg(feature = "upstash")]
mod upstash;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

pub use limits::{CHANNEL_LEN_MAX, KEY_LEN_MAX, VALUE_LEN_MAX};
pub use memory::{MemoryCache, MemoryConfig};
#[cfg(feature = "redis")]
pub use redis::{RedisCache, RedisConfig};
pub use script::{Reply, Script, ScriptKeys};
pub use stamp::Stamped;
pub use subscription::{Delivery, Subscription};
#[cfg(feature = "upstash")]
pub use upstash::{UpstashCache, UpstashConfig};

pub(crate) use limits::{check_channel, check_key, check_value};
pub(crate) use stamp::ttl_ms;
pub(crate) use subscription::Sender;

use crate::Result;

/// What a call of a backend gives: a future without a borrowed runtime.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Whether a stamped write took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Yes,
    /// The cache has the same or a newer revision of the key, or a tombstone of one.
    Older,
}

/// One stamped change, for [`CacheBackend::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// The value; `None` leaves a tombstone.
    pub value: Option<Bytes>,
    /// Its revision.
    pub revision: u64,
    /// How long it stays.
    pub ttl: Duration,
}

/// A cache. Calls may be made from any task; each is bounded in time by the backend itself.
///
/// # Errors
/// Every call can bring [`Error::TooLarge`](crate::Error::TooLarge) for what is over the limits of
/// [this module](self), and what a connection can: `Connect`, `Timeout`, `Protocol`, `Refused`,
/// `Denied`. After `Timeout` it is not known whether it was done.
pub trait CacheBackend: Send + Sync + Debug {
    /// What it is, without secrets: `memory`, `redis at host:port`.
    fn describe(&self) -> String;

    /// Whether it answers.
    fn ping(&self) -> Answer<'_, ()>;

    /// The cache's own clock in microseconds since 1970. Ages of entries that several programs
    /// share are reckoned on it, never on the clock of one of them.
    fn time(&self) -> Answer<'_, i64>;

    /// A stamped entry. One that is not ours counts as none.
    fn get<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Stamped>>;

    /// Many, in the order of the keys, as they were at one moment.
    fn mget<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, Vec<Option<Stamped>>>;

    /// Writes a value, unless there is one of the same or a newer revision, or a tombstone of one.
    fn set_if_newer<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        revision: u64,
        ttl: Duration,
    ) -> Answer<'a, Written>;

    /// Leaves a tombstone: until its time is over no value of this revision or an older one comes
    /// in. Refused as [`set_if_newer`](Self::set_if_newer) is.
    fn delete<'a>(&'a self, key: &'a [u8], revision: u64, ttl: Duration) -> Answer<'a, Written>;

    /// Many stamped changes in few round trips, in their order. After an error some may have
    /// been made; making all of them again is right.
    fn apply<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, ()>;

    /// Gives an entry a new time to live; whether there was one. Zero ends it.
    fn expire<'a>(&'a self, key: &'a [u8], ttl: Duration) -> Answer<'a, bool>;

    /// An entry without a stamp.
    fn get_plain<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Bytes>>;

    /// Writes an entry without a stamp; `None` for one that stays.
    fn set_plain<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Answer<'a, ()>;

    /// Removes entries of any kind; how many there were.
    fn remove<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, u64>;

    /// Removes every entry whose key begins so, a piece at a time; how many there were.
    fn flush<'a>(&'a self, prefix: &'a [u8]) -> Answer<'a, u64>;

    /// Tells whoever listens to a channel at this moment; how many did, as far as it is known.
    fn publish<'a>(&'a self, channel: &'a str, message: Bytes) -> Answer<'a, u64>;

    /// Listens to a channel from now on. A hint, never a record: what was published while there
    /// was no connection is gone, and told of as [`Delivery::Gap`].
    fn subscribe<'a>(&'a self, channel: &'a str) -> Answer<'a, Subscription>;

    /// Runs a script in one step.
    fn script<'a>(
        &'a self,
        script: &'a Script,
        keys: &'a [Bytes],
        args: &'a [Bytes],
    ) -> Answer<'a, Reply>;
}
