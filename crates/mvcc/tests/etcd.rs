//! etcd's rules for revisions, ranges and compaction: one test for each.

use std::ops::ControlFlow;

use crate::{Lab, S, get, keys, pairs, put, store};
use cairn_mvcc::*;

fn delete(store: &Store, key: &str) -> DeleteResponse {
    store.delete(&DeleteRange::key(S, key.to_owned())).expect("deletes")
}

#[test]
fn m01_first_write_is_revision_2_and_an_empty_store_reports_1() {
    let store = store();
    assert_eq!(store.revision(), 1);
    assert_eq!(put(&store, "a", "1"), 2);
    assert_eq!(store.revision(), 2);
}

#[test]
fn m02_one_transaction_is_one_revision() {
    let store = store();
    let ops = ["a", "b", "c"].map(|key| TxnOp::Put(Put::new(S, key, "v"))).to_vec();
    let response = store.txn(&Txn { success: ops, ..Txn::default() }).expect("runs");
    assert_eq!((response.revision, store.revision()), (2, 2));
    let all = store.range(&RangeRequest::new(S, Range::all())).expect("reads");
    assert!(all.kvs.iter().all(|kv| kv.mod_revision == 2 && kv.create_revision == 2));
    let mut watcher = store.watch(WatchRequest::new(S, Range::all()).from(2)).expect("watches");
    let batch = watcher.try_next().expect("reads").expect("a batch");
    let order: Vec<_> = batch.changes.iter().map(|change| change.kv.key.clone()).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

#[test]
fn m03_changing_nothing_does_not_bump_the_revision() {
    let store = store();
    put(&store, "a", "1");
    let deleted = delete(&store, "absent");
    assert_eq!((deleted.deleted, deleted.revision), (0, 2));
    let read = Txn {
        success: vec![
            TxnOp::Range(RangeRequest::key(S, "a")),
            TxnOp::Delete(DeleteRange::key(S, "absent")),
        ],
        ..Txn::default()
    };
    assert_eq!(store.txn(&read).expect("runs").revision, 2);
    assert_eq!(store.revision(), 2);
}

#[test]
fn m04_create_mod_and_version_follow_the_generation() {
    let store = store();
    put(&store, "k", "1");
    put(&store, "k", "2");
    let kv = get(&store, "k").expect("there");
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 2));
    delete(&store, "k");
    assert_eq!(get(&store, "k"), None);
    put(&store, "k", "3");
    let kv = get(&store, "k").expect("there");
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (5, 5, 1));
    let old = store.get_at(S, b"k", 3).expect("reads").expect("there");
    assert_eq!((old.create_revision, old.mod_revision, old.version), (2, 3, 2));
    assert_eq!(store.get_at(S, b"k", 4).expect("reads"), None);
}

#[test]
fn m06_reads_at_the_compacted_revision_work_and_below_and_above_are_refused() {
    let store = store();
    for number in 0..5 {
        put(&store, "k", &number.to_string());
    }
    store.compact(4).expect("compacts");
    let at = store.range(&RangeRequest::key(S, "k").at(4)).expect("reads");
    assert_eq!((at.revision, pairs(&at.kvs)), (6, vec![("k".into(), "2".into())]));
    let refused = store.range(&RangeRequest::key(S, "k").at(3)).expect_err("compacted");
    assert!(matches!(refused, Error::Compacted { requested: 3, oldest: 4 }), "{refused}");
    let refused = store.range(&RangeRequest::key(S, "k").at(7)).expect_err("future");
    assert!(matches!(refused, Error::FutureRevision { requested: 7, current: 6 }), "{refused}");
}

#[test]
fn m07_range_ends_mean_what_they_mean_in_etcd() {
    let store = store();
    for key in ["a", "b", "c"] {
        put(&store, key, key);
    }
    let read = |range| keys(&store, &RangeRequest::new(S, range));
    assert_eq!(read(Range::key("b")), ["b"]);
    assert_eq!(read(Range::between("a", "c")), ["a", "b"]);
    assert_eq!(read(Range::from_key("b")), ["b", "c"]);
    assert_eq!(read(Range::all()), ["a", "b", "c"]);
    assert!(read(Range::between("c", "a")).is_empty());
    assert!(read(Range::between("b", "b")).is_empty());
    let refused = store.range(&RangeRequest::key(S, "")).expect_err("no key");
    assert!(matches!(refused, Error::EmptyKey));
}

