//! The newest versions of one key. Derived.

use crate::entry::Version;

/// Versions without a gap, oldest first; never empty. Most keys have one, which needs no allocation.
#[derive(Debug, Clone)]
pub(crate) enum History<V> {
    One(V),
    Many(Vec<V>),
}

impl<V: Version> History<V> {
    pub(crate) fn versions(&self) -> &[V] {
        match self {
            Self::One(version) => std::slice::from_ref(version),
            Self::Many(versions) => versions,
        }
    }

    pub(crate) fn push(&mut self, version: V) {
        debug_assert!(self.newest().sequence() < version.sequence(), "versions come in order");
        match self {
            Self::Many(versions) => versions.push(version),
            Self::One(_) => {
                let one = std::mem::replace(self, Self::Many(Vec::with_capacity(2)));
                if let (Self::One(first), Self::Many(versions)) = (one, self) {
                    versions.extend([first, version]);
                }
            }
        }
    }

    /// Puts others in the place of versions where `change` has one.
    pub(crate) fn amend(&mut self, change: &mut dyn FnMut(&V) -> Option<V>) {
        let versions = match self {
            Self::One(version) => std::slice::from_mut(version),
            Self::Many(versions) => versions,
        };
        for version in versions {
            if let Some(other) = change(version) {
                debug_assert_eq!(version.sequence(), other.sequence(), "the order stays");
                *version = other;
            }
        }
    }

    pub(crate) fn newest(&self) -> &V {
        self.versions().last().expect("a history is never empty")
    }

    /// The newest version at or before `sequence`.
    pub(crate) fn at_or_tombstone(&self, sequence: u64) -> Option<&V> {
        let versions = self.versions();
        let newest = versions.last()?;
        if newest.sequence() <= sequence {
            return Some(newest);
        }
        let after = versions.partition_point(|version| version.sequence() <= sequence);
        versions.get(after.checked_sub(1)?)
    }

    /// Drops what nobody can read once `oldest` is the oldest readable sequence: everything
    /// before the newest version at or below it, and that too when it is a tombstone that hides
    /// nothing (`is_all`: no table has more of this key). Says how many went, and whether all
    /// that is left is a tombstone that no reader can tell from nothing.
    pub(crate) fn compact(&mut self, oldest: u64, is_all: bool) -> (usize, bool) {
        let versions = self.versions();
        let after = versions.partition_point(|version| version.sequence() <= oldest);
        let Some(at) = after.checked_sub(1) else { return (0, false) };
        let is_dead = versions[at].is_tombstone() && after == versions.len();
        let keep_from = if versions[at].is_tombstone() && !is_dead && is_all { after } else { at };
        if keep_from > 0
            && let Self::Many(versions) = self
        {
            versions.drain(..keep_from);
            if versions.len() == 1 {
                let last = versions.pop().expect("one is left");
                *self = Self::One(last);
            } else {
                versions.shrink_to_fit();
            }
        }
        (keep_from, is_dead)
    }

    /// Drops all but the newest version; says how many went.
    pub(crate) fn keep_newest(&mut self) -> usize {
        let Self::Many(versions) = self else { return 0 };
        let gone = versions.len() - 1;
        let newest = versions.pop().expect("a history is never empty");
        *self = Self::One(newest);
        gone
    }

    /// Bytes of all versions.
    pub(crate) fn heap_len(&self) -> usize {
        self.versions().iter().map(|version| size_of::<V>() + version.heap_len()).sum()
    }
}
