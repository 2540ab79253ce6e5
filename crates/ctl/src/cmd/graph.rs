//! `graph`: import, neighbours, paths, figures and checks of property graphs.

mod tour;

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result};
use cairn_graph::{
    Direction, Edge, EdgeColumns, ExpandOptions, Graph, ImportOptions, Label, NodeColumns,
    OnDelete, PathOptions, Progress, Value, Vertex, VertexId, View,
};
use serde_json::json;

pub(super) use tour::tour;

use super::{line, open, open_current};
use crate::cli::Cli;
use crate::cli::graph::{
    Along, Graph as Command, GraphImport, GraphNeighbors, GraphPath, GraphPlace,
};
use crate::exit::{Damaged, NotFound};

/// Runs a command about a graph.
pub fn run(cli: &Cli, command: &Command, out: &mut impl Write) -> Result<()> {
    match command {
        Command::Import(args) => import(cli, args, out),
        Command::Neighbors(args) => neighbors(cli, args, out),
        Command::Path(args) => path(cli, args, out),
        Command::Stats(args) => stats(cli, args, out),
        Command::Check(args) => check(cli, args, out),
        Command::AddVertex { vertex, label, prop, graph } => {
            let mut new = Vertex::new(VertexId::named(vertex));
            new.labels = labels(label)?.into_iter().collect();
            new.props = props(prop)?;
            new.props.entry("name".to_owned()).or_insert_with(|| Value::from(vertex.as_str()));
            change(cli, &graph.graph, out, |graph| Ok((graph.add_vertex(&new)?, new.to_json())))
        }
        Command::AddEdge { from, to, label, prop, graph } => {
            change(cli, &graph.graph, out, |graph| {
                let (src, dst) = (VertexId::named(from), VertexId::named(to));
                let mut new = Edge::new(graph.fresh_edge_id(), src, dst, label)?;
                new.props = props(prop)?;
                Ok((graph.add_edge(&new)?, new.to_json()))
            })
        }
        Command::Remove { id, vertex, cascade, graph } => change(cli, &graph.graph, out, |graph| {
            if !vertex {
                return Ok((graph.remove_edge(id.parse()?)?, json!({ "removed": id })));
            }
            let on_delete = if *cascade { OnDelete::CASCADE } else { OnDelete::Refuse };
            let written = graph.remove_vertex(VertexId::named(id), on_delete)?;
            Ok((written.revision, json!({ "removed": id, "edges": written.answer })))
        }),
    }
}

/// Runs one change, and prints what it was and its revision.
fn change(
    cli: &Cli,
    name: &str,
    out: &mut impl Write,
    body: impl FnOnce(&Graph) -> Result<(u64, serde_json::Value)>,
) -> Result<()> {
    let engine = open(cli)?;
    let (revision, object) = body(&Graph::open(&engine, name)?)?;
    engine.close()?;
    match cli.json {
        true => line(out, json!({ "revision": revision, "object": object })),
        false => line(out, format!("revision {revision}: {object}")),
    }
}

fn labels(texts: &[String]) -> Result<Vec<Label>> {
    Ok(texts.iter().map(|text| Label::new(text)).collect::<Result<_, _>>()?)
}

/// `NAME=VALUE`: a number or a truth value when it is written as JSON writes it, else text.
fn props(texts: &[String]) -> Result<cairn_graph::Properties> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').context("write properties as NAME=VALUE")?;
        let read = match serde_json::from_str(value) {
            Ok(serde_json::Value::Bool(yes)) => Value::Bool(yes),
            Ok(serde_json::Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Value::Int(number),
                (None, Some(number)) => Value::Float(number),
                (None, None) => Value::from(value),
            },
            _ => Value::from(value),
        };
        Ok((name.to_owned(), read))
    };
    texts.iter().map(pair).collect()
}

const fn direction(along: Along) -> Direction {
    match along {
        Along::Out => Direction::Out,
        Along::In => Direction::In,
        Along::Both => Direction::Both,
    }
}

