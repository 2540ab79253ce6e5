//! Marks and revisions of keys: what is remembered is recognised as old after every change.

use std::sync::Arc;

use crate::{Lab, S, put, store};
use cairn_mvcc::*;
use cairn_segment::Log;

#[test]
fn the_revision_of_a_key_is_that_of_its_newest_visible_change() {
    let store = store();
    let revision = |key: &str| store.key_revision(S, key.as_bytes()).expect("reads");
    assert_eq!(revision("a"), None);
    put(&store, "a", "1");
    let first = revision("a");
    assert_eq!(first, Some(store.revision()));
    put(&store, "b", &"long".repeat(1000));
    assert_eq!((revision("a"), revision("b")), (first, Some(store.revision())));
    store.delete(&DeleteRange::new(S, Range::key("a"))).expect("deletes");
    assert_eq!(revision("a"), None);
    put(&store, "a", "1");
    assert_eq!(revision("a"), Some(store.revision()), "another generation, another revision");
}

#[test]
fn a_mark_changes_with_every_write_and_when_a_keyspace_is_forgotten() {
    let store = store();
    put(&store, "a", "1");
    let mark = store.change_mark();
    assert_eq!(store.change_mark(), mark);
    put(&store, "b", "1");
    assert_ne!(store.change_mark(), mark);
    let mark = store.change_mark();
    store.forget_space(S);
    assert_eq!(store.revision(), mark.revision);
    assert_ne!(store.change_mark(), mark);
    assert_eq!(store.key_revision(S, b"a").expect("reads"), None);
}

#[test]
fn a_write_that_readers_do_not_see_yet_changes_nothing() {
    let store = store();
    put(&store, "a", "1");
    let (mark, revision) = (store.change_mark(), store.key_revision(S, b"a").expect("reads"));
    let put = Put::new(S, "a", "2");
    let submitted = store.submit(&[], |planner| planner.put(&put)).expect("submits");
    assert_eq!(store.change_mark(), mark);
    assert_eq!(store.key_revision(S, b"a").expect("reads"), revision);
    store.wait(&submitted).expect("waits");
    assert_ne!(store.change_mark(), mark);
    assert_ne!(store.key_revision(S, b"a").expect("reads"), revision);
}

#[test]
fn a_reader_beside_a_writer_asks_the_newest_state_and_writes_no_tables() {
    let lab = Lab::new();
    let writer = lab.open();
    for number in 0..500 {
        put(&writer, &format!("{number:03}"), &"v".repeat(100));
    }
    let vfs = Arc::new(lab.vfs.clone());
    let log = Log::options().vfs(vfs).open_read_only().expect("opens");
    let options = Options { tree: crate::cramped(), ..Options::default() };
    let reader = Store::open_with(log, options).expect("opens");
    // As much is in memory as a writer would flush before it plans anything.
    let newest = reader.submit(&[], |planner| Ok(planner.revision() - 1)).expect("asks");
    assert_eq!(newest.answer, writer.revision());
    assert_eq!(reader.tree_stats().table_count, 0);
    assert!(reader.put(Put::new(S, "k", "v")).is_err(), "it only reads");
}

#[test]
fn a_forgotten_keyspace_has_no_keys_also_where_tables_still_have_them() {
    let other = cairn_types::StreamId::new(2);
    for lab in [Lab::new(), Lab::cramped()] {
        let store = lab.open();
        let key = |number: u64| format!("{number:03}");
        for number in 0..200 {
            put(&store, &key(number), &"v".repeat(50));
            store.put(Put::new(other, key(number), "w")).expect("puts");
        }
        store.flush().expect("flushes");
        store.forget_space(S);
        for number in 0..200 {
            // Twice: what is asked for again is taken into memory.
            for _ in 0..2 {
                assert_eq!(store.get(S, key(number).as_bytes()).expect("reads"), None);
                assert_eq!(store.key_revision(S, key(number).as_bytes()).expect("reads"), None);
                assert!(store.get(other, key(number).as_bytes()).expect("reads").is_some());
            }
            assert!(store.history(S, key(number).as_bytes()).expect("reads").is_empty());
        }
        assert_eq!(store.key_count(S).expect("counts"), 0);
        assert_eq!(store.key_count(other).expect("counts"), 200);
        assert_eq!(store.spaces().expect("lists"), [other]);
    }
}
