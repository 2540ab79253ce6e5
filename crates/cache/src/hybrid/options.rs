//! How a hybrid store behaves. Derived: nothing of it is kept.

use std::sync::Arc;
use std::time::Duration;

use cairndb::vfs::{Clock, OsRng, Rng, SystemClock};

use crate::breaker::BreakerConfig;

/// Who answers when the local tier does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Misses {
    /// The engine: it is in the same process, and faster than any network.
    #[default]
    Engine,
    /// The backend first, then the engine: when values are large and the engine's disk is slow.
    Backend,
}

/// How a [`HybridStore`](super::HybridStore) behaves.
#[derive(Debug, Clone)]
pub struct HybridOptions {
    /// Separates stores that share a server.
    pub namespace: String,
    /// Budget of the local tier in bytes.
    pub local_len_max: u64,
    /// Longest value that is remembered; longer ones are read from the engine each time.
    pub value_len_max: usize,
    /// How long entries stay in the backend; up to a tenth of it is taken off at random.
    pub ttl: Duration,
    /// Who answers when the local tier does not know.
    pub misses: Misses,
    /// How long a read waits for the backend before it asks the engine.
    pub read_limit: Duration,
    /// How long a write waits for the backend to take it in; it succeeds in any case.
    pub write_wait: Duration,
    /// How often the backend is told that it is up to date while nothing changes.
    pub heartbeat: Duration,
    /// When a failing backend is left alone.
    pub breaker: BreakerConfig,
    /// Time for pauses.
    pub clock: Arc<dyn Clock>,
    /// Chance, for epochs, lives and pauses.
    pub rng: Arc<dyn Rng>,
}

impl Default for HybridOptions {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            local_len_max: 64 << 20,
            value_len_max: 1 << 20,
            ttl: Duration::from_secs(600),
            misses: Misses::default(),
            read_limit: Duration::from_millis(50),
            write_wait: Duration::ZERO,
            heartbeat: Duration::from_millis(200),
            breaker: BreakerConfig::default(),
            clock: Arc::new(SystemClock::default()),
            rng: Arc::new(OsRng),
        }
    }
}
