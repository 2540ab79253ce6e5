//! What a transaction has changed so far, laid over the index so that it reads its own writes.

use std::collections::HashMap;

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
    pub(crate) sealed: Option<(Bytes, PayloadHash)>,
    pub(crate) create: u64,
    pub(crate) version: u64,
    pub(crate) lease: LeaseId,
    pub(crate) before: Before,
}

impl Planned {
    /// What is logged.
    pub(crate) fn stored(&self) -> Option<&(Bytes, PayloadHash)> {
        self.sealed.as_ref().or(self.value.as_ref())
    }
}

/// Up to this many changes are looked through one by one: most transactions are smaller, and
/// a map would cost them more than it saves.
const FEW: usize = 8;

/// Planned changes by key and in order.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    changes: Vec<Planned>,
    /// Filled once there are more than [`FEW`].
    by_key: HashMap<(StreamId, Bytes), usize>,
}

impl Overlay {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn changes(&self) -> &[Planned] {
        &self.changes
    }

    pub(crate) fn get(&self, space: StreamId, key: &Bytes) -> Option<&Planned> {
        if self.changes.len() <= FEW {
            return self.changes.iter().rev().find(|c| c.space == space && c.key == *key);
        }
        let place = self.by_key.get(&(space, key.clone()))?;
        self.changes.get(*place)
    }

    pub(crate) fn push(&mut self, change: Planned) {
        self.changes.push(change);
        if self.changes.len() > FEW {
            for (place, change) in self.changes.iter().enumerate().skip(self.by_key.len()) {
                self.by_key.insert((change.space, change.key.clone()), place);
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
        if let Some(change) = self.overlay.and_then(|overlay| overlay.get(space, key)) {
            return Ok(change.version != 0);
        }
        self.index.with_version(space, key, self.revision, |version| version.is_some())
    }

    /// Calls `each` with every key of a range that exists, in order, until it says stop. It must
    /// not come back to the index.
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