#[test]
fn m08_the_count_ignores_limit_and_filters() {
    let store = store();
    for key in ["a", "b", "c", "d"] {
        put(&store, key, key);
    }
    let request = RangeRequest::new(S, Range::all());
    let page = store.range(&request.clone().limit(2)).expect("reads");
    assert_eq!((page.kvs.len(), page.count, page.more), (2, 4, true));
    let page = store.range(&request.clone().limit(4)).expect("reads");
    assert_eq!((page.kvs.len(), page.more), (4, false));
    let filtered = RangeRequest { min_mod_revision: 4, ..request };
    let page = store.range(&filtered.limit(1)).expect("reads");
    assert_eq!((keys_of(&page), page.count, page.more), (vec!["c".into()], 4, true));
}

#[test]
fn m08_a_count_beside_a_writer_is_that_of_the_revision_it_comes_with() {
    let store = store();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..400 {
                let key = |n: u64| Put::new(S, format!("{round:03}/{n:02}"), "v");
                store.put_all((0..50).map(key).collect()).expect("puts");
            }
        });
        let count = RangeRequest { count_only: true, ..RangeRequest::new(S, Range::all()) };
        while !writer.is_finished() {
            let answer = store.range(&count).expect("counts");
            assert_eq!(answer.count, 50 * (answer.revision - 1));
        }
    });
}

