//! The promises of caches, one module a topic.
//!
//! Tests that need a Redis start their own (`redis_server`), or say that there is none and pass.

#[cfg(all(feature = "redis", feature = "upstash"))]
mod damage;
mod hybrid;
#[cfg(feature = "redis")]
mod phases;
#[cfg(feature = "redis")]
mod races;
mod redis_server;
#[cfg(all(feature = "redis", feature = "upstash"))]
mod rest_endpoint;
#[cfg(feature = "redis")]
mod sentinels;
#[cfg(all(feature = "redis", feature = "upstash"))]
mod suite;

mod bridge;
#[cfg(feature = "redis")]
mod bridge_redis;
mod elections;
mod limits;
mod locks;
mod power;
mod sessions;
mod shared;
#[cfg(feature = "redis")]
mod tls;

/// Runs a test's future on a runtime of its own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(future)
}
