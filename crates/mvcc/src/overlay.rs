//! What a transaction has changed so far, laid over the index so that it reads its own writes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use bytes::Bytes;
use cairn_types::{PayloadHash, StreamId};

use crate::Result;
use crate::index::{Before, Index};
use crate::key_value::{KeyValue, LeaseId, Version};
use crate::request::Range;

/// A change that is planned but not in the log yet.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) space: StreamId,
    pub(crate) key: Bytes,
    /// `None` deletes.
    pub(crate) value: Option<(Bytes, PayloadHash)>,
    /// What is logged in the value's place when it is sealed.
    pub(crate) sealed: Option<Box<(Bytes, PayloadHash)>>,
    pub(crate) create: u64,
    pub(crate) version: u64,
    pub(crate) lease: LeaseId,
    pub(crate) before: Before,
}

impl Planned {
    /// What is logged.
    pub(crate) fn stored(&self) -> Option<&(Bytes, PayloadHash)> {
        self.sealed.as_deref().or(self.value.as_ref())
    }
}

/// Up to this many changes are looked through one by one: most transactions are smaller, and
/// a map would cost them more than it saves.
const FEW: usize = 8;

/// Planned changes by key and in order.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    changes: Vec<Planned>,
    /// Filled once there are more than [`FEW`]: the first change of each hash.
    by_hash: HashMap<u64, usize, BuildHasherDefault<Unchanged>>,
    /// Changes of other keys with the same hash.
    collided: Vec<usize>,
}

/// Hashes of keys are hashes already.
#[derive(Debug, Default)]
struct Unchanged(u64);

impl Hasher for Unchanged {
    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "keys of the map are numbers");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Overlay {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn changes(&self) -> &[Planned] {
        &self.changes
    }

    /// The change of a key, whose hash is [`Index::hash`]'s.
    pub(crate) fn get(&self, hash: u64, space: StreamId, key: &Bytes) -> Option<&Planned> {
        let is_it = |change: &&Planned| change.space == space && change.key == *key;
        if self.changes.len() <= FEW {
            return self.changes.iter().rev().find(is_it);
        }
        let first = self.changes.get(*self.by_hash.get(&hash)?);
        let others = self.collided.iter().filter_map(|place| self.changes.get(*place));
        first.into_iter().chain(others).find(is_it)
    }

    pub(crate) fn push(&mut self, change: Planned) {
        self.changes.push(change);
        if self.changes.len() <= FEW {
            return;
        }
        let mapped = self.by_hash.len() + self.collided.len();
        for (place, change) in self.changes.iter().enumerate().skip(mapped) {
            match self.by_hash.entry(change.before.hash()) {
                Entry::Vacant(free) => {
                    free.insert(place);
                }
                Entry::Occupied(_) => self.collided.push(place),
            }
        }
    }

    /// The changes of a range in order of their keys.
    fn range(&self, space: StreamId, range: &Range) -> Vec<&Planned> {
        let wanted = |change: &&Planned| change.space == space && range.contains(&change.key);
        let mut found: Vec<&Planned> = self.changes.iter().filter(wanted).collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }
}

/// A version that a reader sees: in the index, or only planned.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    Stored(&'a Version),
    Planned(&'a Planned, u64),
}

impl Seen<'_> {
    pub(crate) fn create(&self) -> u64 {
        match self {
            Self::Stored(version) => version.create,
            Self::Planned(change, _) => change.create,
        }
    }

    pub(crate) fn modified(&self) -> u64 {
        match self {
            Self::Stored(version) => version.main,
            Self::Planned(_, main) => *main,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        match self {
            Self::Stored(version) => version.version,
            Self::Planned(change, _) => change.version,
        }
    }

    pub(crate) fn lease(&self) -> LeaseId {
        match self {
            Self::Stored(version) => version.lease,
            Self::Planned(change, _) => change.lease,
        }
    }

    pub(crate) fn to_candidate(self, key: &[u8]) -> Candidate {
        match self {
            Self::Stored(version) => {
                Candidate::Stored(Bytes::copy_from_slice(key), version.clone())
            }
            Self::Planned(change, main) => Candidate::Ready(KeyValue {
                key: change.key.clone(),
                value: change.value.as_ref().map(|(value, _)| value.clone()).unwrap_or_default(),
                create_revision: change.create,
                mod_revision: main,
                version: change.version,
                lease: change.lease,
                erased: None,
            }),
        }
    }
}

/// A result whose value may still have to be read from the log.
#[derive(Debug, Clone)]
pub(crate) enum Candidate {
    Stored(Bytes, Version),
    Ready(KeyValue),
}

/// What one reader sees: the index at a revision, and possibly planned changes over it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) index: &'a Index,
    pub(crate) revision: u64,
    /// Planned changes, which will have the revision after.
    pub(crate) overlay: Option<&'a Overlay>,
}

impl<'a> View<'a> {
    /// Whether a key exists.
    pub(crate) fn has(&self, space: StreamId, key: &Bytes) -> Result<bool> {
        if let Some(overlay) = self.overlay
            && let Some(change) = overlay.get(self.index.hash(space, key), space, key)
        {
            return Ok(change.version != 0);
        }
        self.index.with_version(space, key, self.revision, |version| version.is_some())
    }

    /// Calls `each` with every key of a range that exists, in order, until it says stop.
    pub(crate) fn walk(
        &self,
        space: StreamId,
        range: &Range,
        mut each: impl FnMut(&[u8], Seen<'_>) -> bool,
    ) -> Result<()> {
        let overlay = self.overlay.filter(|overlay| !overlay.is_empty());
        let Some(overlay) = overlay else {
            return self.index.walk(space, range, self.revision, |key, version| {
                each(key, Seen::Stored(version))
            });
        };
        let main = self.revision + 1;
        let mut planned = overlay.range(space, range).into_iter().peekable();
        // A planned deletion is shown to nobody.
        let seen = |change: &'a Planned| {
            (change.version != 0).then_some((&*change.key, Seen::Planned(change, main)))
        };
        let mut go_on = true;
        self.index.walk(space, range, self.revision, |key, version| {
            while go_on && let Some(change) = planned.next_if(|change| *change.key < *key) {
                go_on = seen(change).is_none_or(|(key, seen)| each(key, seen));
            }
            if go_on {
                go_on = match planned.next_if(|change| *change.key == *key) {
                    Some(change) => seen(change).is_none_or(|(key, seen)| each(key, seen)),
                    None => each(key, Seen::Stored(version)),
                };
            }
            go_on
        })?;
        while go_on && let Some(change) = planned.next() {
            go_on = seen(change).is_none_or(|(key, seen)| each(key, seen));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_same_hash_are_told_apart() {
        let mut overlay = Overlay::default();
        let space = StreamId::new(3);
        let key = |n: usize| Bytes::from(format!("k{n}"));
        for n in 0..40 {
            assert!(overlay.get(n as u64 % 5, space, &key(n)).is_none());
            overlay.push(Planned {
                space,
                key: key(n),
                value: None,
                sealed: None,
                create: n as u64,
                version: 0,
                lease: LeaseId::NONE,
                before: Before::with_hash(n as u64 % 5),
            });
            for at in 0..=n {
                let found = overlay.get(at as u64 % 5, space, &key(at)).expect("it is there");
                assert_eq!(found.create, at as u64);
            }
        }
    }
}
