//! The change feed.

use std::time::Duration;

use cairn_graph::{Edge, Error, OnDelete, Vertex};

use crate::{graph_of, id};

#[test]
fn changes_of_one_commit_come_together_as_typed_json() {
    let graph = graph_of(1);
    let mut feed = graph.changes(0).expect("feeds");
    let edge = graph.fresh_edge_id();
    let written = graph.transact(|tx| {
        tx.add_vertex(&Vertex::new(id(1)).label("a")?.prop("n", 1))?;
        tx.add_edge(&Edge::new(edge, id(0), id(1), "e")?)
    });
    let revision = written.expect("commits").revision;
    let batch = feed.next(Duration::ZERO).expect("reads").expect("a change").to_json();
    assert_eq!(batch["revision"], revision);
    assert_eq!(batch["changes"][0]["change"], "vertex_created");
    assert_eq!(batch["changes"][0]["vertex"]["props"]["n"], 1);
    assert_eq!(batch["changes"][1]["change"], "edge_created");
    assert_eq!(batch["changes"][1]["edge"]["id"], edge.to_string());
    graph.remove_vertex(id(1), OnDelete::CASCADE).expect("removes");
    let batch = feed.try_next().expect("reads").expect("a change").to_json();
    assert_eq!(batch["changes"][0]["change"], "vertex_deleted");
    assert_eq!(batch["changes"][1]["change"], "edge_deleted");
    assert_eq!(batch["changes"][1]["edge"]["label"], "e");
    assert!(feed.try_next().expect("reads").is_none());
}

#[test]
fn a_feed_resumes_without_gap_or_repetition() {
    let graph = graph_of(3);
    let mut feed = graph.changes(2).expect("feeds");
    let mut seen = Vec::new();
    while let Some(batch) = feed.try_next().expect("reads") {
        seen.push(batch.revision);
        feed = graph.changes(feed.next_revision()).expect("feeds");
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_feed_from_a_compacted_revision_is_refused() {
    let graph = graph_of(4);
    let revision = graph.engine().revision();
    graph.engine().keys().compact(revision).expect("compacts");
    assert!(matches!(graph.changes(revision), Err(Error::Engine(_))));
    assert!(graph.changes(revision + 1).is_ok());
    assert!(matches!(graph.at(revision - 1), Err(Error::Engine(_))));
    assert!(graph.at(revision).is_ok());
}
