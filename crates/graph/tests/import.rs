//! Import of comma-separated files.

use cairn_graph::csv::CsvReader;
use cairn_graph::{
    Direction, EdgeColumns, Error, Graph, ImportOptions, Label, NewEdge, NodeColumns, OnDelete,
    Properties, StorageKey, Value, VertexId,
};

use cairndb::keys::Range;

use crate::{graph, graph_of, id};

fn nodes(graph: &Graph, text: &str) -> Result<cairn_graph::ImportReport, Error> {
    let labels = vec![Label::new("airport")?];
    let columns = NodeColumns { id: "iata".into(), labels, label_column: None };
    graph.import_nodes(text.as_bytes(), &columns, &ImportOptions::default(), &mut |_| {})
}

fn edge_columns() -> EdgeColumns {
    EdgeColumns {
        src: "from".into(),
        dst: "to".into(),
        label: Label::new("route").expect("label"),
        label_column: Some("kind".into()),
        id: None,
    }
}

fn edges(graph: &Graph, text: &str) -> Result<cairn_graph::ImportReport, Error> {
    graph.import_edges(text.as_bytes(), &edge_columns(), &ImportOptions::default(), &mut |_| {})
}

const AIRPORTS: &str =
    "iata,name,lat:float,runways\r\nSFO,\"San \"\"Francisco\"\", CA\",37.6,4\r\n007,,1,\n";

#[test]
fn rows_become_vertices_with_typed_properties() {
    let graph = graph();
    let report = nodes(&graph, AIRPORTS).expect("imports");
    assert_eq!((report.added, report.commit_count), (2, 1));
    let sfo = graph.now().vertex(VertexId::named("SFO")).expect("reads").expect("there");
    assert_eq!(sfo.props["name"], Value::Text("San \"Francisco\", CA".into()));
    assert_eq!((&sfo.props["lat"], &sfo.props["runways"]), (&Value::Float(37.6), &Value::Int(4)));
    let other = graph.now().vertex(VertexId::named("007")).expect("reads").expect("there");
    assert_eq!(other.props["iata"], Value::Text("007".into()));
    assert!(!other.props.contains_key("name"));
}

#[test]
fn errors_name_line_and_column_and_keep_what_was_committed() {
    let graph = graph();
    nodes(&graph, AIRPORTS).expect("imports");
    let row = |error: Error| match error {
        Error::Row { line, column, .. } => (line, column),
        error => panic!("{error}"),
    };
    let of_edges = |text| row(edges(&graph, text).expect_err("refused"));
    assert_eq!(of_edges("from,to,kind\nSFO,007,\nSFO,XXX,\n"), (3, 0));
    assert_eq!(of_edges("from,to,kind,n:int\nSFO,007,,1\nSFO,007,,x\n"), (3, 4));
    assert_eq!(of_edges("from,to,kind\nSFO\n"), (2, 0));
    assert_eq!(of_edges("from,to,kind\n\n\n,007,\n"), (4, 1));
    assert_eq!(of_edges("from,to,kind\n\"a\nb\",\"x\" y,\n"), (2, 2));
    assert_eq!(of_edges("from,to\n"), (1, 0));
    assert_eq!(of_edges(""), (1, 0));
    assert_eq!(row(nodes(&graph, AIRPORTS).expect_err("exists")), (2, 0));
    assert_eq!(graph.now().stats().expect("counts").edge_count, 0, "a window is one commit");
    let options = ImportOptions { window: 1, ..ImportOptions::default() };
    let text = "from,to,kind\nSFO,007,\nSFO,XXX,\n";
    let done = graph.import_edges(text.as_bytes(), &edge_columns(), &options, &mut |_| {});
    assert_eq!(row(done.expect_err("refused")), (3, 0));
    assert_eq!(graph.now().stats().expect("counts").edge_count, 1);
}

