//! The properties of watches: ordered, unique, whole, without a gap, resumable, bookmarkable,
//! with right previous values, creation flags and filters.

use std::time::Duration;

use crate::{Lab, S, put, store};
use cairn_mvcc::*;

fn watch(store: &Store, request: WatchRequest) -> Watcher {
    store.watch(request).expect("watches")
}

fn revisions(watcher: &mut Watcher) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(batch) = watcher.try_next().expect("reads") {
        found.push(batch.revision);
    }
    found
}

/// What writes nothing shows the newest revision all the same, and with it a write of somebody
/// else that is under way: a watch that came in between used to skip that one.
#[test]
fn a_write_of_nothing_beside_one_under_way_costs_no_watch_an_event() {
    let store = store();
    let mut watcher = watch(&store, WatchRequest::new(S, Range::all()));
    let under_way = store.submit(&[], |planner| planner.put(&Put::new(S, "k", "v")));
    let under_way = under_way.expect("submits");
    let nothing = store.submit(&[], |planner| planner.delete(&DeleteRange::key(S, "absent")));
    let nothing = nothing.expect("submits");
    assert_eq!(nothing.answer.deleted, 0);
    assert!(revisions(&mut watcher).is_empty(), "nobody was told of it");
    store.wait(&nothing).expect("waits");
    let end = under_way.ticket.as_ref().expect("it is written").appended.end_lsn;
    assert_eq!(store.revision(), under_way.revision);
    assert!(store.log().visible_end() >= end, "a revision is shown when it is durable");
    assert_eq!(revisions(&mut watcher), [under_way.revision]);
    store.wait(&under_way).expect("waits");
    assert!(revisions(&mut watcher).is_empty(), "once");
}

#[test]
fn m22_from_now_the_past_the_future_and_what_was_compacted() {
    let store = store();
    for number in 0..5 {
        put(&store, "k", &number.to_string());
    }
    let all = || WatchRequest::new(S, Range::all());
    let mut now = watch(&store, all());
    assert_eq!(now.try_next().expect("reads"), None);
    put(&store, "k", "new");
    assert_eq!(revisions(&mut now), [7]);
    assert_eq!(revisions(&mut watch(&store, all().from(4))), [4, 5, 6, 7]);
    let mut future = watch(&store, all().from(9));
    put(&store, "k", "8");
    assert!(revisions(&mut future).is_empty());
    put(&store, "k", "9");
    assert_eq!(revisions(&mut future), [9]);
    let mut behind = watch(&store, all().from(2));
    store.compact(6).expect("compacts");
    assert!(matches!(store.watch(all().from(5)), Err(Error::Compacted { oldest: 6, .. })));
    assert_eq!(revisions(&mut watch(&store, all().from(6))), [6, 7, 8, 9]);
    assert!(matches!(behind.try_next(), Err(Error::Compacted { oldest: 6, .. })), "no silent gap");
}

#[test]
fn m23_every_change_comes_once_in_order_whole_and_resumes_without_a_gap() {
    let lab = Lab::new();
    let store = lab.open();
    let writers = 3;
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let store = &store;
            scope.spawn(move || {
                for number in 0..200 {
                    let ops = (0..=number % 3)
                        .map(|n| TxnOp::Put(Put::new(S, format!("{writer}-{n}"), "v")))
                        .collect();
                    store.txn(&Txn { success: ops, ..Txn::default() }).expect("runs");
                }
            });
        }
        let store = &store;
        scope.spawn(move || {
            let mut watcher = watch(store, WatchRequest::new(S, Range::all()).from(2));
            let mut expected = 2;
            while expected < 2 + writers * 200 {
                let batch = watcher.next(Duration::from_secs(20)).expect("reads").expect("comes");
                assert_eq!(batch.revision, expected, "ordered, unique, no gap");
                assert!(batch.changes.iter().all(|c| c.kv.mod_revision == expected));
                expected += 1;
                if expected % 50 == 0 {
                    let resume = watcher.next_revision();
                    assert_eq!(resume, expected);
                    watcher = watch(store, WatchRequest::new(S, Range::all()).from(resume));
                }
            }
            assert_eq!(watcher.try_next().expect("reads"), None);
            assert_eq!(watcher.progress(), Some(expected - 1));
        });
    });
    drop(store);
    let store = lab.open();
    let mut watcher = watch(&store, WatchRequest::new(S, Range::all()).from(300));
    assert_eq!(revisions(&mut watcher), (300..602).collect::<Vec<_>>(), "also after a restart");
}