/// Runs a read of a graph at a revision.
fn read<T>(cli: &Cli, place: &GraphPlace, body: impl FnOnce(&View) -> Result<T>) -> Result<T> {
    let engine = open_current(cli)?;
    let outcome = Graph::existing(&engine, &place.name.graph).and_then(|graph| match place.rev {
        0 => Ok(graph.now()),
        revision => graph.at(revision),
    });
    outcome.map_err(anyhow::Error::from).and_then(|view| body(&view))
}

/// What people call a vertex: its property `name` or `id`, or any other text, or its id.
fn shown(view: &View, id: VertexId, called: &str) -> Result<String> {
    let vertex = view.vertex(id)?;
    let text = vertex.and_then(|vertex| {
        let by_id = vertex.props.values().find(|value| match value {
            Value::Text(text) => VertexId::named(text) == id,
            _ => false,
        });
        match by_id.or(vertex.props.get(called)) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    });
    Ok(text.unwrap_or_else(|| id.to_string()))
}

fn import(cli: &Cli, args: &GraphImport, out: &mut impl Write) -> Result<()> {
    if args.nodes.is_none() && args.edges.is_none() {
        anyhow::bail!("give --nodes FILE or --edges FILE");
    }
    let engine = open(cli)?;
    let graph = Graph::open(&engine, &args.graph.graph)?;
    let options = ImportOptions { skip_existing: args.skip_existing, ..ImportOptions::default() };
    let input = |path: &Path| {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let len = file.metadata()?.len();
        let bar = indicatif::ProgressBar::new(len);
        Ok::<_, anyhow::Error>((BufReader::with_capacity(1 << 16, file), bar))
    };
    let mut counts = (0, 0, 0);
    if let Some(path) = &args.nodes {
        let (id, labels) = (args.id.clone(), labels(&args.node_label)?);
        let (file, bar) = input(path)?;
        let columns = NodeColumns { id, labels, label_column: None };
        let mut note = |progress: Progress| bar.set_position(progress.read_len);
        let report = graph
            .import_nodes(file, &columns, &options, &mut note)
            .with_context(|| path.display().to_string())?;
        bar.finish_and_clear();
        counts = (report.added, 0, report.skipped);
    }
    if let Some(path) = &args.edges {
        let (file, bar) = input(path)?;
        let columns = EdgeColumns {
            src: args.src.clone(),
            dst: args.dst.clone(),
            label: Label::new(&args.label)?,
            label_column: args.label_column.clone(),
            id: None,
        };
        let mut note = |progress: Progress| bar.set_position(progress.read_len);
        let report = graph
            .import_edges(file, &columns, &options, &mut note)
            .with_context(|| path.display().to_string())?;
        bar.finish_and_clear();
        counts.1 = report.added;
    }
    let revision = engine.revision();
    engine.close()?;
    let (vertices, edges, skipped) = counts;
    match cli.json {
        true => line(
            out,
            json!({"vertices": vertices, "edges": edges, "skipped": skipped, "revision": revision}),
        ),
        false => line(
            out,
            format!(
                "{vertices} vertices and {edges} edges imported, {skipped} vertices were there; revision {revision}"
            ),
        ),
    }
}

/// Says it by the word that was given: nobody knows the id that stands for a name.
fn no_vertex(called: &str) -> anyhow::Error {
    NotFound(format!("there is no vertex {called}")).into()
}

