//! Promises of locks, limits, sessions and the bridge.

mod elections;
mod limits;
mod locks;
mod power;
mod sessions;
