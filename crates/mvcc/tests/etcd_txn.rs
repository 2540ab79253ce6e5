//! etcd's rules for transactions: one test for each.

use crate::{S, get, put, store};
use cairn_mvcc::*;

fn put_op(key: &str, value: &str) -> TxnOp {
    TxnOp::Put(Put::new(S, key.to_owned(), value.to_owned()))
}

fn delete_op(range: Range) -> TxnOp {
    TxnOp::Delete(DeleteRange::new(S, range))
}

fn then(success: Vec<TxnOp>) -> Txn {
    Txn { success, ..Txn::default() }
}

#[test]
fn m14_five_targets_four_operators_and_the_absent_key() {
    let store = store();
    let lease = store.lease_grant(Some(LeaseId::new(5)), 60).expect("grants").id;
    put(&store, "k", "b");
    store.put(Put::new(S, "k", "m").lease(lease)).expect("puts");
    let holds = |key: &str, op, target| {
        let compare = vec![Compare::key(S, key.to_owned(), op, target)];
        store.txn(&Txn { compare, ..Txn::default() }).expect("runs").succeeded
    };
    type Target = fn(i8) -> CompareTarget;
    let targets: [Target; 5] = [
        |by| CompareTarget::Version(2_u64.saturating_add_signed(by.into())),
        |by| CompareTarget::Create(2_u64.saturating_add_signed(by.into())),
        |by| CompareTarget::Mod(3_u64.saturating_add_signed(by.into())),
        |by| CompareTarget::Lease(LeaseId::new(5 + i64::from(by))),
        |by| CompareTarget::Value(vec![b'm'.saturating_add_signed(by)].into()),
    ];
    for target in targets {
        for by in [-1, 0, 1] {
            let results =
                [CompareOp::Less, CompareOp::Equal, CompareOp::Greater, CompareOp::NotEqual]
                    .map(|op| holds("k", op, target(by)));
            assert_eq!(results, [by > 0, by == 0, by < 0, by != 0], "{:?}", target(by));
        }
    }
    use CompareOp::*;
    for target in [
        CompareTarget::Version(0),
        CompareTarget::Create(0),
        CompareTarget::Mod(0),
        CompareTarget::Lease(LeaseId::NONE),
    ] {
        assert!(holds("absent", Equal, target.clone()) && !holds("absent", Greater, target));
    }
    for op in [Less, Equal, Greater, NotEqual] {
        assert!(!holds("absent", op, CompareTarget::Value("x".into())), "{op:?}");
    }
}

#[test]
fn m15_a_range_comparison_must_hold_for_every_key() {
    let store = store();
    put(&store, "a1", "x");
    put(&store, "a2", "x");
    let holds = |range, target| {
        let compare = vec![Compare { space: S, range, op: CompareOp::Equal, target }];
        store.txn(&Txn { compare, ..Txn::default() }).expect("runs").succeeded
    };
    assert!(holds(Range::prefix("a"), CompareTarget::Value("x".into())));
    put(&store, "a2", "y");
    assert!(!holds(Range::prefix("a"), CompareTarget::Value("x".into())));
    assert!(holds(Range::prefix("none"), CompareTarget::Version(0)));
    assert!(!holds(Range::prefix("none"), CompareTarget::Value("x".into())));
}

#[test]
fn m16_nested_paths_are_chosen_on_the_state_before_and_operations_see_earlier_ones() {
    let store = store();
    put(&store, "k", "old");
    let is_old = Compare::key(S, "k", CompareOp::Equal, CompareTarget::Value("old".into()));
    let inner = Txn {
        compare: vec![is_old],
        success: vec![put_op("inner", "chosen on the old state")],
        failure: vec![put_op("inner", "wrong")],
    };
    let read = TxnOp::Range(RangeRequest::key(S, "k"));
    let txn = then(vec![read.clone(), put_op("k", "new"), read, TxnOp::Txn(inner)]);
    let response = store.txn(&txn).expect("runs");
    let TxnResult::Range(first) = &response.results[0] else { panic!("a range") };
    let TxnResult::Range(second) = &response.results[2] else { panic!("a range") };
    assert_eq!((first.kvs[0].value.as_ref(), first.kvs[0].mod_revision), (&b"old"[..], 2));
    assert_eq!((second.kvs[0].value.as_ref(), second.kvs[0].mod_revision), (&b"new"[..], 3));
    assert_eq!((first.revision, second.revision, response.revision), (3, 3, 3));
    assert_eq!(get(&store, "inner").expect("there").value, "chosen on the old state");
}

#[test]
fn m16_a_range_within_a_transaction_merges_what_it_changed() {
    let store = store();
    for key in ["a", "c", "e"] {
        put(&store, key, "old");
    }
    let txn = then(vec![
        put_op("b", "new"),
        put_op("c", "new"),
        delete_op(Range::key("e")),
        put_op("f", "new"),
        TxnOp::Range(RangeRequest::new(S, Range::all())),
    ]);
    let response = store.txn(&txn).expect("runs");
    let TxnResult::Range(range) = &response.results[4] else { panic!("a range") };
    let found: Vec<_> = range.kvs.iter().map(|kv| (&kv.key[..], kv.version)).collect();
    assert_eq!(found, [(&b"a"[..], 1), (b"b", 1), (b"c", 2), (b"f", 1)]);
}

