//! Random changes on a graph and on a naive one: at every past revision both say the same, the
//! feed tells every change, and all keys agree.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use cairn_graph::{
    Direction, Edge, EdgeId, Error, Graph, GraphChange, ImportOptions, Label, NewEdge, OnDelete,
    Target, Value, Vertex, VertexId,
};
use proptest::prelude::*;

use crate::{graph, id};

const VERTICES: u8 = 8;
const LABELS: [&str; 3] = ["knows", "likes\0", "\u{ff}"];

#[derive(Debug, Clone)]
enum Op {
    AddVertex(u8, u8, i64),
    UpdateVertex(u8, u8, i64),
    RemoveVertex(u8, bool),
    AddEdge(u8, u8, u8, i64),
    UpdateEdge(u8, i64),
    RemoveEdge(u8),
    Import(Vec<(u8, u8, u8, i64)>),
    Index(bool, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let (v, w) = (0..VERTICES, -2..6_i64);
    prop_oneof![
        4 => (v.clone(), 0..8_u8, w.clone()).prop_map(|(a, b, c)| Op::AddVertex(a, b, c)),
        1 => (v.clone(), 0..8_u8, w.clone()).prop_map(|(a, b, c)| Op::UpdateVertex(a, b, c)),
        1 => (v.clone(), any::<bool>()).prop_map(|(a, b)| Op::RemoveVertex(a, b)),
        4 => (v.clone(), v.clone(), 0..3_u8, w.clone())
            .prop_map(|(a, b, c, d)| Op::AddEdge(a, b, c, d)),
        2 => (any::<u8>(), w.clone()).prop_map(|(a, b)| Op::UpdateEdge(a, b)),
        2 => any::<u8>().prop_map(Op::RemoveEdge),
        2 => prop::collection::vec((v.clone(), v, 0..3_u8, w), 1..12).prop_map(Op::Import),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(a, b)| Op::Index(a, b)),
    ]
}

#[derive(Debug, Clone, Default)]
struct Model {
    vertices: BTreeMap<VertexId, Vertex>,
    edges: BTreeMap<EdgeId, Edge>,
    vertex_index: bool,
    edge_index: bool,
}

fn label(number: u8) -> Label {
    Label::new(LABELS[usize::from(number)]).expect("a label")
}

fn vertex(number: u8, labels: u8, value: i64) -> Vertex {
    let mut vertex = Vertex::new(id(number)).prop("n", value);
    vertex.labels = (0..3).filter(|bit| labels & (1 << bit) != 0).map(label).collect();
    vertex
}

impl Model {
    fn pick(&self, number: u8) -> Option<EdgeId> {
        self.edges.keys().nth(usize::from(number) % self.edges.len().max(1)).copied()
    }

    /// Does the same to both; what the graph refuses, the model refuses.
    fn apply(&mut self, graph: &Graph, op: &Op) {
        match op {
            Op::AddVertex(number, labels, value) => {
                let new = vertex(*number, *labels, *value);
                let done = graph.add_vertex(&new);
                match self.vertices.contains_key(&new.id) {
                    true => assert!(matches!(done, Err(Error::VertexExists { .. }))),
                    false => drop((done.expect("adds"), self.vertices.insert(new.id, new))),
                }
            }
            Op::UpdateVertex(number, labels, value) => {
                let new = vertex(*number, *labels, *value);
                let done = graph.update_vertex(&new);
                match self.vertices.contains_key(&new.id) {
                    false => assert!(matches!(done, Err(Error::NoVertex { .. }))),
                    true => drop((done.expect("updates"), self.vertices.insert(new.id, new))),
                }
            }
            Op::RemoveVertex(number, cascade) => self.remove_vertex(graph, id(*number), *cascade),
            Op::AddEdge(src, dst, number, value) => {
                let (src, dst) = (id(*src), id(*dst));
                let edge = Edge::new(graph.fresh_edge_id(), src, dst, label(*number).as_str());
                let edge = edge.expect("a label").prop("n", *value);
                let done = graph.add_edge(&edge);
                let both = self.vertices.contains_key(&src) && self.vertices.contains_key(&dst);
                match both {
                    false => assert!(matches!(done, Err(Error::NoVertex { .. }))),
                    true => drop((done.expect("adds"), self.edges.insert(edge.id, edge))),
                }
            }
            Op::UpdateEdge(number, value) => {
                let Some(id) = self.pick(*number) else { return };
                let edge = self.edges.get_mut(&id).expect("picked");
                edge.props.insert("n".into(), Value::Int(*value));
                graph.update_edge(id, &edge.props).expect("updates");
            }
            Op::RemoveEdge(number) => {
                let Some(id) = self.pick(*number) else { return };
                self.edges.remove(&id);
                graph.remove_edge(id).expect("removes");
                assert!(matches!(graph.remove_edge(id), Err(Error::NoEdge { .. })));
            }
            Op::Import(rows) => self.import(graph, rows),
            Op::Index(over_vertices, make) => self.index(graph, *over_vertices, *make),
        }
    }

