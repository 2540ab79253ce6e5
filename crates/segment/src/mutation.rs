//! Planted bugs. With the feature `mutants` a test can switch one on and must then see its
//! checks fail; without the feature every question folds to `false` at compile time.

/// A bug that the crash tests must catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Acknowledge before the sync.
    AckBeforeSync,
    /// Do not sync the directory after a segment appears in it.
    NoDirectorySync,
    /// Carry on after a failed sync as if it could be retried.
    RetryAfterFailedSync,
    /// Serve the tail found at recovery from the old file instead of copying it.
    TrustPageCache,
    /// Believe bodies without checking their CRC.
    SkipBodyCrc,
    /// Cut damage below the durable watermark as if it were a torn tail.
    CutDamage,
    /// Start the next segment without syncing the one before.
    NoSyncBeforeRoll,
}

/// Which planted bugs are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mutations {
    #[cfg(feature = "mutants")]
    pub(crate) active: Option<Mutation>,
}

impl Mutations {
    #[cfg(feature = "mutants")]
    pub(crate) fn has(self, mutation: Mutation) -> bool {
        self.active == Some(mutation)
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the twin with the feature looks at it")]
    pub(crate) const fn has(self, _mutation: Mutation) -> bool {
        false
    }
}