#[test]
fn m17_no_key_is_changed_twice_on_one_path() {
    let store = store();
    let nested = |success, failure| TxnOp::Txn(Txn { compare: vec![], success, failure });
    let refused = [
        vec![put_op("k", "1"), put_op("k", "2")],
        vec![put_op("k", "1"), delete_op(Range::key("k"))],
        vec![delete_op(Range::prefix("")), put_op("k", "1")],
        vec![put_op("k", "1"), nested(vec![put_op("k", "2")], vec![])],
        vec![put_op("k", "1"), nested(vec![], vec![put_op("k", "2")])],
        vec![nested(vec![put_op("k", "1")], vec![]), nested(vec![put_op("k", "2")], vec![])],
        vec![put_op("k", "1"), nested(vec![delete_op(Range::key("k"))], vec![])],
        vec![delete_op(Range::key("k")), nested(vec![put_op("k", "1")], vec![])],
    ];
    for ops in refused {
        for txn in [then(ops.clone()), Txn { failure: ops.clone(), ..Txn::default() }] {
            let outcome = store.txn(&txn);
            assert!(matches!(outcome, Err(Error::DuplicateKey { .. })), "{ops:?} {outcome:?}");
        }
    }
    assert_eq!(store.revision(), 1);
    // The branches of one nested transaction exclude each other; deletes may overlap.
    let allowed = vec![
        nested(vec![put_op("k", "1")], vec![put_op("k", "2")]),
        delete_op(Range::key("a")),
        delete_op(Range::between("a", "c")),
    ];
    store.txn(&then(allowed)).expect("allowed");
}

#[test]
fn many_keys_are_deleted_in_one_revision_each_once() {
    let store = store();
    for key in ["a", "b", "c"] {
        put(&store, key, "1");
    }
    let before = store.revision();
    let keys = ["c", "none", "a", "c"].map(bytes::Bytes::from).to_vec();
    let response = store.delete_all(S, keys.clone()).expect("deletes");
    assert_eq!((response.revision, response.deleted), (before + 1, 2));
    assert_eq!(store.get(S, b"a").expect("reads"), None);
    assert_eq!(store.key_count(S).expect("counts"), 1);
    let again = store.delete_all(S, keys).expect("deletes nothing");
    assert_eq!((again.revision, again.deleted), (before + 1, 0));
    let refused = store.delete_all(S, vec!["b".into(), "".into()]);
    assert!(matches!(refused, Err(Error::EmptyKey)), "{refused:?}");
    assert!(store.get(S, b"b").expect("reads").is_some(), "nothing was done");
}

#[test]
fn m17_deletes_that_overlap_delete_each_key_once() {
    let store = store();
    put(&store, "a", "1");
    put(&store, "b", "1");
    let txn = then(vec![delete_op(Range::key("a")), delete_op(Range::all())]);
    let response = store.txn(&txn).expect("allowed");
    let deleted = response.results.iter().map(|result| match result {
        TxnResult::Delete(delete) => delete.deleted,
        other => panic!("{other:?}"),
    });
    assert_eq!(deleted.collect::<Vec<_>>(), [1, 1]);
    let request = WatchRequest::new(S, Range::all()).from(response.revision);
    let batch = store.watch(request).expect("watches").try_next().expect("reads");
    let keys = batch.expect("there").changes.into_iter().map(|change| change.kv.key);
    assert_eq!(keys.collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn m18_a_level_holds_128_operations_and_a_nested_one_what_is_left() {
    let store = store();
    let many = |count: usize| (0..count).map(|n| put_op(&n.to_string(), "v")).collect::<Vec<_>>();
    store.txn(&then(many(128))).expect("fits");
    assert!(matches!(store.txn(&then(many(129))), Err(Error::TooManyOps { .. })));
    let mut outer = many(100);
    outer.push(TxnOp::Txn(then((0..28).map(|n| put_op(&format!("n{n}"), "v")).collect())));
    assert!(matches!(store.txn(&then(outer.clone())), Err(Error::TooManyOps { .. })));
    outer.pop();
    outer.push(TxnOp::Txn(then((0..27).map(|n| put_op(&format!("n{n}"), "v")).collect())));
    store.txn(&then(outer)).expect("fits");
}

#[test]
fn m19_a_failing_check_leaves_no_trace() {
    let store = store();
    put(&store, "a", "1");
    let bad: [TxnOp; 4] = [
        TxnOp::Put(Put::new(S, "x", "v").lease(LeaseId::new(99))),
        TxnOp::Put(Put { ignore_value: true, ..Put::new(S, "absent", "") }),
        TxnOp::Range(RangeRequest::key(S, "a").at(99)),
        TxnOp::Put(Put::new(S, "", "v")),
    ];
    let head = store.log().head();
    for op in bad {
        let txn = then(vec![put_op("a", "2"), delete_op(Range::key("b")), op]);
        assert!(store.txn(&txn).is_err());
        assert_eq!((store.revision(), store.log().head()), (2, head));
        assert_eq!(get(&store, "a").expect("there").value, "1");
    }
}

#[test]
fn two_thousand_concurrent_puts_of_one_key_end_at_version_2000() {
    let store = store();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..500 {
                    put(store, "k", &format!("{thread}-{number}"));
                }
            });
        }
    });
    let kv = get(&store, "k").expect("there");
    assert_eq!((kv.version, kv.mod_revision, store.revision()), (2000, 2001, 2001));
}
