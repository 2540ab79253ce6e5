//! The check names whatever somebody changed behind the graph's back.

use std::sync::Arc;

use cairn_graph::{Edge, Graph, ImportOptions, Label, NewEdge, StorageKey, Target, Vertex};
use cairndb::keys::Range;
use cairndb::prelude::*;
use cairndb::vfs::MemVfs;

use crate::{id, open};

/// A graph with a key of every kind.
fn every_kind() -> Graph {
    let engine = open(Arc::new(MemVfs::new()), 1, Durability::Buffered).expect("opens");
    let graph = Graph::open(&engine, "g").expect("opens");
    graph.create_index(Target::Vertex, "a", "n").expect("indexes");
    graph.create_index(Target::Edge, "e", "n").expect("indexes");
    for number in 0..4 {
        let vertex = Vertex::new(id(number)).label("a").expect("label").prop("n", 1);
        graph.add_vertex(&vertex).expect("adds");
    }
    let edge = Edge::new(graph.fresh_edge_id(), id(0), id(1), "e").expect("label").prop("n", 7);
    graph.add_edge(&edge).expect("adds");
    let mut loader = graph.edge_loader(&ImportOptions::default());
    for number in 0..4 {
        let (src, dst, label) = (id(2), id(number), Label::new("e").expect("label"));
        let props = [("n".to_owned(), 8.into())].into();
        loader.push(1, NewEdge { id: None, src, dst, label, props }).expect("takes it");
    }
    loader.finish().expect("imports");
    graph
}

#[test]
fn every_key_that_is_lost_is_noticed_and_named() {
    let graph = every_kind();
    assert!(graph.check().expect("checks").is_intact());
    let space = graph.keyspace();
    let keys: Vec<_> =
        space.scan(Range::all(), 0).expect("scans").map(|kv| kv.expect("reads")).collect();
    assert!(keys.len() > 20);
    for kv in keys {
        space.delete(kv.key.clone()).expect("deletes");
        let report = graph.check().expect("checks");
        let key = StorageKey::decode(&kv.key);
        assert!(!report.is_intact(), "{key:?} can be lost unnoticed");
        assert!(report.disagreements.iter().all(|found| !found.key.is_empty()), "{key:?}");
        space.put(kv.key, kv.value).expect("puts");
        assert!(graph.check().expect("checks").is_intact());
    }
}

#[test]
fn values_that_were_changed_are_noticed() {
    let graph = every_kind();
    let space = graph.keyspace();
    let keys: Vec<_> =
        space.scan(Range::all(), 0).expect("scans").map(|kv| kv.expect("reads")).collect();
    for kv in keys.into_iter().filter(|kv| !kv.value.is_empty()) {
        space.put(kv.key.clone(), "nonsense").expect("puts");
        let report = graph.check().expect("checks");
        assert!(!report.is_intact(), "{:?} can be changed unnoticed", StorageKey::decode(&kv.key));
        space.put(kv.key, kv.value).expect("puts");
    }
}

#[test]
fn entries_of_chunks_that_were_changed_are_noticed_and_named() {
    let graph = every_kind();
    let space = graph.keyspace();
    let keys: Vec<_> =
        space.scan(Range::all(), 0).expect("scans").map(|kv| kv.expect("reads")).collect();
    let mut tried = 0;
    for kv in keys {
        let packed = matches!(
            StorageKey::decode(&kv.key).expect("a key"),
            StorageKey::OutChunk(_) | StorageKey::InChunk(_) | StorageKey::Block { .. }
        );
        for at in (0..kv.value.len()).filter(|_| packed) {
            let mut value = kv.value.to_vec();
            value[at] ^= 1;
            space.put(kv.key.clone(), value).expect("puts");
            let report = graph.check().expect("checks");
            // A record's own bytes may mean another property: only an index would know.
            let is_record = matches!(StorageKey::decode(&kv.key), Ok(StorageKey::OutChunk(_)));
            assert!(!report.is_intact() || is_record, "byte {at} of {:?}", kv.key);
            assert!(report.disagreements.iter().all(|found| !found.key.is_empty()), "{at}");
            tried += 1;
            space.put(kv.key.clone(), kv.value.clone()).expect("puts");
        }
    }
    assert!(tried > 200, "{tried}");
    assert!(graph.check().expect("checks").is_intact());
}

#[test]
fn an_edge_without_its_vertex_is_noticed_at_both_ends() {
    for number in 0..4 {
        let graph = every_kind();
        graph.keyspace().delete(StorageKey::Vertex(id(number)).encode()).expect("deletes");
        let report = graph.check().expect("checks");
        let ends = report.disagreements.iter().filter(|found| found.what.contains("at one end"));
        assert!(ends.count() > 0, "{number}");
    }
}

#[test]
fn foreign_keys_are_noticed() {
    let graph = every_kind();
    graph.keyspace().put("foreign", "key").expect("puts");
    let report = graph.check().expect("checks");
    assert_eq!(report.disagreement_count, 1);
    assert_eq!(report.disagreements[0].key, b"foreign");
}