#[test]
fn windows_of_any_size_give_the_same_graph() {
    let mut text = "from,to,kind,n\n".to_owned();
    for number in 0..700 {
        let (from, to, kind) = (number % 3, number % 7, ["", "rail", "road"][number % 3]);
        text.push_str(&format!("v{from},v{to},{kind},{number}\n"));
    }
    let mut seen: Vec<Vec<_>> = Vec::new();
    for window in [1, 10, 333, 100_000] {
        let graph = crate::graph_of(7);
        let options = ImportOptions { window, ..ImportOptions::default() };
        let mut rows = 0;
        let mut note = |progress: cairn_graph::Progress| {
            assert!(progress.row_count >= rows);
            rows = progress.row_count;
        };
        let report = graph.import_edges(text.as_bytes(), &edge_columns(), &options, &mut note);
        assert_eq!((report.expect("imports").added, rows), (700, 700));
        let report = graph.check().expect("checks");
        assert!(report.is_intact(), "{:?}", report.disagreements);
        let view = graph.now();
        let mut all = Vec::new();
        for number in 0..7 {
            let found = view.neighbours(crate::id(number), Direction::In, &[], usize::MAX);
            for neighbour in found.expect("reads") {
                let edge = view.edge(neighbour.edge).expect("reads").expect("there");
                let Value::Int(value) = edge.props["n"] else { panic!("{edge:?}") };
                all.push((value, edge.src, edge.dst, edge.label));
            }
        }
        all.sort();
        seen.push(all);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn edges_with_ids_of_their_own_keep_them() {
    let graph = graph();
    nodes(&graph, AIRPORTS).expect("imports");
    let id = graph.fresh_edge_id();
    let text = format!("id,from,to,kind\n{id},SFO,007,\n");
    let columns = EdgeColumns { id: Some("id".into()), ..edge_columns() };
    let import =
        || graph.import_edges(text.as_bytes(), &columns, &ImportOptions::default(), &mut |_| {});
    assert_eq!(import().expect("imports").added, 1);
    assert!(graph.now().edge(id).expect("reads").is_some());
    assert!(matches!(import(), Err(Error::Row { line: 2, .. })));
}

#[test]
fn a_row_without_end_is_refused_before_it_fills_memory() {
    struct Endless;
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    let mut reader = CsvReader::new(std::io::BufReader::new(Endless));
    assert!(matches!(reader.next_row(), Err(Error::Row { line: 1, .. })));
}

#[test]
fn a_block_goes_with_the_last_of_its_packed_edges() {
    let graph = graph_of(20);
    let mut loader = graph.edge_loader(&ImportOptions::default());
    for number in 0..300_u16 {
        let end = |number: u16| id((number % 20) as u8);
        let (src, dst) = (end(number), end(number / 20));
        let label = Label::new("e").expect("label");
        let new = NewEdge { id: None, src, dst, label, props: Properties::new() };
        loader.push(1, new).expect("takes it");
    }
    loader.finish().expect("imports");
    let blocks = || {
        let keys = graph.keyspace().scan(Range::all(), 0).expect("scans");
        let keys = keys.map(|kv| StorageKey::decode(&kv.expect("reads").key).expect("a key"));
        keys.filter(|key| matches!(key, StorageKey::Block { .. })).count()
    };
    assert_eq!(blocks(), 3);
    let mut edges: Vec<_> = (0..20)
        .flat_map(|number| {
            let found = graph.now().neighbours(id(number), Direction::Out, &[], usize::MAX);
            found.expect("reads").into_iter().map(|near| near.edge)
        })
        .collect();
    edges.sort_unstable();
    assert_eq!(edges.len(), 300);
    // The middle block, from its end; one of them becomes a single edge and stays.
    for edge in edges[128..256].iter().rev() {
        assert_eq!(blocks(), 3);
        if *edge == edges[200] {
            graph.update_edge(*edge, &Properties::new()).expect("updates");
        } else {
            graph.remove_edge(*edge).expect("removes");
        }
    }
    assert_eq!(blocks(), 2);
    assert!(graph.now().edge(edges[200]).expect("reads").is_some());
    let report = graph.check().expect("checks");
    assert!(report.is_intact() && report.unused_block_count == 0, "{report:?}");
    // All others in one commit each way: a vertex with its edges, and all at once.
    graph.remove_vertex(id(3), OnDelete::CASCADE).expect("removes");
    let rest = |edge: &&cairn_graph::EdgeId| graph.now().edge(**edge).expect("reads").is_some();
    let rest: Vec<_> = edges.iter().filter(rest).copied().collect();
    graph.transact(|tx| rest.iter().try_for_each(|edge| tx.remove_edge(*edge))).expect("removes");
    assert_eq!(blocks(), 0);
    let report = graph.check().expect("checks");
    assert!(report.is_intact() && report.edge_count == 0, "{report:?}");
}
