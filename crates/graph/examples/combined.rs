//! Combined graph storage: a graph, content-addressed nodes and plain keys in one store; the feed
//! tells what changed, and a proof shows an edge to somebody who has a file and a public key.

use cairn_graph::{Edge, Graph, GraphChange, Vertex, VertexId, proof::EdgeProof};
use cairndb::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    run()
}

/// The example.
pub fn run() -> Outcome {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    let papers = Graph::open(&engine, "papers")?;
    engine.create_keyspace("texts")?;
    let texts = engine.keyspace("texts")?;
    let mut feed = papers.changes(0)?;

    // The text is a key, the paper a vertex, the citation an edge: one commit.
    let (old, new) = (VertexId::named("doi:1"), VertexId::named("doi:2"));
    let cites = papers.fresh_edge_id();
    let written = papers.transact(|tx| {
        for (id, title) in [(old, "On stones"), (new, "On cairns")] {
            tx.add_vertex(&Vertex::new(id).label("paper")?.prop("title", title))?;
            tx.transaction().put(&texts, id.to_string(), format!("{title}: the text"));
        }
        tx.add_edge(&Edge::new(cites, new, old, "cites")?.prop("page", 7))
    })?;

    let batch = feed.try_next()?.expect("the change is there");
    assert_eq!(batch.revision, written.revision);
    let created = |change: &&GraphChange| matches!(change, GraphChange::EdgeCreated(_));
    assert_eq!(batch.changes.iter().filter(created).count(), 1);
    println!("{}", batch.to_json());

    // Also after the edge is gone, it can be proven that it was there.
    papers.remove_edge(cites)?;
    let file = papers.prove_edge(cites, written.revision)?.to_string();
    let key = engine.proofs()?.verifier()?;
    let shown = EdgeProof::parse(file.as_bytes())?.check(&[key])?;
    println!("proven: {} at revision {}", shown.edge.to_json(), shown.revision);
    assert_eq!((shown.edge.src, shown.edge.dst), (new, old));
    assert!(texts.get(new.to_string())?.is_some());
    assert!(papers.check()?.is_intact());
    Ok(())
}
