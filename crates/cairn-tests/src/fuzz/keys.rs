//! Targets for keys: bytes become a program of transactions, compactions, cleanings and watches,
//! whose every answer is held against a plain model.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_mvcc::{
    CleanKeys, Compare, CompareOp, CompareTarget, DeleteRange, Error, KeyValue, Options, Put,
    Range, RangeRequest, Store, TreeOptions, Txn, TxnOp, TxnResponse, TxnResult, WatchFilter,
    WatchRequest, Watcher,
};
use cairn_types::StreamId;
use cairn_vfs::MemVfs;

use super::options;

const S: StreamId = StreamId::new(1);
/// Steps of a program.
const STEPS_MAX: usize = 48;
/// Transactions within transactions.
const DEPTH_MAX: u32 = 2;

/// Choices read from the input; zeros when it is used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    fn key(&mut self) -> Vec<u8> {
        vec![b'a' + self.below(6)]
    }

    /// Short values are kept beside the key, long ones in the log.
    fn value(&mut self) -> Vec<u8> {
        let byte = self.byte();
        vec![byte; if byte.is_multiple_of(3) { 200 } else { usize::from(byte % 5) }]
    }

    fn range(&mut self) -> Range {
        let key = self.key();
        match self.below(4) {
            0 => Range::all(),
            1 => Range::from_key(key),
            2 => {
                let end = self.key();
                Range::between(key, end)
            }
            _ => Range::key(key),
        }
    }

    fn compare(&mut self, revision: u64) -> Compare {
        let op = [CompareOp::Equal, CompareOp::Greater, CompareOp::Less, CompareOp::NotEqual];
        let number = u64::from(self.below(4));
        let target = match self.below(4) {
            0 => CompareTarget::Version(number),
            1 => CompareTarget::Create(revision.saturating_sub(number)),
            2 => CompareTarget::Mod(revision.saturating_sub(number)),
            _ => CompareTarget::Value(self.value().into()),
        };
        Compare { space: S, range: self.range(), op: op[usize::from(self.below(4))], target }
    }

    fn ops(&mut self, depth: u32, revision: u64) -> Vec<TxnOp> {
        let count = self.below(4);
        let op = |_| match self.below(6) {
            0 => TxnOp::Range(RangeRequest::new(S, self.range()).limit(self.below(3).into())),
            1 | 2 => {
                let put = Put::new(S, self.key(), self.value());
                TxnOp::Put(Put { prev_kv: self.below(2) == 0, ..put })
            }
            3 => {
                let delete = DeleteRange::new(S, self.range());
                TxnOp::Delete(DeleteRange { prev_kv: self.below(2) == 0, ..delete })
            }
            _ if depth < DEPTH_MAX => TxnOp::Txn(self.txn(depth + 1, revision)),
            _ => TxnOp::Range(RangeRequest::new(S, Range::all())),
        };
        (0..count).map(op).collect()
    }

    fn txn(&mut self, depth: u32, revision: u64) -> Txn {
        let compare = (0..self.below(3)).map(|_| self.compare(revision)).collect();
        let (success, failure) = (self.ops(depth, revision), self.ops(depth, revision));
        Txn { compare, success, failure }
    }
}

type State = BTreeMap<Vec<u8>, KeyValue>;
/// Revision, key, the version after, the version before.
type Changed = (u64, Vec<u8>, Option<KeyValue>, Option<KeyValue>);

/// All that ever was, searched from end to end.
#[derive(Default)]
struct Model {
    revision: u64,
    oldest: u64,
    state: State,
    changes: Vec<Changed>,
}

/// A transaction on a copy of the state.
struct Run {
    revision: u64,
    state: State,
    changes: Vec<(Vec<u8>, Option<KeyValue>, Option<KeyValue>)>,
}

