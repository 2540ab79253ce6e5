//! A graph as it was: every revision can be read, walked and searched.

use cairn_graph::{Edge, ExpandOptions, Graph, OnDelete, PathOptions, Vertex, VertexId};
use cairndb::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    run()
}

/// The example.
pub fn run() -> Outcome {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    let rail = Graph::open(&engine, "rail")?;
    let stations = ["Bern", "Olten", "Basel"].map(VertexId::named);
    let direct = rail.fresh_edge_id();
    let opened = rail.transact(|tx| {
        for id in stations {
            tx.add_vertex(&Vertex::new(id).label("station")?)?;
        }
        let [bern, olten, basel] = stations;
        tx.add_edge(&Edge::new(rail.fresh_edge_id(), bern, olten, "track")?.prop("minutes", 27))?;
        tx.add_edge(&Edge::new(rail.fresh_edge_id(), olten, basel, "track")?.prop("minutes", 24))?;
        tx.add_edge(&Edge::new(direct, bern, basel, "track")?.prop("minutes", 55))
    })?;
    let [bern, olten, basel] = stations;
    rail.remove_edge(direct)?;
    let without = rail.engine().revision();
    rail.remove_vertex(olten, OnDelete::CASCADE)?;

    let options = PathOptions::default();
    let then = rail.at(opened.revision)?;
    let path = then.shortest_path(bern, basel, &options)?.expect("a track");
    assert_eq!(path.edges, [direct]);
    let quick = then.cheapest_path(bern, basel, "minutes", &options)?.expect("a track");
    assert_eq!((quick.vertices.len(), quick.weight), (3, 51.0));
    let later = rail.at(without)?;
    assert_eq!(later.shortest_path(bern, basel, &options)?.expect("a track").edges.len(), 2);
    assert_eq!(later.expand(bern, &ExpandOptions::default())?.reached.len(), 3);
    assert_eq!(rail.now().shortest_path(bern, basel, &options)?, None);
    println!("three revisions, three answers");
    Ok(())
}
