//! A cache by its address: keys with a time to live, and channels. Derived.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::backend::{CacheBackend, Subscription};
use crate::{Error, Result};

/// A client of a cache server. Clones share the connection. Entries have no stamp: they are those
/// that any other program at the same server sees.
///
/// ```no_run
/// use cairn_cache::RedisClient;
/// use std::time::Duration;
/// # async fn example() -> cairn_cache::Result<()> {
/// let client = RedisClient::new("redis://127.0.0.1/")?;
/// client.set_with_ttl(b"greeting", "hello", Duration::from_secs(60)).await?;
/// assert_eq!(client.get(b"greeting").await?.as_deref(), Some(&b"hello"[..]));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisClient {
    backend: Arc<dyn CacheBackend>,
}

impl RedisClient {
    /// A server at `redis://` or `rediss://`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`]; [`Error::Unsupported`] for clusters, and what this build
    /// leaves out.
    pub fn new(url: &str) -> Result<Self> {
        if url.starts_with("https://") || url.starts_with("http://") {
            let reason = "a REST address needs a token: use `with_token`".to_owned();
            return Err(Error::InvalidUrl { reason });
        }
        #[cfg(feature = "redis")]
        {
            let config = crate::backend::RedisConfig::default();
            Ok(Self::over(Arc::new(crate::backend::RedisCache::new(url, config)?)))
        }
        #[cfg(not(feature = "redis"))]
        {
            Err(Error::Unsupported { what: "redis:// without the feature `redis`".to_owned() })
        }
    }

    /// An Upstash database at its REST address `https://`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[cfg_attr(not(feature = "upstash"), expect(unused_variables, reason = "refused"))]
    pub fn with_token(url: &str, token: &str) -> Result<Self> {
        #[cfg(feature = "upstash")]
        {
            let config = crate::backend::UpstashConfig::default();
            Ok(Self::over(Arc::new(crate::backend::UpstashCache::new(url, token, config)?)))
        }
        #[cfg(not(feature = "upstash"))]
        {
            Err(Error::Unsupported { what: "https:// without the feature `upstash`".to_owned() })
        }
    }

    /// Over any backend, also the one in process.
    #[must_use]
    pub fn over(backend: Arc<dyn CacheBackend>) -> Self {
        Self { backend }
    }

    /// The backend, for a [`HybridStore`](crate::HybridStore) at the same server.
    #[must_use]
    pub fn backend(&self) -> Arc<dyn CacheBackend> {
        self.backend.clone()
    }

    /// A value.
    ///
    /// # Errors
    /// The backend's, typed: no connection, no answer in time, refused.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.backend.get_plain(key).await
    }

    /// Writes a value that stays.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn set(&self, key: &[u8], value: impl Into<Bytes>) -> Result<()> {
        self.backend.set_plain(key, value.into(), None).await
    }

    /// Writes a value that goes after a time.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn set_with_ttl(
        &self,
        key: &[u8],
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<()> {
        self.backend.set_plain(key, value.into(), Some(ttl)).await
    }

    /// Removes a value; whether there was one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(self.backend.remove(&[Bytes::copy_from_slice(key)]).await? > 0)
    }

    /// Gives a value a new time to live; whether there was one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn expire(&self, key: &[u8], ttl: Duration) -> Result<bool> {
        self.backend.expire(key, ttl).await
    }

    /// Tells whoever listens to a channel now; how many did.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn publish(&self, channel: &str, message: impl Into<Bytes>) -> Result<u64> {
        self.backend.publish(channel, message.into()).await
    }

    /// Listens to a channel from now on.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn subscribe(&self, channel: &str) -> Result<Subscription> {
        self.backend.subscribe(channel).await
    }
}
