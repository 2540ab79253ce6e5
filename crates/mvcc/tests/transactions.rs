//! Interactive transactions: isolation, conflicts, savepoints, retries.

use crate::{S, get, put, store};
use cairn_mvcc::*;

fn number(value: Option<bytes::Bytes>) -> i64 {
    value.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()).unwrap_or(0)
}

#[test]
fn it_reads_its_snapshot_and_its_own_writes() {
    let store = store();
    put(&store, "a", "1");
    let mut tx = store.begin(Isolation::Serializable);
    put(&store, "b", "later");
    assert_eq!(tx.get(S, "b").expect("reads"), None, "written after the snapshot");
    tx.put(S, "c", "own");
    tx.delete(S, "a");
    assert_eq!(tx.get(S, "a").expect("reads"), None);
    let seen = tx.range(S, Range::all()).expect("reads");
    assert_eq!(crate::pairs(&seen), [("c".into(), "own".into())]);
    assert_eq!(get(&store, "c"), None, "nobody else sees it");
}

#[test]
fn a_changed_key_a_new_key_in_a_range_and_an_absent_key_that_appeared_conflict() {
    let store = store();
    put(&store, "read", "1");
    for (kind, changed) in [("key", "read"), ("range", "r5"), ("absent", "absent")] {
        let mut tx = store.begin(Isolation::Serializable);
        match kind {
            "key" => drop(tx.get(S, "read").expect("reads")),
            "range" => drop(tx.range(S, Range::between("r0", "r9")).expect("reads")),
            _ => drop(tx.get(S, "absent").expect("reads")),
        }
        tx.put(S, "result", "x");
        put(&store, changed, "other");
        let refused = tx.commit().expect_err(kind);
        assert!(matches!(&refused, Error::Conflict { key, .. } if key == changed), "{refused}");
        assert_eq!(get(&store, "result"), None);
    }
    let mut tx = store.begin(Isolation::Serializable);
    tx.get(S, "read").expect("reads");
    tx.put(S, "result", "x");
    put(&store, "unrelated", "other");
    tx.commit().expect("nothing it rests on changed");
}

/// A transaction that is open for longer than changes are remembered asks the index, which
/// forgets what was deleted and compacted.
#[test]
fn a_key_that_was_deleted_and_compacted_meanwhile_is_no_unnoticed_conflict() {
    for isolation in [Isolation::Serializable, Isolation::Snapshot] {
        let store = store();
        put(&store, "read", "1");
        let mut tx = store.begin(isolation);
        assert_eq!(tx.range(S, Range::prefix("read")).expect("reads").len(), 1);
        tx.put(S, if isolation == Isolation::Snapshot { "read" } else { "result" }, "2");
        store.delete(&DeleteRange::key(S, "read")).expect("deletes");
        for piece in 0..70 {
            let puts = (0..1000).map(|n| Put::new(S, format!("other/{piece}/{n}"), ""));
            store.put_all(puts.collect()).expect("puts");
        }
        store.compact(store.revision()).expect("compacts");
        let refused = tx.commit().expect_err("what it rests on is gone");
        assert!(matches!(refused, Error::Compacted { .. }), "{isolation:?}: {refused}");
        assert_eq!((get(&store, "read"), get(&store, "result")), (None, None));
    }
}

#[test]
fn serializable_refuses_write_skew_and_snapshot_lets_it_pass() {
    for (isolation, passes) in [(Isolation::Serializable, false), (Isolation::Snapshot, true)] {
        let store = store();
        put(&store, "x", "on");
        put(&store, "y", "on");
        let mut one = store.begin(isolation);
        let mut two = store.begin(isolation);
        one.get(S, "y").expect("reads");
        one.put(S, "x", "off");
        two.get(S, "x").expect("reads");
        two.put(S, "y", "off");
        one.commit().expect("the first commits");
        assert_eq!(two.commit().is_ok(), passes, "{isolation:?}");
    }
    let store = store();
    put(&store, "x", "1");
    let mut one = store.begin(Isolation::Snapshot);
    one.put(S, "x", "2");
    put(&store, "x", "3");
    assert!(matches!(one.commit(), Err(Error::Conflict { .. })), "two writers of one key");
}

#[test]
fn savepoints_take_back_writes() {
    let store = store();
    let mut tx = store.begin(Isolation::Serializable);
    tx.put(S, "a", "1");
    let savepoint = tx.savepoint();
    tx.put(S, "a", "2");
    tx.put(S, "b", "2");
    assert!(tx.rollback_to(savepoint));
    assert!(!tx.rollback_to(savepoint), "it is used up");
    tx.put(S, "c", "3");
    tx.commit().expect("commits");
    assert_eq!(get(&store, "a").expect("there").value, "1");
    assert_eq!((get(&store, "b"), get(&store, "c").is_some()), (None, true));
}

#[test]
fn an_aborted_or_empty_transaction_changes_nothing() {
    let store = store();
    put(&store, "a", "1");
    let mut tx = store.begin(Isolation::Serializable);
    tx.put(S, "a", "2");
    drop(tx);
    assert_eq!(get(&store, "a").expect("there").value, "1");
    assert_eq!(store.begin(Isolation::Serializable).commit().expect("commits"), 2);
}

#[test]
fn concurrent_increments_lose_no_update() {
    let store = store();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    store
                        .transact(|tx| {
                            let value = number(tx.get(S, "counter")?);
                            tx.put(S, "counter", (value + 1).to_string());
                            Ok(())
                        })
                        .expect("commits in the end");
                }
            });
        }
    });
    assert_eq!(number(get(&store, "counter").map(|kv| kv.value)), 800);
}

#[test]
fn money_is_neither_made_nor_lost_by_concurrent_transfers() {
    let store = store();
    for account in 0..5 {
        put(&store, &format!("account/{account}"), "100");
    }
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..60_u64 {
                    let from = format!("account/{}", (thread + round) % 5);
                    let to = format!("account/{}", (thread * 3 + round * 2 + 1) % 5);
                    let moved = store.transact(|tx| {
                        let (a, b) =
                            (number(tx.get(S, from.clone())?), number(tx.get(S, to.clone())?));
                        if from != to {
                            tx.put(S, from.clone(), (a - 7).to_string());
                            tx.put(S, to.clone(), (b + 7).to_string());
                        }
                        Ok(())
                    });
                    moved.expect("commits in the end");
                    // Every snapshot shows the whole sum.
                    let all = store.range(&RangeRequest::prefix(S, "account/")).expect("reads");
                    let sum: i64 = all.kvs.into_iter().map(|kv| number(Some(kv.value))).sum();
                    assert_eq!(sum, 500);
                }
            });
        }
    });
}