    fn remove_vertex(&mut self, graph: &Graph, id: VertexId, cascade: bool) {
        let edit = if cascade { OnDelete::CASCADE } else { OnDelete::Refuse };
        let done = graph.remove_vertex(id, edit);
        let at = |edge: &Edge| edge.src == id || edge.dst == id;
        let degree = self.edges.values().filter(|edge| at(edge)).count();
        if !self.vertices.contains_key(&id) {
            assert!(matches!(done, Err(Error::NoVertex { .. })));
        } else if degree > 0 && !cascade {
            assert!(matches!(done, Err(Error::HasEdges { .. })));
        } else {
            assert_eq!(done.expect("removes").answer, degree);
            self.vertices.remove(&id);
            self.edges.retain(|_, edge| !at(edge));
        }
    }

    fn import(&mut self, graph: &Graph, rows: &[(u8, u8, u8, i64)]) {
        let before = graph.engine().revision();
        let mut loader = graph.edge_loader(&ImportOptions::default());
        let mut wanted = Vec::new();
        for (src, dst, number, value) in rows {
            let props = [("n".to_owned(), Value::Int(*value))].into();
            let (src, dst, label) = (id(*src), id(*dst), label(*number));
            wanted.push((src, dst, label.clone(), *value));
            loader.push(1, NewEdge { id: None, src, dst, label, props }).expect("takes it");
        }
        let done = loader.finish();
        let known = |id: &VertexId| self.vertices.contains_key(id);
        if !wanted.iter().all(|(src, dst, ..)| known(src) && known(dst)) {
            assert!(matches!(done, Err(Error::Row { .. })));
            assert_eq!(graph.engine().revision(), before, "a window is one commit");
            return;
        }
        assert_eq!(done.expect("imports").added, rows.len() as u64);
        let mut feed = graph.changes(before + 1).expect("feeds");
        let batch = feed.try_next().expect("reads").expect("a change");
        let mut got = Vec::new();
        for change in batch.changes {
            let GraphChange::EdgeCreated(edge) = change else { panic!("{change:?}") };
            let Some(Value::Int(value)) = edge.props.get("n") else { panic!("{edge:?}") };
            got.push((edge.src, edge.dst, edge.label.clone(), *value));
            self.edges.insert(edge.id, edge);
        }
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted);
    }

    fn index(&mut self, graph: &Graph, over_vertices: bool, make: bool) {
        let (target, is_there) = match over_vertices {
            true => (Target::Vertex, &mut self.vertex_index),
            false => (Target::Edge, &mut self.edge_index),
        };
        let done = match make {
            true => graph.create_index(target, LABELS[0], "n"),
            false => graph.drop_index(target, LABELS[0], "n"),
        };
        assert_eq!(done.expect("changes"), *is_there != make);
        *is_there = make;
    }

    /// Everything that can be read at a revision is as the model says.
    fn compare(&self, graph: &Graph, revision: u64) {
        let view = graph.at(revision).expect("readable");
        for number in 0..VERTICES {
            let id = id(number);
            assert_eq!(view.vertex(id).expect("reads").as_ref(), self.vertices.get(&id));
            for (direction, own, far) in [
                (
                    Direction::Out,
                    (|e| e.src) as fn(&Edge) -> VertexId,
                    (|e| e.dst) as fn(&Edge) -> VertexId,
                ),
                (Direction::In, |e| e.dst, |e| e.src),
            ] {
                for labels in [vec![], vec![label(0)], vec![label(1), label(2)]] {
                    let found = view.neighbours(id, direction, &labels, usize::MAX);
                    let found: BTreeSet<_> = found
                        .expect("reads")
                        .into_iter()
                        .map(|found| (found.edge, found.vertex, found.label))
                        .collect();
                    let wanted = self.edges.values().filter(|edge| {
                        own(edge) == id && (labels.is_empty() || labels.contains(&edge.label))
                    });
                    let wanted: BTreeSet<_> =
                        wanted.map(|edge| (edge.id, far(edge), edge.label.clone())).collect();
                    assert_eq!(found, wanted);
                }
            }
        }
        for (id, edge) in &self.edges {
            assert_eq!(view.edge(*id).expect("reads").as_ref(), Some(edge));
        }
        self.compare_indexes(&view);
        let stats = view.stats().expect("counts");
        assert_eq!(stats.edge_count, self.edges.len() as u64);
        assert_eq!(stats.vertex_count, self.vertices.len() as u64);
        let report = view.check().expect("checks");
        assert!(report.is_intact(), "{:?}", report.disagreements);
        let counts = (stats.vertex_count, stats.edge_count, 0);
        assert_eq!((report.vertex_count, report.edge_count, report.unused_block_count), counts);
    }

    fn compare_indexes(&self, view: &cairn_graph::View) {
        let has = |vertex: &&Vertex| vertex.labels.contains(&label(0));
        let wanted: Vec<VertexId> = self.vertices.values().filter(has).map(|v| v.id).collect();
        assert_eq!(view.with_label(&label(0), usize::MAX).expect("reads"), wanted);
        let (from, to) = (Value::Int(-1), Value::Int(3));
        let bounds = (Bound::Included(&from), Bound::Excluded(&to));
        let lies = |props: &cairn_graph::Properties| match props.get("n") {
            Some(Value::Int(number)) if (-1..3).contains(number) => Some(*number),
            _ => None,
        };
        let found = view.vertices_between(&label(0), "n", bounds, usize::MAX);
        match self.vertex_index {
            false => assert!(matches!(found, Err(Error::NoIndex { .. }))),
            true => {
                let some = self.vertices.values().filter(has);
                let mut wanted: Vec<_> =
                    some.filter_map(|v| Some((lies(&v.props)?, v.id))).collect();
                wanted.sort();
                let wanted: Vec<_> = wanted.into_iter().map(|(_, id)| id).collect();
                assert_eq!(found.expect("reads"), wanted);
            }
        }
        let found = view.edges_between(&label(0), "n", bounds, usize::MAX);
        match self.edge_index {
            false => assert!(matches!(found, Err(Error::NoIndex { .. }))),
            true => {
                let some = self.edges.values().filter(|edge| edge.label == label(0));
                let mut wanted: Vec<_> =
                    some.filter_map(|e| Some((lies(&e.props)?, e.id))).collect();
                wanted.sort();
                let wanted: Vec<_> = wanted.into_iter().map(|(_, id)| id).collect();
                assert_eq!(found.expect("reads"), wanted);
            }
        }
    }
}

