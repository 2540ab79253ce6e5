//! The plain model: a list of all versions ever, searched from end to end. Written apart from
//! the store, with none of its ideas.

use std::collections::{BTreeMap, BTreeSet};

use cairn_mvcc::KeyValue;

/// A value with its facts; `None` is a tombstone.
type Version = Option<Fact>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) value: Vec<u8>,
    pub(crate) create: u64,
    pub(crate) version: u64,
    pub(crate) lease: i64,
}

/// Everything that ever happened to one keyspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) revision: u64,
    pub(crate) oldest: u64,
    history: Vec<(u64, Vec<u8>, Version)>,
    pub(crate) leases: BTreeSet<i64>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { revision: 1, ..Self::default() }
    }

    /// All keys as they were at a revision.
    pub(crate) fn at(&self, revision: u64) -> BTreeMap<Vec<u8>, (u64, Fact)> {
        let mut state = BTreeMap::new();
        for (main, key, version) in &self.history {
            if *main > revision {
                break;
            }
            match version {
                Some(fact) => state.insert(key.clone(), (*main, fact.clone())),
                None => state.remove(key),
            };
        }
        state
    }

    pub(crate) fn put_all(&mut self, puts: &[(Vec<u8>, Vec<u8>, i64)]) {
        let state = self.at(self.revision);
        let main = self.revision + 1;
        for (key, value, lease) in puts {
            let (create, version) = match state.get(key) {
                Some((_, fact)) => (fact.create, fact.version + 1),
                None => (main, 1),
            };
            let fact = Fact { value: value.clone(), create, version, lease: *lease };
            self.history.push((main, key.clone(), Some(fact)));
        }
        if !puts.is_empty() {
            self.revision = main;
        }
    }

    /// Deletes what a test picks; how many.
    pub(crate) fn delete(&mut self, picked: impl Fn(&[u8], &Fact) -> bool) -> u64 {
        let main = self.revision + 1;
        let state = self.at(self.revision);
        let keys: Vec<_> = state.into_iter().filter(|(key, (_, fact))| picked(key, fact)).collect();
        for (key, _) in &keys {
            self.history.push((main, key.clone(), None));
        }
        if !keys.is_empty() {
            self.revision = main;
        }
        keys.len() as u64
    }

    /// What a watch from a revision on delivers: revision, key, deleted.
    pub(crate) fn changes(&self, from: u64) -> Vec<(u64, Vec<u8>, bool)> {
        let wanted = self.history.iter().filter(|(main, _, _)| *main >= from);
        wanted.map(|(main, key, version)| (*main, key.clone(), version.is_none())).collect()
    }

    /// Holds results against the model's state.
    pub(crate) fn same(&self, revision: u64, kvs: &[KeyValue]) -> Result<(), String> {
        let expected: Vec<KeyValue> = self
            .at(revision)
            .into_iter()
            .map(|(key, (main, fact))| KeyValue {
                key: key.into(),
                value: fact.value.into(),
                create_revision: fact.create,
                mod_revision: main,
                version: fact.version,
                lease: cairn_mvcc::LeaseId::new(fact.lease),
                erased: None,
            })
            .collect();
        if expected == kvs {
            return Ok(());
        }
        Err(format!("at revision {revision}:\nexpected {expected:?}\nfound    {kvs:?}"))
    }
}
