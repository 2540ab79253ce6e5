//! The seam between a store and whatever keeps several of them the same.
//!
//! ```text
//! request ─fix─▶ Command ─submit─▶ log of commands ─apply─▶ store ─▶ Answer
//!                          (one order for all)      (deterministic)
//! ```
//!
//! A submitter puts commands into one order and answers once they are applied. A new store
//! begins with a snapshot and goes on with the commands after the position that the snapshot
//! holds. [`LocalReplication`] does all of that with one store; a cluster puts an agreement on
//! the order in its place. This module knows no network.

mod local;

use std::fmt;

use cairn_segment::Snapshot;

pub use local::{Commands, LocalReplication};

use crate::{Answer, Command, Result};

/// Place of a command in the one order of all commands, from 1; 0 comes before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// Before the first command.
    pub const START: Self = Self(0);

    /// Wraps a number.
    #[must_use]
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A command that was put into the order and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its place.
    pub position: Position,
    /// What applying it answered.
    pub answer: Answer,
}

/// Puts commands into one order, and applies them.
pub trait CommandSubmitter: Send + Sync {
    /// Submits a command and waits until it is applied here.
    ///
    /// # Errors
    /// When it could not be put into the order, or applying it failed here. In the second case
    /// it may be in the order all the same.
    fn submit(&self, command: &Command) -> Result<Submission>;
}

/// A snapshot with the last command that it holds.
#[derive(Debug)]
pub struct PositionedSnapshot {
    /// Commands after this one are to be applied to it.
    pub position: Position,
    /// The snapshot.
    pub snapshot: Snapshot,
}

/// Gives out what a new store begins with.
pub trait SnapshotProvider: Send + Sync {
    /// Takes a snapshot between two commands.
    ///
    /// # Errors
    /// As [`Engine::snapshot`](crate::Engine::snapshot).
    fn snapshot(&self) -> Result<PositionedSnapshot>;
}