/// What the feed told, put together again.
fn replay(graph: &Graph) -> Model {
    let mut model = Model::default();
    let mut feed = graph.changes(2).expect("feeds");
    while let Some(batch) = feed.try_next().expect("reads") {
        for change in batch.changes {
            match change {
                GraphChange::VertexCreated(v) => {
                    assert!(model.vertices.insert(v.id, v).is_none());
                }
                GraphChange::VertexUpdated { before, after } => {
                    assert_eq!(model.vertices.insert(after.id, after), Some(before));
                }
                GraphChange::VertexDeleted(v) => {
                    assert_eq!(model.vertices.remove(&v.id), Some(v));
                }
                GraphChange::EdgeCreated(e) => assert!(model.edges.insert(e.id, e).is_none()),
                GraphChange::EdgeUpdated { before, after } => {
                    assert_eq!(model.edges.insert(after.id, after), Some(before));
                }
                GraphChange::EdgeDeleted(e) => assert_eq!(model.edges.remove(&e.id), Some(e)),
            }
        }
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_graph_is_at_every_revision_what_a_naive_one_says(ops in prop::collection::vec(op(), 1..60)) {
        let graph = graph();
        let mut model = Model::default();
        let mut past = BTreeMap::new();
        for op in &ops {
            model.apply(&graph, op);
            past.insert(graph.engine().revision(), model.clone());
        }
        for (revision, model) in &past {
            model.compare(&graph, *revision);
        }
        let told = replay(&graph);
        prop_assert_eq!(told.vertices, model.vertices);
        prop_assert_eq!(told.edges, model.edges);
    }
}
