//! Neighbours, hops, paths and lookups.

use std::ops::Bound;

use cairn_graph::{
    Direction, Edge, Error, ExpandOptions, Graph, Label, OnDelete, PathOptions, Target, Value,
    Vertex,
};
use cairndb::prelude::*;
use cairndb::vfs::{Rng, SeededRng};

use crate::{graph, graph_of, id};

fn link(graph: &Graph, src: u8, dst: u8, weight: i64) -> cairn_graph::EdgeId {
    let edge = Edge::new(graph.fresh_edge_id(), id(src), id(dst), "e").expect("label");
    graph.add_edge(&edge.clone().prop("w", weight)).expect("adds");
    edge.id
}

#[test]
fn shortest_and_cheapest_paths_are_those_of_a_plain_search() {
    const COUNT: u8 = 14;
    for seed in 0..12 {
        let rng = SeededRng::new(seed);
        let graph = graph_of(COUNT);
        let far = i64::MAX / 4;
        let mut hops = vec![vec![far; COUNT.into()]; COUNT.into()];
        let mut costs = hops.clone();
        for _ in 0..24 {
            let small = |bound: u64| u8::try_from(rng.next_u64() % bound).expect("small");
            let (src, dst, weight) = (small(COUNT.into()), small(COUNT.into()), small(9).into());
            link(&graph, src, dst, weight);
            let (src, dst) = (usize::from(src), usize::from(dst));
            hops[src][dst] = 1;
            costs[src][dst] = costs[src][dst].min(weight);
        }
        for table in [&mut hops, &mut costs] {
            for middle in 0..COUNT.into() {
                for a in 0..COUNT.into() {
                    for b in 0..COUNT.into() {
                        let over: i64 = table[a][middle] + table[middle][b];
                        table[a][b] = table[a][b].min(over);
                    }
                }
            }
            (0..COUNT.into()).for_each(|same: usize| table[same][same] = 0);
        }
        let view = graph.now();
        for a in 0..COUNT {
            for b in 0..COUNT {
                let options = PathOptions::default();
                let found = view.shortest_path(id(a), id(b), &options).expect("searches");
                let cheap = view.cheapest_path(id(a), id(b), "w", &options).expect("searches");
                for (found, table) in [(found, &hops), (cheap, &costs)] {
                    let wanted = table[usize::from(a)][usize::from(b)];
                    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                    let wanted = (wanted < far).then_some(wanted as f64);
                    assert_eq!(found.as_ref().map(|path| path.weight), wanted, "seed {seed}");
                    let Some(path) = found else { continue };
                    assert_eq!(
                        (path.vertices[0], *path.vertices.last().expect("one")),
                        (id(a), id(b))
                    );
                    for (edge, ends) in path.edges.iter().zip(path.vertices.windows(2)) {
                        let edge = view.edge(*edge).expect("reads").expect("there");
                        assert_eq!([edge.src, edge.dst], ends);
                    }
                    assert_eq!(path.vertices.len(), path.edges.len() + 1);
                }
            }
        }
    }
}

#[test]
fn searches_stop_at_their_limits() {
    let graph = graph_of(10);
    for number in 0..9 {
        link(&graph, number, number + 1, 1);
    }
    for number in 1..9 {
        link(&graph, 0, number, 1);
    }
    let view = graph.now();
    let two = ExpandOptions { depth_max: 1, vertices_max: 4, ..ExpandOptions::default() };
    let found = view.expand(id(0), &two).expect("expands");
    assert!(found.is_cut && found.reached.len() == 4);
    let few = ExpandOptions { edges_max: 3, ..ExpandOptions::default() };
    assert_eq!(view.expand(id(0), &few).expect("expands").edge_count, 3);
    let none = ExpandOptions { depth_max: 0, ..ExpandOptions::default() };
    assert_eq!(view.expand(id(0), &none).expect("expands").reached.len(), 1);
    let few = PathOptions { vertices_max: 3, ..PathOptions::default() };
    assert!(matches!(view.shortest_path(id(0), id(9), &few), Err(Error::Limit { .. })));
    assert!(matches!(view.cheapest_path(id(0), id(9), "w", &few), Err(Error::Limit { .. })));
    let near = PathOptions { depth_max: 1, ..PathOptions::default() };
    assert_eq!(view.shortest_path(id(0), id(9), &near).expect("searches"), None);
    assert!(matches!(view.expand(id(99), &two), Err(Error::NoVertex { .. })));
    let refused = graph.remove_vertex(id(0), OnDelete::Cascade(3));
    assert!(matches!(refused, Err(Error::Limit { .. })));
}