#[test]
fn m23_previous_values_and_creation_flags_are_right() {
    let store = store();
    put(&store, "k", "1");
    put(&store, "k", "2");
    store.delete(&DeleteRange::key(S, "k")).expect("deletes");
    put(&store, "k", "3");
    let request = WatchRequest { prev_kv: true, ..WatchRequest::new(S, Range::all()).from(2) };
    let mut watcher = watch(&store, request);
    let mut seen = Vec::new();
    while let Some(batch) = watcher.try_next().expect("reads") {
        for change in batch.changes {
            let previous = change.prev_kv.as_ref().map(|kv| kv.value.clone());
            seen.push((change.deleted, change.is_create(), change.kv.value, previous));
        }
    }
    let expected: [(bool, bool, &str, Option<&str>); 4] = [
        (false, true, "1", None),
        (false, false, "2", Some("1")),
        (true, false, "", Some("2")),
        (false, true, "3", None),
    ];
    let expected = expected.map(|(d, c, v, p)| (d, c, v.into(), p.map(Into::into)));
    assert_eq!(seen, expected);
}

#[test]
fn m23_a_previous_value_that_was_compacted_is_left_out() {
    let store = store();
    for value in ["1", "2", "3"] {
        put(&store, "k", value);
    }
    store.compact(3).expect("compacts");
    let request = WatchRequest { prev_kv: true, ..WatchRequest::new(S, Range::all()).from(3) };
    let mut watcher = watch(&store, request);
    let mut previous = Vec::new();
    while let Some(mut batch) = watcher.try_next().expect("reads") {
        previous.push(batch.changes.pop().expect("one").prev_kv.map(|kv| kv.value));
    }
    assert_eq!(previous, [None, Some("2".into())]);
}

#[test]
fn m24_a_transaction_comes_whole_or_not_at_all() {
    let store = store();
    let ops = ["a", "b", "x"].map(|key| TxnOp::Put(Put::new(S, key, "v"))).to_vec();
    store.txn(&Txn { success: ops, ..Txn::default() }).expect("runs");
    let mut watcher = watch(&store, WatchRequest::new(S, Range::between("a", "c")).from(2));
    let batch = watcher.try_next().expect("reads").expect("a batch");
    assert_eq!(batch.changes.len(), 2, "only wanted keys");
    assert_eq!(watcher.try_next().expect("reads"), None);
}

#[test]
fn m25_filters_leave_puts_or_deletes_out_and_silence_is_no_batch() {
    let store = store();
    put(&store, "k", "1");
    store.delete(&DeleteRange::key(S, "k")).expect("deletes");
    let filtered = |no_put, no_delete| {
        let filter = WatchFilter { no_put, no_delete };
        let request = WatchRequest { filter, ..WatchRequest::new(S, Range::all()).from(2) };
        revisions(&mut watch(&store, request))
    };
    assert_eq!(filtered(false, false), [2, 3]);
    assert_eq!(filtered(true, false), [3]);
    assert_eq!(filtered(false, true), [2]);
    assert!(filtered(true, true).is_empty());
}

#[test]
fn m26_progress_is_told_only_when_everything_was_delivered() {
    let store = store();
    let mut watcher = watch(&store, WatchRequest::new(S, Range::key("wanted")).from(2));
    assert_eq!(watcher.progress(), Some(1));
    put(&store, "other", "v");
    assert_eq!(watcher.progress(), None, "not looked yet");
    assert_eq!(watcher.try_next().expect("reads"), None);
    assert_eq!(watcher.progress(), Some(2));
    put(&store, "wanted", "v");
    assert_eq!(watcher.progress(), None);
    assert!(watcher.try_next().expect("reads").is_some());
    assert_eq!(watcher.progress(), Some(3));
    let mut future = watch(&store, WatchRequest::new(S, Range::all()).from(9));
    assert_eq!(future.try_next().expect("reads"), None);
    assert_eq!(future.progress(), None, "none before its start");
}

#[test]
fn a_keyspace_does_not_see_another() {
    let store = store();
    let other = cairn_types::StreamId::new(2);
    put(&store, "k", "1");
    store.put(Put::new(other, "k", "2")).expect("puts");
    assert_eq!(store.get(other, b"k").expect("gets").expect("there").version, 1);
    let mut watcher = watch(&store, WatchRequest::new(other, Range::all()).from(2));
    assert_eq!(revisions(&mut watcher), [3]);
}
