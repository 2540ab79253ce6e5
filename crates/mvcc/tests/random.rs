//! Random histories against the model: every readable revision, watches, hashes, restarts.

use std::ops::ControlFlow;

use crate::model::Model;
use crate::{Lab, S};
use cairn_mvcc::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Put(u8, u16, u8),
    PutMany(Vec<u8>),
    Delete(u8, u8),
    Grant(u8),
    Revoke(u8),
    Compact(u8),
    Flush,
    Merge,
    Reopen,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..12, 0_u16..200, 0_u8..6).prop_map(|(k, v, l)| Step::Put(k, v, l)),
        2 => proptest::collection::vec(0_u8..12, 1..5).prop_map(Step::PutMany),
        4 => (0_u8..12, 0_u8..5).prop_map(|(k, n)| Step::Delete(k, n)),
        1 => (1_u8..4).prop_map(Step::Grant),
        1 => (1_u8..4).prop_map(Step::Revoke),
        1 => (0_u8..100).prop_map(Step::Compact),
        1 => Just(Step::Flush),
        1 => Just(Step::Merge),
        1 => Just(Step::Reopen),
    ]
}

fn key(number: u8) -> Vec<u8> {
    vec![b'k', b'a' + number]
}

fn value(number: u16) -> Vec<u8> {
    vec![number.to_le_bytes()[0]; usize::from(number)]
}

pub(crate) fn run(store: &Store, model: &mut Model, step: &Step) {
    match step {
        Step::Put(k, v, l) => {
            let lease = i64::from(*l);
            let put = Put::new(S, key(*k), value(*v)).lease(LeaseId::new(lease));
            let outcome = store.put(put);
            if lease == 0 || model.leases.contains(&lease) {
                outcome.expect("puts");
                model.put_all(&[(key(*k), value(*v), lease)]);
            } else {
                assert!(matches!(outcome, Err(Error::LeaseNotFound { .. })));
            }
        }
        Step::PutMany(list) => {
            let distinct: std::collections::BTreeSet<u8> = list.iter().copied().collect();
            let put = |k: &u8| TxnOp::Put(Put::new(S, key(*k), b"many".to_vec()));
            let txn = Txn { success: distinct.iter().map(put).collect(), ..Txn::default() };
            store.txn(&txn).expect("runs");
            let puts: Vec<_> = distinct.iter().map(|k| (key(*k), b"many".to_vec(), 0)).collect();
            model.put_all(&puts);
        }
        Step::Delete(k, n) => {
            let (from, to) = (key(*k), key(k + n));
            let range = Range::between(from.clone(), to.clone());
            let deleted = store.delete(&DeleteRange::new(S, range)).expect("deletes").deleted;
            assert_eq!(deleted, model.delete(|key, _| key >= &from[..] && key < &to[..]));
        }
        Step::Grant(l) => {
            let id = i64::from(*l);
            let fresh = model.leases.insert(id);
            assert_eq!(store.lease_grant(Some(LeaseId::new(id)), 60).is_ok(), fresh);
        }
        Step::Revoke(l) => {
            let id = i64::from(*l);
            let known = model.leases.remove(&id);
            let outcome = store.lease_revoke(LeaseId::new(id));
            assert_eq!(outcome.is_ok(), known);
            if known {
                model.delete(|_, fact| fact.lease == id);
            }
        }
        Step::Compact(share) => {
            let target = model.oldest.max(1)
                + (model.revision - model.oldest.max(1)) * u64::from(*share) / 100;
            if target > model.oldest && target > 1 {
                store.compact(target).expect("compacts");
                model.oldest = target;
            }
        }
        Step::Flush => store.flush().expect("flushes"),
        Step::Merge => store.merge_tables().expect("merges"),
        Step::Reopen => {}
    }
}

pub(crate) fn check(store: &Store, model: &Model) {
    assert_eq!(store.revision(), model.revision);
    assert_eq!(store.compact_revision(), model.oldest);
    for revision in model.oldest.max(1)..=model.revision {
        let request = RangeRequest::new(S, Range::all()).at(revision);
        let response = store.range(&request).expect("reads");
        model.same(revision, &response.kvs).expect("the same");
        assert_eq!(response.count as usize, response.kvs.len());
        let scanned: Vec<_> = store
            .scan(S, Range::all(), revision)
            .expect("scans")
            .collect::<Result<_>>()
            .expect("reads");
        assert_eq!(scanned, response.kvs);
        let mut visited = Vec::new();
        let to_the_end = store
            .visit(S, &Range::all(), revision, |kv| {
                visited.push(kv.to_owned());
                ControlFlow::<()>::Continue(())
            })
            .expect("visits");
        assert_eq!((to_the_end, &visited), (ControlFlow::Continue(()), &scanned));
    }
    assert_eq!(store.key_count(S).expect("counts") as usize, model.at(model.revision).len());
    let from = model.oldest.max(2);
    let mut watcher = store.watch(WatchRequest::new(S, Range::all()).from(from)).expect("watches");
    let mut changes = Vec::new();
    while let Some(batch) = watcher.try_next().expect("reads") {
        for change in batch.changes {
            changes.push((batch.revision, change.kv.key.to_vec(), change.deleted));
        }
    }
    assert_eq!(changes, model.changes(from));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn m05_every_revision_reads_as_in_the_model(
        steps in proptest::collection::vec(step(), 1..60),
        cramped in any::<bool>(),
        hot_len in prop_oneof![Just(0), Just(2 << 10), Just(1 << 20)],
    ) {
        let mut lab = if cramped { Lab::cramped() } else { Lab::new() };
        lab.options.tree.hot_len = hot_len;
        let mut store = lab.open();
        let mut model = Model::new();
        for step in &steps {
            run(&store, &mut model, step);
            if matches!(step, Step::Reopen) {
                let hash = store.state_hash(0).expect("hashes");
                drop(store);
                store = lab.open();
                prop_assert_eq!(store.state_hash(0).expect("hashes"), hash);
                check(&store, &model);
            }
        }
        check(&store, &model);
        store.verify_tables().expect("all tables are well");
        prop_assert!(store.log().verify(&Default::default()).expect("verifies").is_intact());
    }
}