fn holds(state: &State, compare: &Compare) -> bool {
    let one = |kv: Option<&KeyValue>| {
        let number = |pick: fn(&KeyValue) -> u64| kv.map_or(0, pick);
        let order = match &compare.target {
            CompareTarget::Version(n) => number(|kv| kv.version).cmp(n),
            CompareTarget::Create(n) => number(|kv| kv.create_revision).cmp(n),
            CompareTarget::Mod(n) => number(|kv| kv.mod_revision).cmp(n),
            CompareTarget::Value(value) => match kv {
                Some(kv) => kv.value.cmp(value),
                None => return false,
            },
            CompareTarget::Lease(lease) => kv.map_or(0, |kv| kv.lease.get()).cmp(&lease.get()),
        };
        match compare.op {
            CompareOp::Equal => order.is_eq(),
            CompareOp::Greater => order.is_gt(),
            CompareOp::Less => order.is_lt(),
            CompareOp::NotEqual => order.is_ne(),
        }
    };
    let found: Vec<_> = state.values().filter(|kv| compare.range.contains(&kv.key)).collect();
    if found.is_empty() { one(None) } else { found.into_iter().all(|kv| one(Some(kv))) }
}

impl Run {
    /// Runs the branch that `before` chooses and holds each answer against the store's.
    fn txn(&mut self, before: &State, txn: &Txn, answer: &TxnResponse) {
        let taken = txn.compare.iter().all(|compare| holds(before, compare));
        let ops = if taken { &txn.success } else { &txn.failure };
        assert_eq!(answer.succeeded, taken, "the branch of {txn:?}");
        assert_eq!(answer.results.len(), ops.len());
        for (op, result) in ops.iter().zip(&answer.results) {
            match (op, result) {
                (TxnOp::Range(request), TxnResult::Range(found)) => {
                    let all = self.state.values().filter(|kv| request.range.contains(&kv.key));
                    let all: Vec<_> = all.cloned().collect();
                    let most = if request.limit == 0 { all.len() } else { request.limit };
                    assert_eq!(found.count, all.len() as u64);
                    assert_eq!(found.kvs, all[..most.min(all.len())]);
                }
                (TxnOp::Put(put), TxnResult::Put(done)) => {
                    let previous = self.put(put);
                    assert_eq!(done.prev_kv, previous.filter(|_| put.prev_kv));
                }
                (TxnOp::Delete(delete), TxnResult::Delete(done)) => {
                    let gone = self.delete(delete);
                    assert_eq!(done.deleted, gone.len() as u64);
                    assert_eq!(done.prev_kvs, if delete.prev_kv { gone } else { Vec::new() });
                }
                (TxnOp::Txn(inner), TxnResult::Txn(answer)) => self.txn(before, inner, answer),
                other => panic!("an answer of another kind: {other:?}"),
            }
        }
    }

    fn put(&mut self, put: &Put) -> Option<KeyValue> {
        let previous = self.state.get(&*put.key).cloned();
        let kv = KeyValue {
            key: put.key.clone(),
            value: put.value.clone(),
            create_revision: previous.as_ref().map_or(self.revision, |kv| kv.create_revision),
            mod_revision: self.revision,
            version: previous.as_ref().map_or(1, |kv| kv.version + 1),
            lease: put.lease,
            erased: None,
        };
        self.state.insert(put.key.to_vec(), kv.clone());
        self.changes.push((put.key.to_vec(), Some(kv), previous.clone()));
        previous
    }

    fn delete(&mut self, delete: &DeleteRange) -> Vec<KeyValue> {
        let picked = self.state.values().filter(|kv| delete.range.contains(&kv.key));
        let gone: Vec<KeyValue> = picked.cloned().collect();
        for kv in &gone {
            self.state.remove(&*kv.key);
            self.changes.push((kv.key.to_vec(), None, Some(kv.clone())));
        }
        gone
    }
}

/// Keys that a transaction may put, and ranges that it may delete, in any branch.
fn touched(txn: &Txn, puts: &mut Vec<Vec<u8>>, deletes: &mut Vec<Range>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            TxnOp::Put(put) => puts.push(put.key.to_vec()),
            TxnOp::Delete(delete) => deletes.push(delete.range.clone()),
            TxnOp::Txn(inner) => touched(inner, puts, deletes),
            TxnOp::Range(_) => {}
        }
    }
}

