//! A lock in a cache. Derived, and **advice only**: it keeps well-behaved programs from doing the
//! same work twice, and protects nothing.
//!
//! A cache knows no order of holders that a write could be checked against, forgets when it
//! restarts, and ends a lock by its own clock while its holder is paused. So there is no fencing
//! token here, and two holders at once are possible. What must not happen twice is guarded by
//! [`Locks`](crate::Locks).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairndb::vfs::{OsRng, Rng};

use crate::Result;
use crate::backend::{CacheBackend, Reply, Script, ScriptKeys, ttl_ms};

/// Takes the lock if nobody has it: `ARGV` are owner and milliseconds.
const TAKE: Script = Script {
    name: "advisory lock: take",
    lua: "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end return 0",
    local: |entries, keys, args| {
        let free = entries.get(key(keys)).is_none();
        if free {
            entries.set(key(keys), argument(args, 0), Some(millis(args)));
        }
        Ok(Reply::Int(free.into()))
    },
};

/// Gives the owner more time.
const EXTEND: Script = Script {
    name: "advisory lock: extend",
    lua: "if redis.call('GET', KEYS[1]) == ARGV[1] then \
          return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0",
    local: |entries, keys, args| {
        let ours = is_owner(entries, keys, args) && entries.expire(key(keys), millis(args));
        Ok(Reply::Int(ours.into()))
    },
};

/// Removes the lock if the owner still has it.
const RELEASE: Script = Script {
    name: "advisory lock: release",
    lua: "if redis.call('GET', KEYS[1]) == ARGV[1] then \
          return redis.call('DEL', KEYS[1]) end return 0",
    local: |entries, keys, args| {
        let ours = is_owner(entries, keys, args) && entries.remove(key(keys));
        Ok(Reply::Int(ours.into()))
    },
};

fn key(keys: &[Bytes]) -> &[u8] {
    keys.first().map_or(&[], |key| &key[..])
}

fn argument(args: &[Bytes], at: usize) -> Bytes {
    args.get(at).cloned().unwrap_or_default()
}

fn millis(args: &[Bytes]) -> Duration {
    let text = argument(args, 1);
    let millis = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    Duration::from_millis(millis.unwrap_or(0))
}

fn is_owner(entries: &mut dyn ScriptKeys, keys: &[Bytes], args: &[Bytes]) -> bool {
    entries.get(key(keys)).is_some_and(|owner| owner == argument(args, 0))
}

/// A lock in a cache, as advice: see the [module](self) for what it does not do. Dropping it does
/// not give it back: it then ends with its time.
///
/// ```
/// use cairn_cache::backend::MemoryCache;
/// use cairn_cache::AdvisoryLock;
/// use std::{sync::Arc, time::Duration};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let cache = Arc::new(MemoryCache::default());
/// let minute = Duration::from_secs(60);
/// let held = AdvisoryLock::try_take(cache.clone(), "warm-up", minute).await?.expect("free");
/// assert!(AdvisoryLock::try_take(cache.clone(), "warm-up", minute).await?.is_none());
/// assert!(held.release().await?);
/// # Ok::<(), cairn_cache::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdvisoryLock {
    cache: Arc<dyn CacheBackend>,
    key: Bytes,
    /// 128 random bits: only who took it extends or releases it.
    owner: Bytes,
    ttl: Duration,
}

impl AdvisoryLock {
    /// Takes the lock for so long (whole milliseconds), if nobody has it.
    ///
    /// # Errors
    /// The cache's. After [`Timeout`](crate::Error::Timeout) it may be taken all the same, and
    /// ends with its time.
    pub async fn try_take(
        cache: Arc<dyn CacheBackend>,
        name: &str,
        ttl: Duration,
    ) -> Result<Option<Self>> {
        // As text, which every protocol carries.
        let owner = format!("{:016x}{:016x}", OsRng.next_u64(), OsRng.next_u64());
        let key = format!("cairn-advisory-lock:{name}").into();
        let lock = Self { cache, key, owner: owner.into(), ttl };
        Ok(lock.run(&TAKE).await?.then_some(lock))
    }

    /// Gives the lock its full time again; false when it is over, and maybe somebody else's.
    ///
    /// # Errors
    /// The cache's.
    pub async fn extend(&self) -> Result<bool> {
        self.run(&EXTEND).await
    }

    /// Gives the lock back; false when it was over.
    ///
    /// # Errors
    /// The cache's.
    pub async fn release(self) -> Result<bool> {
        self.run(&RELEASE).await
    }

    async fn run(&self, script: &Script) -> Result<bool> {
        let millis = ttl_ms(self.ttl).to_string().into();
        let (keys, args) = ([self.key.clone()], [self.owner.clone(), millis]);
        Ok(self.cache.script(script, &keys, &args).await?.as_int() == Some(1))
    }
}