#[test]
fn a_weight_must_be_a_number_that_is_not_negative() {
    let graph = graph_of(2);
    link(&graph, 0, 1, -1);
    let found = graph.now().cheapest_path(id(0), id(1), "w", &PathOptions::default());
    assert!(matches!(found, Err(Error::Invalid { .. })));
    let other = graph.now().cheapest_path(id(0), id(1), "none", &PathOptions::default());
    assert_eq!(other.expect("searches"), None);
}

#[test]
fn indexes_find_equal_values_and_ranges_also_of_long_text() {
    let graph = graph();
    let label = Label::new("a").expect("label");
    let long = "x".repeat(600);
    let texts = ["", "a", "a\0b", &long, &format!("{long}y"), &format!("{long}z"), "y"];
    for (number, text) in (0..).zip(texts) {
        let vertex = Vertex::new(id(number)).label("a").expect("label").prop("t", text);
        graph.add_vertex(&vertex).expect("adds");
    }
    graph.create_index(Target::Vertex, "a", "t").expect("indexes");
    let view = graph.now();
    for (number, text) in (0..).zip(texts) {
        let found = view.vertices_where(&label, "t", &Value::from(text), 9).expect("finds");
        assert_eq!(found, [id(number)], "{text:.9}");
    }
    let between = |from: &str, to: &str| {
        let (from, to) = (Value::from(from), Value::from(to));
        let bounds = (Bound::Excluded(&from), Bound::Included(&to));
        view.vertices_between(&label, "t", bounds, 9).expect("finds")
    };
    assert_eq!(between("a", &format!("{long}y")), [id(2), id(3), id(4)]);
    assert_eq!(between(&format!("{long}y"), "z"), [id(5), id(6)]);
    assert_eq!(between("z", "a"), []);
}

#[test]
fn a_transaction_over_graph_and_other_keys_is_there_whole_or_not_at_all() {
    let graph = graph_of(1);
    let engine = graph.engine().clone();
    engine.create_keyspace("notes").expect("creates");
    let notes = engine.keyspace("notes").expect("there");
    let mut tx = engine.begin(Isolation::Serializable);
    graph.in_tx(&mut tx).add_vertex(&Vertex::new(id(1))).expect("adds");
    tx.put(&notes, "k", "v");
    graph.add_vertex(&Vertex::new(id(1))).expect("somebody else was first");
    assert!(tx.commit().is_err());
    assert_eq!(notes.get("k").expect("reads"), None);
    let mut tx = engine.begin(Isolation::Serializable);
    let edge = Edge::new(graph.fresh_edge_id(), id(0), id(1), "e").expect("label");
    graph.in_tx(&mut tx).add_edge(&edge).expect("adds");
    assert!(graph.in_tx(&mut tx).edge(edge.id).expect("reads").is_some(), "its own write");
    tx.put(&notes, "k", "v");
    tx.commit().expect("commits");
    assert!(graph.now().edge(edge.id).expect("reads").is_some());
    assert!(notes.get("k").expect("reads").is_some());
}

#[test]
fn an_edge_to_a_vertex_that_is_deleted_meanwhile_is_refused() {
    let graph = graph_of(2);
    let mut tx = graph.engine().begin(Isolation::Serializable);
    let edge = Edge::new(graph.fresh_edge_id(), id(0), id(1), "e").expect("label");
    graph.in_tx(&mut tx).add_edge(&edge).expect("adds");
    graph.remove_vertex(id(1), OnDelete::Refuse).expect("removes");
    assert!(tx.commit().is_err());
    let mut tx = graph.engine().begin(Isolation::Serializable);
    graph.in_tx(&mut tx).remove_vertex(id(0), OnDelete::Refuse).expect("plans");
    graph.add_vertex(&Vertex::new(id(1))).expect("adds");
    graph.add_edge(&edge).expect("adds");
    assert!(tx.commit().is_err(), "the edge came between");
    assert_eq!(graph.now().neighbours(id(1), Direction::In, &[], 9).expect("reads").len(), 1);
}
