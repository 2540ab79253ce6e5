//! The part of the tour about graphs: airports and routes.

use std::io::Write;

use anyhow::{Context, Result};
use cairn_graph::{
    EdgeColumns, ExpandOptions, Graph, ImportOptions, Label, NodeColumns, PathOptions, Value,
    VertexId, View,
};
use cairndb::prelude::Engine;

use super::super::line;

/// Flights between airports of three states (US government data, public domain).
const ROUTES: &str = include_str!("../../../data/routes.csv");

/// Loads the graph, goes two hops, removes an edge, and goes again, now and then.
pub fn tour(engine: &Engine, airports: &str, out: &mut impl Write) -> Result<()> {
    let graph = Graph::open(engine, "air")?;
    let (quiet, options) = (&mut |_| {}, ImportOptions::default());
    let labels = vec![Label::new("airport")?];
    let nodes = NodeColumns { id: "iata".into(), labels, label_column: None };
    let loaded = graph.import_nodes(airports.as_bytes(), &nodes, &options, quiet)?;
    let routes = EdgeColumns {
        src: "origin".into(),
        dst: "destination".into(),
        label: Label::new("route")?,
        label_column: None,
        id: None,
    };
    let flown = graph.import_edges(ROUTES.as_bytes(), &routes, &options, quiet)?;
    let (vertices, edges, revision) = (loaded.added, flown.added, flown.revision);
    line(
        out,
        format!("   {vertices} airports and {edges} routes, complete at revision {revision}"),
    )?;

    let (albany, fresno) = (VertexId::named("ALB"), VertexId::named("FAT"));
    two_hops(&graph.now(), albany, out)?;
    let path = graph.now().shortest_path(albany, fresno, &PathOptions::default())?;
    let path = path.context("there is a way to Fresno")?;
    let names: Vec<String> = path.vertices.iter().map(|id| code(&graph.now(), *id)).collect();
    line(out, format!("   fewest flights from ALB to FAT: {}", names.join(" -> ")))?;

    let route = *path.edges.first().context("the path has an edge")?;
    let edge = graph.now().edge(route)?.context("the edge is there")?;
    let removed = graph.remove_edge(route)?;
    let to = code(&graph.now(), edge.dst);
    line(out, format!("   removed the route from ALB to {to} in revision {removed}"))?;
    two_hops(&graph.now(), albany, out)?;
    two_hops(&graph.at(removed - 1)?, albany, out)?;
    let report = graph.check()?;
    anyhow::ensure!(report.is_intact(), "the fresh graph does not agree with itself");
    line(out, format!("   both directions and all labels agree in {} keys", report.key_count))
}

fn two_hops(view: &View, from: VertexId, out: &mut impl Write) -> Result<()> {
    let found = view.expand(from, &ExpandOptions::default())?;
    let at = |depth| found.reached.iter().filter(move |reached| reached.depth == depth);
    let some: Vec<String> = at(2).take(4).map(|reached| code(view, reached.vertex)).collect();
    let revision = view.revision();
    let (one, two) = (at(1).count(), at(2).count());
    let names = if some.is_empty() { String::new() } else { format!(": {} ...", some.join(" ")) };
    line(
        out,
        format!(
            "   from ALB at revision {revision}: {one} in one flight, {two} more in two{names}"
        ),
    )
}

fn code(view: &View, id: VertexId) -> String {
    let vertex = view.vertex(id).ok().flatten();
    match vertex.and_then(|vertex| vertex.props.get("iata").cloned()) {
        Some(Value::Text(code)) => code,
        _ => id.to_string(),
    }
}
