//! Planted bugs of signing. With the feature `mutants` a test can switch one on and must then see
//! its checks fail; without the feature every question folds to `false` at compile time.

/// A bug that the tests of signing must catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Take into the tree and sign what a loss of power can still take away.
    SignAheadOfDurable,
    /// Do not hold the log against the head that was signed last.
    SignAfterRollback,
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
