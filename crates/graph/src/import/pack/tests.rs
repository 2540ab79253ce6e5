//! Windows that are too large for one commit.

use std::sync::Arc;

use cairndb::engine::Engine;
use cairndb::log::{Log, LogConfig};
use cairndb::vfs::MemVfs;

use super::*;
use crate::{Target, Value, Vertex};

#[test]
fn entries_of_indexes_count_when_a_window_is_cut_into_commits() {
    let config = LogConfig { background: false, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(MemVfs::new())).config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    let graph = Graph::open(&engine, "g").expect("opens");
    let end = VertexId::named("a");
    graph.add_vertex(&Vertex::new(end)).expect("adds");
    graph.create_index(Target::Edge, "route", "n").expect("creates");
    let route = Label::new("route").expect("a label");
    let mut window = Window::default();
    for number in 0..100 {
        let props = [("n".to_owned(), Value::Int(number))].into();
        let record = crate::record::encode_edge(&props).expect("encodes");
        window.push(1, end, end, route.clone(), &record);
    }
    // Chunks and blocks are few; each edge has an entry in the index.
    window.most.records = 60;
    let mut report = ImportReport::default();
    window.commit(&graph, &mut report).expect("fits in pieces");
    assert_eq!((report.added, report.commit_count), (100, 2));
    assert!(graph.check().expect("checks").is_intact());
}
