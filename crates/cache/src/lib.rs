//! Locks, limits, sessions over the engine.
#![forbid(unsafe_code)]

mod election;
mod error;
mod fence;
pub mod limit;
pub mod lock;
pub mod session;

pub use election::{Election, Leadership, Observer};
pub use error::{Error, Result};
pub use fence::{Fence, TokenGate};
pub use limit::{Decision, Rate, RateLimiter};
pub use lock::{HeldLock, Holder, LockConfig, LockGuard, LockPlace, Locks, Renewer};
pub use session::{
    IssuedSession, Session, SessionConfig, SessionId, SessionManager, SessionStats, SessionToken,
};
