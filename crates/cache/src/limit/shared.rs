//! Limits that several processes share through a cache: one script a check. Derived; a cache that
//! forgets begins with whole allowances.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Decision, Rate, RateLimiter};
use crate::backend::{CacheBackend, Reply, Script};
use crate::hybrid::escape;
use crate::{Error, Result};

/// `ARGV` are interval in microseconds, burst and cost; the answer is whether it is allowed, and
/// the debt in microseconds. All numbers stay below 2^53, so Lua's are exact. What is stored is
/// the theoretical arrival time; anything else counts as none, a time too far ahead as an empty
/// allowance.
const GCRA: Script = Script {
    name: "rate limit",
    lua: "local time = redis.call('TIME')\n\
          local now = time[1] * 1000000 + time[2]\n\
          local interval = tonumber(ARGV[1])\n\
          local capacity = interval * tonumber(ARGV[2])\n\
          local wanted = interval * tonumber(ARGV[3])\n\
          local debt = (tonumber(redis.call('GET', KEYS[1]) or '') or 0) - now\n\
          if not (debt > 0) then debt = 0 end\n\
          if debt > capacity then debt = capacity end\n\
          if debt + wanted > capacity then return {0, debt} end\n\
          debt = debt + wanted\n\
          if wanted > 0 then\n\
            local tat = string.format('%.0f', now + debt)\n\
            redis.call('SET', KEYS[1], tat, 'PX', string.format('%.0f', math.floor(debt / 1000) + 1))\n\
          end\n\
          return {1, debt}",
    local: |entries, keys, args| {
        let number = |at: usize| -> u128 {
            let text = args.get(at).and_then(|text| std::str::from_utf8(text).ok());
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let now = u128::try_from(entries.now_us()).unwrap_or(0);
        let (interval, burst, cost) = (number(0), number(1), number(2));
        let (capacity, wanted) = (interval * burst, interval * cost);
        let Some(key) = keys.first() else { return Ok(Reply::Nil) };
        let tat = entries.get(key).and_then(|text| {
            std::str::from_utf8(&text).ok().and_then(|text| text.parse::<u128>().ok())
        });
        let debt = tat.unwrap_or(0).saturating_sub(now).min(capacity);
        let answer = |allowed, debt: u128| {
            let debt = i64::try_from(debt).unwrap_or(i64::MAX);
            Ok(Reply::List(vec![Reply::Int(allowed), Reply::Int(debt)]))
        };
        if debt + wanted > capacity {
            return answer(0, debt);
        }
        let debt = debt + wanted;
        if wanted > 0 {
            let millis = u64::try_from(debt / 1000).unwrap_or(u64::MAX).saturating_add(1);
            let ttl = Duration::from_millis(millis);
            entries.set(key, (now + debt).to_string().into(), Some(ttl));
        }
        answer(1, debt)
    },
};

/// Limits how often something is done for each key, by all who share a cache.
///
/// Time is the cache's own; intervals are rounded up to whole microseconds.
///
/// ```
/// use cairn_cache::backend::MemoryCache;
/// use cairn_cache::{Rate, SharedRateLimiter};
/// use std::{sync::Arc, time::Duration};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let rate = Rate::new(2, Duration::from_secs(60))?;
/// let limiter = SharedRateLimiter::new(rate, Arc::new(MemoryCache::default()), "login");
/// assert!(limiter.check(b"alice").await?.allowed);
/// assert!(limiter.check(b"alice").await?.allowed);
/// assert!(!limiter.check(b"alice").await?.allowed);
/// # Ok::<(), cairn_cache::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SharedRateLimiter {
    rate: Rate,
    interval_us: u64,
    cache: Arc<dyn CacheBackend>,
    prefix: String,
    fallback: Option<RateLimiter>,
}

impl SharedRateLimiter {
    /// A limiter for what this name stands for.
    #[must_use]
    pub fn new(rate: Rate, cache: Arc<dyn CacheBackend>, name: &str) -> Self {
        let interval_us = rate.interval_ns.div_ceil(1000);
        // Not `cairn:`, which namespaces of stores begin with; and a name cannot reach into a key.
        let mut prefix = "cairn-rate:".to_owned();
        escape(name.as_bytes(), &mut prefix);
        prefix.push(':');
        Self { rate, interval_us, cache, prefix, fallback: None }
    }

    /// Decides with a limiter of this process when the cache does not answer: each process then
    /// limits for itself, and nobody gets an error.
    #[must_use]
    pub fn with_fallback(self, local: RateLimiter) -> Self {
        Self { fallback: Some(local), ..self }
    }

    /// Takes one from a key's allowance, if it is there.
    ///
    /// # Errors
    /// The cache's, when there is no fallback.
    pub async fn check(&self, key: &[u8]) -> Result<Decision> {
        self.check_cost(key, 1).await
    }

    /// Takes `cost` from a key's allowance, or nothing.
    ///
    /// # Errors
    /// The cache's, when there is no fallback.
    pub async fn check_cost(&self, key: &[u8], cost: u32) -> Result<Decision> {
        match (self.ask(key, cost).await, &self.fallback) {
            (Err(_), Some(local)) => Ok(local.check_cost(key, cost)),
            (answer, _) => answer,
        }
    }

    async fn ask(&self, key: &[u8], cost: u32) -> Result<Decision> {
        let key: Bytes = [self.prefix.as_bytes(), key].concat().into();
        let burst = self.rate.burst;
        let args = [self.interval_us.to_string(), burst.to_string(), cost.to_string()];
        let args = args.map(Bytes::from);
        let reply = self.cache.script(&GCRA, &[key], &args).await?;
        let number = |at: usize| reply.as_list().and_then(|parts| parts.get(at)?.as_int());
        let (allowed, debt) = match (number(0), number(1)) {
            (Some(allowed), Some(debt)) => (allowed == 1, u64::try_from(debt).unwrap_or(0)),
            _ => return Err(Error::protocol("a rate limit answers with two numbers")),
        };
        Ok(self.decision(allowed, debt, cost))
    }

    fn decision(&self, allowed: bool, debt_us: u64, cost: u32) -> Decision {
        let interval = u128::from(self.interval_us);
        let capacity = interval * u128::from(self.rate.burst);
        let debt = u128::from(debt_us).min(capacity);
        let wanted = interval * u128::from(cost);
        let micros = |count: u128| Duration::from_micros(u64::try_from(count).unwrap_or(u64::MAX));
        let retry_after = if allowed {
            Some(Duration::ZERO)
        } else {
            (wanted <= capacity).then(|| micros((debt + wanted).saturating_sub(capacity)))
        };
        let remaining = u32::try_from((capacity - debt) / interval).unwrap_or(u32::MAX);
        Decision { allowed, remaining, retry_after, reset_after: micros(debt) }
    }
}
