//! Caches in front of Cairn. Derived: everything here can be lost at any time; the log is the
//! truth.
//!
//! ```text
//!                    ┌ local tier ── fresh? ──▶ value
//!  HybridStore.get ──┤      (the engine's index says)
//!                    └ backend / engine ──────▶ value, taken into the tiers
//!
//!  engine's watch ──▶ follower ──▶ backend ──▶ readers without an engine, within a bound
//! ```
//!
//! * [`backend`]: one trait, three caches: in process, Redis (feature `redis`), Upstash REST
//!   (feature `upstash`).
//! * [`HybridStore`]: a keyspace of an engine with a cache in front; [`CacheReader`]: the same
//!   cache for a program without an engine.
//! * [`RedisClient`]: keys with a time to live, and channels, at an address.
//!
//! * [`lock`]: locks and elections in the engine, fences for what their holders write.
//! * [`limit`]: rate limits, in process or in one script of a server.
//! * [`bridge`]: updates of keys and topics to channels, and subscribers that miss none.
//! * [`session`]: sealed sessions in the engine, with a checked cache in front.
//!
//! What always holds: an older revision never replaces a newer one; a value is served only after
//! the engine's index said that it is the newest, or, without an engine, within a stated age;
//! a cache that is dead or slow costs time, never an error.
//!
//! This crate knows nothing of files, of how keys are stored, or of the command line.
#![forbid(unsafe_code)]

pub mod backend;
mod breaker;
mod client;
mod error;
mod figures;
mod flight;
mod hybrid;
mod pace;

pub mod bridge;
mod election;
mod fence;
pub mod limit;
pub mod lock;
pub mod session;

pub use error::{Error, Result};

pub use election::{Election, Leadership, Observer};
pub use fence::{Fence, TokenGate};
pub use limit::{Decision, Rate, RateLimiter, SharedRateLimiter};
pub use lock::advisory::AdvisoryLock;
pub use lock::{HeldLock, Holder, LockConfig, LockGuard, LockPlace, Locks, Renewer};
pub use session::{
    IssuedSession, Session, SessionConfig, SessionId, SessionManager, SessionStats, SessionToken,
};

pub use breaker::BreakerConfig;
pub use client::RedisClient;
pub use figures::CacheStats;
pub use hybrid::{CacheReader, HybridOptions, HybridStore, Known, Lookup, Misses, flush_namespace};
