//! Proofs that an edge existed.

use cairn_graph::proof::EdgeProof;
use cairn_graph::{Edge, Error, ImportOptions, Label, NewEdge};

use crate::{graph_of, id};

#[test]
fn an_edge_is_proven_at_a_revision_also_after_it_was_removed() {
    let graph = graph_of(2);
    let single = Edge::new(graph.fresh_edge_id(), id(0), id(1), "e").expect("label").prop("n", 1);
    graph.add_edge(&single).expect("adds");
    let mut loader = graph.edge_loader(&ImportOptions::default());
    let (src, dst, label) = (id(1), id(0), Label::new("e").expect("label"));
    let props = [("n".to_owned(), 2.into())].into();
    loader.push(1, NewEdge { id: None, src, dst, label, props }).expect("takes it");
    let there = loader.finish().expect("imports").revision;
    let found = graph.now().neighbours(id(1), cairn_graph::Direction::Out, &[], 1);
    let packed = found.expect("reads")[0].edge;
    let packed = graph.now().edge(packed).expect("reads").expect("there");
    for edge in [&single, &packed] {
        graph.remove_edge(edge.id).expect("removes");
        assert!(matches!(graph.prove_edge(edge.id, 0), Err(Error::NoEdge { .. })));
        let text = graph.prove_edge(edge.id, there).expect("proves").to_string();
        let keys = [graph.engine().proofs().expect("opens").verifier().expect("key")];
        let shown = EdgeProof::parse(text.as_bytes()).expect("parses").check(&keys);
        let shown = shown.expect("holds");
        assert_eq!((&shown.edge, shown.revision), (edge, there));
        refuse_changes(&text, &keys);
    }
}

fn refuse_changes(text: &str, keys: &[cairndb::merkle::note::Verifier]) {
    let proof = EdgeProof::parse(text.as_bytes()).expect("parses");
    let other = EdgeProof { edge: cairn_graph::EdgeId::from_bytes([1; 16]), ..proof.clone() };
    assert!(matches!(other.check(keys), Err(Error::Refused(_))));
    let mut value = proof.value.to_vec();
    value.push(0);
    let other = EdgeProof { value: value.into(), ..proof };
    assert!(matches!(other.check(keys), Err(Error::Refused(_))));
    for place in (0..text.len()).step_by(7) {
        let mut bytes = text.as_bytes().to_vec();
        bytes[place] ^= 1;
        let outcome = EdgeProof::parse(&bytes).and_then(|proof| proof.check(keys));
        // What is not covered by a hash has one form only.
        assert!(outcome.is_err(), "byte {place} can be changed");
    }
}