/// Whether no branch could change a key twice.
fn is_clean(txn: &Txn) -> bool {
    let (mut puts, mut deletes) = (Vec::new(), Vec::new());
    touched(txn, &mut puts, &mut deletes);
    let count = puts.len();
    let hit = puts.iter().any(|key| deletes.iter().any(|range| range.contains(key)));
    puts.sort();
    puts.dedup();
    puts.len() == count && !hit
}

impl Model {
    fn new() -> Self {
        Self { revision: 1, ..Self::default() }
    }

    fn txn(&mut self, store: &Store, txn: &Txn) {
        match store.txn(txn) {
            Ok(answer) => {
                let state = self.state.clone();
                let mut run = Run { revision: self.revision + 1, state, changes: Vec::new() };
                run.txn(&self.state.clone(), txn, &answer);
                if !run.changes.is_empty() {
                    self.revision += 1;
                }
                assert_eq!(answer.revision, self.revision);
                self.state = run.state;
                let revision = self.revision;
                let changes = run.changes.into_iter();
                self.changes
                    .extend(changes.map(|(key, after, before)| (revision, key, after, before)));
            }
            Err(Error::DuplicateKey { .. }) => {
                assert!(!is_clean(txn), "refused without a reason: {txn:?}");
            }
            Err(error) => panic!("{error}: {txn:?}"),
        }
    }

    fn at(&self, revision: u64) -> Vec<KeyValue> {
        let mut state = State::new();
        for (_, key, after, _) in self.changes.iter().filter(|change| change.0 <= revision) {
            match after {
                Some(kv) => state.insert(key.clone(), kv.clone()),
                None => state.remove(key),
            };
        }
        state.into_values().collect()
    }

    fn check(&self, store: &Store) {
        assert_eq!((store.revision(), store.compact_revision()), (self.revision, self.oldest));
        for revision in self.oldest.max(1)..=self.revision {
            let request = RangeRequest::new(S, Range::all()).at(revision);
            assert_eq!(store.range(&request).expect("readable").kvs, self.at(revision));
        }
    }
}

fn open(vfs: &MemVfs, cramped: bool) -> Store {
    let log = options(vfs).open().expect("memory opens");
    let small = TreeOptions {
        memory_len: 1 << 9,
        flush_len: 1 << 8,
        block_len: 128,
        table_len: 1 << 10,
        level_len: 2 << 10,
        flushed_max: 2,
        ..TreeOptions::default()
    };
    let tree = if cramped { small } else { TreeOptions::default() };
    let store = Store::open_with(log, Options { tree, ..Options::default() }).expect("opens");
    store.keep_latest_only(S);
    store
}

/// Upkeep that must change no answer, or a new life.
fn upkeep(choices: &mut Choices<'_>, store: Store, model: &mut Model, vfs: &MemVfs) -> Store {
    match choices.below(5) {
        0 => store.flush().expect("flushes"),
        1 => store.merge_tables().expect("merges"),
        2 => {
            let all = CleanKeys { dead_share: 0.0, roll: true, progress: None };
            let _cleaned = store.clean(&all).expect("cleans");
        }
        3 => {
            let target = model.revision.saturating_sub(choices.below(8).into());
            match store.compact(target) {
                Ok(_) => model.oldest = target,
                Err(Error::Compacted { .. }) => assert!(target <= model.oldest),
                Err(error) => panic!("{error}"),
            }
        }
        _ => {
            let cramped = choices.below(2) == 0;
            drop(store);
            return open(&vfs.clone(), cramped);
        }
    }
    store
}

/// Transactions, nested and with every kind of comparison, against the model.
pub fn txn(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let vfs = Arc::new(MemVfs::new());
    let mut store = open(&vfs, choices.below(2) == 0);
    let mut model = Model::new();
    for _ in 0..STEPS_MAX {
        if choices.0.is_empty() {
            break;
        }
        if choices.below(4) == 0 {
            store = upkeep(&mut choices, store, &mut model, &vfs);
        } else {
            let txn = choices.txn(0, model.revision);
            model.txn(&store, &txn);
        }
    }
    model.check(&store);
    drop(store);
    model.check(&open(&vfs, false));
}

