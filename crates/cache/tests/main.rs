//! The promises of caches, one module a topic.
//!
//! Tests that need a Redis start their own (`redis_server`), or say that there is none and pass.

mod redis_server;

mod bridge;
#[cfg(feature = "redis")]
mod bridge_redis;
mod elections;
mod limits;
mod locks;
mod power;
mod sessions;
mod shared;
