//! All versions of one key, oldest first (etcd's generations, flat: a tombstone ends one).
//! Derived.

use crate::key_value::Version;

/// Versions of one key in order of their revisions. Most keys have one, which needs no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum History {
    One(Version),
    Many(Vec<Version>),
}

impl History {
    pub(crate) fn versions(&self) -> &[Version] {
        match self {
            Self::One(version) => std::slice::from_ref(version),
            Self::Many(versions) => versions,
        }
    }

    /// Adds the newest version.
    pub(crate) fn push(&mut self, version: Version) {
        let newest = self.newest().main;
        assert!(newest < version.main, "a key changes once a revision, in order");
        match self {
            Self::One(first) => *self = Self::Many(vec![first.clone(), version]),
            Self::Many(versions) => versions.push(version),
        }
    }

    pub(crate) fn newest(&self) -> &Version {
        self.versions().last().expect("a history is never empty")
    }

    /// The version that a reader at `revision` sees; a tombstone is none.
    pub(crate) fn at(&self, revision: u64) -> Option<&Version> {
        self.at_or_tombstone(revision).filter(|version| !version.is_tombstone())
    }

    /// The newest version at or before `revision`.
    pub(crate) fn at_or_tombstone(&self, revision: u64) -> Option<&Version> {
        let versions = self.versions();
        let newest = versions.last()?;
        if newest.main <= revision {
            return Some(newest);
        }
        let after = versions.partition_point(|version| version.main <= revision);
        versions.get(after.checked_sub(1)?)
    }

    /// Drops what nobody can read once `revision` is the oldest readable one: everything
    /// before the newest version at or below it, and that version too when it is a tombstone.
    /// Says how many went, and whether nothing is left.
    pub(crate) fn compact(&mut self, revision: u64) -> (usize, bool) {
        let versions = self.versions();
        let after = versions.partition_point(|version| version.main <= revision);
        let Some(at) = after.checked_sub(1) else { return (0, false) };
        let keep_from = if versions[at].is_tombstone() { after } else { at };
        if keep_from == 0 {
            return (0, false);
        }
        match self {
            Self::One(_) => (1, true),
            Self::Many(versions) => {
                versions.drain(..keep_from);
                match versions.len() {
                    0 => return (keep_from, true),
                    1 => {
                        let last = versions.pop().expect("one is left");
                        *self = Self::One(last);
                    }
                    _ => versions.shrink_to_fit(),
                }
                (keep_from, false)
            }
        }
    }
}