/// A watcher and what it was told.
struct Watched {
    watcher: Watcher,
    request: WatchRequest,
    next: u64,
}

impl Watched {
    /// Takes everything there is and holds it against the model.
    fn poll(mut self, model: &Model) -> Option<Self> {
        loop {
            let batch = match self.watcher.try_next() {
                Ok(batch) => batch,
                Err(Error::Compacted { requested, .. }) => {
                    assert!(self.next < model.oldest && requested <= model.oldest);
                    return None;
                }
                Err(error) => panic!("{error}"),
            };
            assert!(self.next >= model.oldest, "a watcher that is behind is told so");
            let wanted = |change: &&Changed| {
                let filter = self.request.filter;
                let is_out = if change.2.is_some() { filter.no_put } else { filter.no_delete };
                change.0 >= self.next && self.request.range.contains(&change.1) && !is_out
            };
            let mut expected = model.changes.iter().filter(wanted).peekable();
            let Some(batch) = batch else {
                assert!(expected.peek().is_none(), "missed {:?}", expected.next());
                assert_eq!(self.watcher.next_revision(), self.next.max(model.revision + 1));
                self.next = self.watcher.next_revision();
                return Some(self);
            };
            assert_eq!(expected.peek().map(|change| change.0), Some(batch.revision), "a gap");
            let mut expected = expected.take_while(|change| change.0 == batch.revision);
            for change in &batch.changes {
                let (_, key, after, before) = expected.next().expect("nothing else is told");
                assert_eq!((&*change.kv.key, change.deleted), (&key[..], after.is_none()));
                if let Some(after) = after {
                    assert_eq!(&change.kv, after);
                }
                let there = self.request.prev_kv && batch.revision > model.oldest;
                assert_eq!(change.prev_kv, before.clone().filter(|_| there));
            }
            assert!(expected.next().is_none(), "a revision is told whole");
            self.next = batch.revision + 1;
        }
    }
}

/// Watches from any revision, through compactions, cleanings and new lives, against the model.
pub fn watch(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let vfs = Arc::new(MemVfs::new());
    let mut store = open(&vfs, choices.below(2) == 0);
    let mut model = Model::new();
    let mut watched: Vec<Watched> = Vec::new();
    for _ in 0..STEPS_MAX {
        if choices.0.is_empty() {
            break;
        }
        match choices.below(6) {
            0 => {
                // The watchers of a store that is closed go on in the next.
                let requests: Vec<_> = watched.drain(..).map(|w| (w.request, w.next)).collect();
                store = upkeep(&mut choices, store, &mut model, &vfs);
                for (request, next) in requests {
                    begin(&store, &model, request, next, &mut watched);
                }
            }
            1 if watched.len() < 4 => {
                let filter =
                    WatchFilter { no_put: choices.below(4) == 0, no_delete: choices.below(4) == 0 };
                let prev_kv = choices.below(2) == 0;
                let request = WatchRequest::new(S, choices.range());
                let start = 1 + u64::from(choices.below(16));
                let request = WatchRequest { filter, prev_kv, ..request };
                begin(&store, &model, request, start, &mut watched);
            }
            2 => watched = watched.into_iter().filter_map(|w| w.poll(&model)).collect(),
            _ => {
                let txn = choices.txn(1, model.revision);
                model.txn(&store, &txn);
            }
        }
    }
    for watched in watched {
        watched.poll(&model);
    }
}

fn begin(
    store: &Store,
    model: &Model,
    request: WatchRequest,
    start: u64,
    watched: &mut Vec<Watched>,
) {
    match store.watch(request.clone().from(start)) {
        Ok(watcher) => watched.push(Watched { watcher, request, next: start }),
        Err(Error::Compacted { .. }) => assert!(start < model.oldest),
        Err(error) => panic!("{error}"),
    }
}
