//! The promises of caches, one module a topic.
//!
//! Tests that need a Redis start their own (`redis_server`), or say that there is none and pass.

#[cfg(all(feature = "redis", feature = "upstash"))]
mod damage;
mod hybrid;
mod redis_server;
#[cfg(all(feature = "redis", feature = "upstash"))]
mod rest_endpoint;
#[cfg(all(feature = "redis", feature = "upstash"))]
mod suite;
