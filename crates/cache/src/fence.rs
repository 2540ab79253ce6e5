//! Fencing: writes that are taken only while a lock is held. Derived: the truth is the lock's key
//! in the engine.
//!
//! A holder that was paused past its lease does not know it. So the check is not made by the
//! holder before it writes, but by the engine in the same transaction as the write.

use std::sync::atomic::{AtomicU64, Ordering};

use cairndb::engine::{Committed, Engine, Transaction};
use cairndb::keys::{self, Planner, RangeRequest};
use cairndb::types::StreamId;

use crate::lock::deadline::Deadline;
use crate::lock::end_what_is_over;
use crate::lock::name::QueueName;
use crate::{Error, Result};

/// The right to write while a lock is held. Clones are the same right; it can be sent to whoever
/// does the holder's work.
///
/// The token is the revision that created the lock's key. Of two holders of one lock the later
/// one has the greater token.
#[derive(Debug, Clone)]
pub struct Fence {
    pub(crate) engine: Engine,
    pub(crate) space: StreamId,
    pub(crate) name: QueueName,
    pub(crate) token: u64,
    /// Unknown to a fence that was made from a token alone.
    pub(crate) deadline: Option<Deadline>,
}

impl Fence {
    /// The number to hand to other systems, which should refuse a smaller one than they have
    /// seen; see [`TokenGate`].
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// Name of the lock.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Writes keys if the lock is still held, as one step: the lock's key is looked at in the
    /// transaction that writes, under the engine's write lock. Not even a pause of this process
    /// between the check and the write lets anybody in between.
    ///
    /// # Errors
    /// [`Error::LockLost`] when it is not held any more, nothing was written then; what `body`
    /// returns; the engine's.
    pub fn with_fence<T>(
        &self,
        body: impl FnOnce(&mut Planner<'_>) -> keys::Result<T>,
    ) -> Result<T> {
        end_what_is_over(&self.engine)?;
        let clock = self.engine.log().clock();
        let written = self.engine.keys().write(|planner| {
            // Looked at here, not before: the caller may have waited long for the write lock.
            let over = self
                .deadline
                .as_ref()
                .is_some_and(|deadline| deadline.remaining(clock.monotonic()).is_zero());
            if over || !self.is_first(planner)? {
                return Ok(None);
            }
            body(planner).map(Some)
        });
        written.map_err(Error::from)?.ok_or_else(|| self.lost())
    }

    /// Runs a transaction over keys and topics if the lock is still held. The transaction reads
    /// the lock's key, so it conflicts with whatever ends the lock, and is refused when it is run
    /// again.
    ///
    /// # Errors
    /// [`Error::LockLost`] when it is not held any more, nothing was written then; what `body`
    /// returns; the engine's.
    pub fn transact(
        &self,
        mut body: impl FnMut(&mut Transaction) -> cairndb::engine::Result<()>,
    ) -> Result<Committed> {
        let keyspace = self.engine.keyspaces().into_iter().find(|it| it.stream() == self.space);
        let keyspace = keyspace.ok_or_else(|| self.lost())?;
        let mut lost = false;
        let committed = self.engine.transact(|transaction| {
            // Who is first stays first while its key is there, and the key is what is read.
            let ours = self.is_first_now()?
                && transaction.get(&keyspace, self.name.key(self.token))?.is_some();
            lost = !ours;
            if lost { Ok(()) } else { body(transaction) }
        });
        if lost { Err(self.lost()) } else { Ok(committed?) }
    }

    /// Whether the lock is held now. Only a hint: it may be over in the next moment, and only
    /// [`with_fence`](Self::with_fence) and [`transact`](Self::transact) rule that out.
    ///
    /// # Errors
    /// The engine's.
    pub fn is_held(&self) -> Result<bool> {
        Ok(self.is_first_now()?)
    }

    fn is_first_now(&self) -> cairndb::engine::Result<bool> {
        if !self.is_alive()? {
            return Ok(false);
        }
        let found = self.engine.keys().range(&self.first_request())?.kvs;
        Ok(found.first().is_some_and(|kv| kv.create_revision == self.token))
    }

    /// Ends leases whose time is over, and says whether ours can still be there.
    fn is_alive(&self) -> cairndb::engine::Result<bool> {
        end_what_is_over(&self.engine)?;
        let now = self.engine.log().clock().monotonic();
        Ok(self.deadline.as_ref().is_none_or(|deadline| !deadline.remaining(now).is_zero()))
    }

    fn first_request(&self) -> RangeRequest {
        let all = RangeRequest::new(self.space, self.name.all()).limit(1);
        RangeRequest { keys_only: true, without_count: true, ..all }
    }

    fn is_first(&self, planner: &Planner<'_>) -> keys::Result<bool> {
        let found = planner.range(&self.first_request())?.kvs;
        Ok(found.first().is_some_and(|kv| kv.create_revision == self.token))
    }

    pub(crate) fn lost(&self) -> Error {
        Error::LockLost { name: self.name.as_str().to_owned(), token: self.token }
    }
}

/// What something outside the engine (a file, a device, another service) asks before it takes a
/// write: has a later holder been here already?
///
/// ```
/// use cairn_cache::TokenGate;
/// let gate = TokenGate::default();
/// assert!(gate.admit(7));
/// assert!(gate.admit(7), "the same holder again");
/// assert!(gate.admit(9), "the next holder");
/// assert!(!gate.admit(7), "a holder that does not know that it lost the lock");
/// ```
#[derive(Debug, Default)]
pub struct TokenGate(AtomicU64);

impl TokenGate {
    /// A gate that has seen this token, kept from an earlier run.
    #[must_use]
    pub const fn from_token(token: u64) -> Self {
        Self(AtomicU64::new(token))
    }

    /// Whether the bearer of this token may pass: nobody with a greater one has.
    #[must_use = "a gate that nobody looks at keeps nobody out"]
    pub fn admit(&self, token: u64) -> bool {
        self.0.fetch_max(token, Ordering::AcqRel) <= token
    }

    /// The greatest token seen; keep it where it survives a restart.
    #[must_use]
    pub fn greatest(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
