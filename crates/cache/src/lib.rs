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

pub use breaker::BreakerConfig;
pub use client::RedisClient;
pub use error::{Error, Result};
pub use figures::CacheStats;
pub use hybrid::{CacheReader, HybridOptions, HybridStore, Known, Lookup, Misses, flush_namespace};