fn neighbors(cli: &Cli, args: &GraphNeighbors, out: &mut impl Write) -> Result<()> {
    let from = VertexId::named(&args.vertex);
    read(cli, &args.place, |view| {
        if view.vertex(from)?.is_none() {
            return Err(no_vertex(&args.vertex));
        }
        let (labels, direction) = (labels(&args.label)?, direction(args.direction));
        if args.hops == 1 {
            let most = args.limit.saturating_add(1);
            let mut edges = view.neighbours(from, direction, &labels, most)?;
            let is_cut = edges.len() > args.limit;
            edges.truncate(args.limit);
            for found in edges {
                let name = shown(view, found.vertex, "name")?;
                let arrow = if found.is_incoming { "<-" } else { "->" };
                let (edge, label) = (found.edge.to_string(), found.label.as_str());
                match cli.json {
                    true => line(
                        out,
                        json!({"vertex": found.vertex.to_string(), "name": name, "edge": edge, "label": label, "incoming": found.is_incoming}),
                    )?,
                    false => line(out, format!("{arrow} {name}  {label}  {edge}"))?,
                }
            }
            if is_cut {
                say_that_there_is_more();
            }
            return Ok(());
        }
        let options = ExpandOptions {
            direction,
            labels,
            depth_max: args.hops,
            vertices_max: args.limit.saturating_add(1),
            ..ExpandOptions::default()
        };
        let found = view.expand(from, &options)?;
        for reached in found.reached.iter().skip(1) {
            let (name, depth) = (shown(view, reached.vertex, "name")?, reached.depth);
            match cli.json {
                true => line(
                    out,
                    json!({"vertex": reached.vertex.to_string(), "name": name, "hops": depth}),
                )?,
                false => line(out, format!("{depth} {name}"))?,
            }
        }
        if found.is_cut {
            say_that_there_is_more();
        }
        Ok(())
    })
}

fn say_that_there_is_more() {
    anstream::eprintln!("cairn: a limit was met, there is more");
}

fn path(cli: &Cli, args: &GraphPath, out: &mut impl Write) -> Result<()> {
    let (from, to) = (VertexId::named(&args.from), VertexId::named(&args.to));
    read(cli, &args.place, |view| {
        let (labels, direction) = (labels(&args.label)?, direction(args.direction));
        let options = PathOptions { labels, direction, ..PathOptions::default() };
        for (id, name) in [(from, &args.from), (to, &args.to)] {
            if view.vertex(id)?.is_none() {
                return Err(no_vertex(name));
            }
        }
        let found = match &args.weight {
            None => view.shortest_path(from, to, &options)?,
            Some(property) => view.cheapest_path(from, to, property, &options)?,
        };
        let Some(path) = found else {
            let text = format!("there is no path from {} to {}", args.from, args.to);
            return Err(NotFound(text).into());
        };
        let names = path.vertices.iter().map(|id| shown(view, *id, "name"));
        let names = names.collect::<Result<Vec<_>>>()?;
        let edges: Vec<_> = path.edges.iter().map(ToString::to_string).collect();
        match cli.json {
            true => line(out, json!({"vertices": names, "edges": edges, "weight": path.weight})),
            false => line(out, format!("{}  ({})", names.join(" -> "), path.weight)),
        }
    })
}

fn stats(cli: &Cli, place: &GraphPlace, out: &mut impl Write) -> Result<()> {
    read(cli, place, |view| {
        let stats = view.stats()?;
        if cli.json {
            return line(out, stats.to_json());
        }
        line(out, format!("revision {}", stats.revision))?;
        line(out, format!("vertices {}", stats.vertex_count))?;
        for (label, count) in &stats.vertices_by_label {
            line(out, format!("   {label:?} {count}"))?;
        }
        line(out, format!("edges {}", stats.edge_count))?;
        for (label, count) in &stats.edges_by_label {
            line(out, format!("   {label:?} {count}"))?;
        }
        if let Some((id, count)) = stats.most_outgoing {
            line(out, format!("most outgoing: {} of {}", count, shown(view, id, "name")?))?;
        }
        line(out, format!("indexes {}", stats.index_count))
    })
}

fn check(cli: &Cli, place: &GraphPlace, out: &mut impl Write) -> Result<()> {
    let report = read(cli, place, |view| Ok(view.check()?))?;
    for found in &report.disagreements {
        match cli.json {
            true => line(out, json!({ "disagreement": found.to_string() }))?,
            false => line(out, found)?,
        }
    }
    if !report.is_intact() {
        let count = usize::try_from(report.disagreement_count).unwrap_or(usize::MAX);
        return Err(Damaged(count).into());
    }
    let (vertices, edges) = (report.vertex_count, report.edge_count);
    match cli.json {
        true => line(
            out,
            json!({"intact": true, "vertices": vertices, "edges": edges, "keys": report.key_count}),
        ),
        false => line(
            out,
            format!("{vertices} vertices and {edges} edges agree in {} keys", report.key_count),
        ),
    }
}