fn keys_of(response: &RangeResponse) -> Vec<String> {
    pairs(&response.kvs).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn m09_four_revision_filters() {
    let store = store();
    for key in ["a", "b", "c"] {
        put(&store, key, "1");
    }
    put(&store, "a", "2");
    let base = RangeRequest::new(S, Range::all());
    let cases = [
        (RangeRequest { min_mod_revision: 4, ..base.clone() }, vec!["a", "c"]),
        (RangeRequest { max_mod_revision: 3, ..base.clone() }, vec!["b"]),
        (RangeRequest { min_create_revision: 3, ..base.clone() }, vec!["b", "c"]),
        (RangeRequest { max_create_revision: 2, ..base }, vec!["a"]),
    ];
    for (request, expected) in cases {
        assert_eq!(keys(&store, &request), expected, "{request:?}");
    }
}

#[test]
fn m10_five_targets_in_three_orders_sorted_before_the_limit() {
    let store = store();
    put(&store, "a", "z");
    put(&store, "b", "y");
    put(&store, "c", "x");
    put(&store, "a", "z");
    put(&store, "a", "z");
    put(&store, "c", "x");
    let sorted = |sort_by, order| {
        let request = RangeRequest { sort_by, order, ..RangeRequest::new(S, Range::all()) };
        keys(&store, &request)
    };
    let cases = [
        (SortBy::Key, ["a", "b", "c"]),
        (SortBy::Version, ["b", "c", "a"]),
        (SortBy::Create, ["a", "b", "c"]),
        (SortBy::Mod, ["b", "a", "c"]),
        (SortBy::Value, ["c", "b", "a"]),
    ];
    for (target, ascending) in cases {
        assert_eq!(sorted(target, Order::Ascend), ascending, "{target:?}");
        // Without an order other targets than the key ascend all the same.
        assert_eq!(sorted(target, Order::None), ascending, "{target:?}");
        let mut descending = ascending;
        descending.reverse();
        assert_eq!(sorted(target, Order::Descend), descending, "{target:?}");
    }
    let request = RangeRequest {
        sort_by: SortBy::Mod,
        order: Order::Descend,
        ..RangeRequest::new(S, Range::all())
    };
    let page = store.range(&request.limit(1)).expect("reads");
    assert_eq!((keys_of(&page), page.more), (vec!["c".into()], true));
}

#[test]
fn m11_keys_only_and_count_only() {
    let store = store();
    put(&store, "a", "1");
    put(&store, "b", "2");
    let base = RangeRequest::new(S, Range::all());
    let only = store.range(&RangeRequest { keys_only: true, ..base.clone() }).expect("reads");
    assert_eq!(pairs(&only.kvs), [("a".into(), String::new()), ("b".into(), String::new())]);
    let count = store.range(&RangeRequest { count_only: true, ..base.clone() }).expect("reads");
    assert_eq!((count.kvs.len(), count.count), (0, 2));
    let refused = RangeRequest { keys_only: true, sort_by: SortBy::Value, ..base };
    assert!(matches!(store.range(&refused), Err(Error::InvalidSort { .. })));
}

#[test]
fn m12_previous_versions_of_puts_and_deletes() {
    let store = store();
    let with_prev = |value: &str| Put { prev_kv: true, ..Put::new(S, "k", value.to_owned()) };
    assert_eq!(store.put(with_prev("1")).expect("puts").prev_kv, None);
    let previous = store.put(with_prev("2")).expect("puts").prev_kv.expect("there was one");
    assert_eq!((previous.value.as_ref(), previous.mod_revision), (&b"1"[..], 2));
    put(&store, "l", "3");
    let delete = DeleteRange { prev_kv: true, ..DeleteRange::new(S, Range::all()) };
    let deleted = store.delete(&delete).expect("deletes");
    assert_eq!(pairs(&deleted.prev_kvs), [("k".into(), "2".into()), ("l".into(), "3".into())]);
    assert_eq!(deleted.deleted, 2);
}

#[test]
fn m13_keeping_the_old_value_or_lease() {
    let store = store();
    let lease = store.lease_grant(None, 60).expect("grants").id;
    let base = || Put::new(S, "k", "");
    let refused = store.put(Put { ignore_value: true, ..base() }).expect_err("absent");
    assert!(matches!(refused, Error::KeyNotFound { .. }));
    let refused = store.put(Put { ignore_lease: true, ..base() }).expect_err("absent");
    assert!(matches!(refused, Error::KeyNotFound { .. }));
    store.put(Put::new(S, "k", "value").lease(lease)).expect("puts");
    let refused = Put { ignore_value: true, ..Put::new(S, "k", "other") };
    assert!(matches!(store.put(refused), Err(Error::ValueProvided)));
    let refused = Put { ignore_lease: true, ..Put::new(S, "k", "other").lease(lease) };
    assert!(matches!(store.put(refused), Err(Error::LeaseProvided)));
    store.put(Put { ignore_lease: true, ..Put::new(S, "k", "new") }).expect("puts");
    let kv = get(&store, "k").expect("there");
    assert_eq!((kv.value.as_ref(), kv.lease, kv.version), (&b"new"[..], lease, 2));
    store.put(Put { ignore_value: true, ..base() }).expect("puts");
    let kv = get(&store, "k").expect("there");
    assert_eq!((kv.value.as_ref(), kv.lease, kv.version), (&b"new"[..], LeaseId::NONE, 3));
}

#[test]
fn m20_compaction_keeps_the_newest_version_of_every_live_key() {
    let lab = Lab::new();
    let store = lab.open();
    put(&store, "untouched", "old");
    for number in 0..5 {
        put(&store, "busy", &number.to_string());
    }
    put(&store, "dead", "x");
    delete(&store, "dead");
    assert_eq!(store.stats().version_count, 8);
    let compacted = store.compact(9).expect("compacts");
    assert_eq!(compacted.version_count, 6);
    assert_eq!(get(&store, "untouched").expect("still there").value, "old");
    assert_eq!(get(&store, "busy").expect("still there").value, "4");
    assert!(matches!(store.compact(9), Err(Error::Compacted { .. })));
    assert!(matches!(store.compact(99), Err(Error::FutureRevision { .. })));
    drop(store);
    let store = lab.open();
    assert_eq!((store.compact_revision(), store.revision()), (9, 9));
    assert_eq!(store.stats().version_count, 2);
    assert_eq!(get(&store, "untouched").expect("still there").value, "old");
}

#[test]
fn m20_the_revision_never_goes_back_when_the_last_change_was_a_compacted_tombstone() {
    let lab = Lab::new();
    let store = lab.open();
    put(&store, "k", "v");
    delete(&store, "k");
    store.compact(3).expect("compacts");
    assert_eq!(store.stats().version_count, 0);
    drop(store);
    let store = lab.open();
    assert_eq!(store.revision(), 3);
    assert_eq!(put(&store, "k", "again"), 4);
}

#[test]
fn m21_the_hash_of_a_state_does_not_depend_on_how_it_came_about() {
    let (one, other) = (store(), store());
    for store in [&one, &other] {
        put(store, "a", "1");
        put(store, "b", "2");
        put(store, "a", "3");
    }
    assert_eq!(one.state_hash(0).expect("hashes"), other.state_hash(0).expect("hashes"));
    let at_three = one.state_hash(3).expect("hashes");
    other.compact(4).expect("compacts");
    assert_eq!(one.state_hash(4).expect("hashes"), other.state_hash(4).expect("hashes"));
    assert_ne!(at_three, one.state_hash(4).expect("hashes"));
    put(&one, "b", "other");
    put(&other, "b", "2");
    assert_ne!(one.state_hash(0).expect("hashes"), other.state_hash(0).expect("hashes"));
}

#[test]
fn m34_a_snapshot_read_while_others_write_is_one_state() {
    let store = store();
    for number in 0..2000 {
        put(&store, &format!("k{number:05}"), "before");
    }
    let scan = store.scan(S, Range::all(), 0).expect("scans");
    let mut seen = 0;
    for (number, kv) in scan.enumerate() {
        assert_eq!(kv.expect("reads").value, "before");
        if number % 100 == 0 {
            put(&store, "k01999", "after");
            put(&store, &format!("new{number}"), "after");
            delete(&store, "k01000");
        }
        seen += 1;
    }
    assert_eq!(seen, 2000);
}

#[test]
fn m34_keys_that_are_lent_while_others_write_are_one_state() {
    // In memory alone, and in tables that are merged meanwhile.
    for is_flushed in [false, true] {
        let store = store();
        for number in 0..9000 {
            put(&store, &format!("k{number:05}"), "before");
        }
        if is_flushed {
            store.flush().expect("flushes");
        }
        let mut seen = 0;
        let end = store.visit(S, &Range::prefix("k"), 0, |kv| {
            assert_eq!((kv.key, kv.value), (format!("k{seen:05}").as_bytes(), &b"before"[..]));
            if seen % 1000 == 0 {
                put(&store, "k08999", "after");
                put(&store, &format!("k{seen:05}new"), "after");
                delete(&store, "k05500");
                store.flush().expect("flushes");
                store.merge_tables().expect("merges");
            }
            seen += 1;
            if seen == 8995 { ControlFlow::Break(kv.version) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((end.expect("visits"), seen), (ControlFlow::Break(1), 8995));
    }
}

#[test]
fn keys_that_are_lent_at_a_revision_that_is_compacted_meanwhile_end_with_an_error() {
    let store = store();
    for number in 0..5000 {
        put(&store, &format!("{number:04}"), "v");
    }
    let past = store.revision() - 1;
    let visited = store.visit(S, &Range::all(), past, |_| {
        if store.compact_revision() <= past {
            put(&store, "0000", "w");
            store.compact(store.revision()).expect("compacts");
        }
        ControlFlow::<()>::Continue(())
    });
    assert!(matches!(visited, Err(Error::Compacted { requested, .. }) if requested == past));
    let visited = store.visit(S, &Range::all(), 100_000, |_| ControlFlow::<()>::Continue(()));
    assert!(matches!(visited, Err(Error::FutureRevision { .. })));
}

#[test]
fn pages_without_a_count_stop_after_the_page() {
    let store = store();
    for number in 0..100 {
        put(&store, &format!("{number:03}"), "v");
    }
    let page = RangeRequest { without_count: true, ..RangeRequest::new(S, Range::all()).limit(5) };
    let page = store.range(&page).expect("reads");
    assert_eq!((page.kvs.len(), page.more), (5, true));
    // The past is not counted in advance.
    let old = RangeRequest { without_count: true, ..RangeRequest::new(S, Range::all()).limit(5) };
    let old = store.range(&old.at(60)).expect("reads");
    assert!(old.count < 10, "{}", old.count);
}

#[test]
fn values_in_memory_and_in_the_log_read_the_same() {
    let lab = Lab::new();
    let store = lab.open();
    for len in [0, 1, 128, 129, 1000, 40_000] {
        let (key, value) = (format!("k{len}"), "v".repeat(len));
        put(&store, &key, &value);
        assert_eq!(get(&store, &key).expect("there").value, value);
    }
    drop(store);
    let store = lab.open();
    for len in [0, 1, 128, 129, 1000, 40_000] {
        assert_eq!(get(&store, &format!("k{len}")).expect("there").value.len(), len);
    }
}

#[test]
fn the_history_of_a_key_is_the_same_wherever_its_versions_are() {
    let histories = [Lab::new(), Lab::cramped()].map(|lab| {
        let store = lab.open();
        put(&store, "k", "1");
        delete(&store, "k");
        put(&store, "k", "2");
        put(&store, "k", "3");
        put(&store, "gone", "x");
        delete(&store, "gone");
        // Enough for a small memory to let go of the others.
        for number in 0..100 {
            put(&store, &format!("other{number}"), &"x".repeat(50));
        }
        store.compact(7).expect("compacts");
        let history = |key: &[u8]| store.history(S, key).expect("reads");
        (history(b"k"), history(b"gone"), store.tree_stats().is_complete)
    });
    let [(in_memory, gone, true), (in_tables, gone_too, false)] = histories else {
        panic!("one of them has tables");
    };
    assert_eq!((&in_memory, &gone), (&in_tables, &gone_too));
    assert_eq!(pairs(&in_memory), [("k".into(), "3".into())]);
    assert!(gone.is_empty());
    let store = store();
    put(&store, "k", "1");
    delete(&store, "k");
    put(&store, "k", "2");
    store.compact(3).expect("compacts");
    assert_eq!(store.history(S, b"k").expect("reads").len(), 1, "no deletion nobody can see");
}
