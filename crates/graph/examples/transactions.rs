//! A graph with transactions: vertices, edges, other keys and an event change together.

use cairn_graph::{Direction, Edge, Graph, Vertex, VertexId};
use cairndb::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    run()
}

/// The example.
pub fn run() -> Outcome {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    let social = Graph::open(&engine, "social")?;
    engine.create_keyspace("counters")?;
    engine.create_topic("signups", TopicConfig::default())?;
    let counters = engine.keyspace("counters")?;

    let (alice, bob) = (VertexId::named("alice"), VertexId::named("bob"));
    let written = social.transact(|tx| {
        tx.add_vertex(&Vertex::new(alice).label("person")?.prop("name", "Alice"))?;
        tx.add_vertex(&Vertex::new(bob).label("person")?.prop("name", "Bob"))?;
        tx.add_edge(&Edge::new(social.fresh_edge_id(), alice, bob, "knows")?.prop("since", 2020))?;
        // Other keys and events go into the same commit.
        tx.transaction().put(&counters, "people", "2");
        tx.transaction().append("signups", NewEvent::json(r#"{"names":["Alice","Bob"]}"#))?;
        Ok(())
    })?;
    println!("all of it in revision {}", written.revision);

    // A body that fails leaves nothing behind.
    let refused = social.transact(|tx| {
        tx.add_vertex(&Vertex::new(VertexId::named("carol")))?;
        tx.transaction().put(&counters, "people", "3");
        tx.add_edge(&Edge::new(social.fresh_edge_id(), alice, VertexId::named("dave"), "knows")?)
    });
    println!("refused: {}", refused.expect_err("there is no dave"));
    assert_eq!(counters.get("people")?.as_deref(), Some(&b"2"[..]));
    assert!(social.now().vertex(VertexId::named("carol"))?.is_none());
    let friends = social.now().neighbours(alice, Direction::Out, &[], 10)?;
    assert_eq!(friends[0].vertex, bob);
    Ok(())
}
