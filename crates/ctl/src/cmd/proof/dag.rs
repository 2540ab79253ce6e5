//! `dag`: the content-addressed graph.

use std::io::Write;

use anyhow::{Context, Result};
use cairndb::engine::proof::dag::LogBlocks;
use cairndb::merkle::dag::{Cid, Fault, Node};
use serde_json::json;

use super::read;
use crate::cli::Cli;
use crate::cli::proof::{Dag, DagAdd};
use crate::cmd::{line, open, open_read_only};
use crate::exit::{Damaged, NotFound};

type Graph = cairndb::merkle::dag::Dag<LogBlocks>;

/// Most blocks that a check looks at.
const BLOCKS_MAX: usize = 100_000_000;

/// Runs a command about the graph.
pub fn run(cli: &Cli, command: &Dag, out: &mut impl Write) -> Result<()> {
    if let Dag::Add(args) = command {
        return add(cli, args, out);
    }
    let engine = open_read_only(cli)?;
    let dag = engine.dag()?;
    match command {
        Dag::Add(_) => Ok(()),
        Dag::Get { id, raw } => get(cli, &dag, &find(&dag, id)?, *raw, out),
        Dag::Verify { id } => verify(cli, &dag, &below(&dag, id.as_deref())?, out),
        Dag::Export { file, id } => {
            let roots = below(&dag, id.as_deref())?;
            let mut archive = std::io::BufWriter::new(std::fs::File::create(file)?);
            let blocks = dag.export(&roots, &mut archive)?;
            archive.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            if cli.json {
                return line(out, json!({ "blocks": blocks, "roots": roots.len() }));
            }
            line(out, format!("{blocks} blocks under {} roots", roots.len()))
        }
        Dag::Roots => {
            for (name, cid) in dag.roots()? {
                if cli.json {
                    line(out, json!({ "name": name, "id": cid.to_string() }))?;
                } else {
                    line(out, format!("{cid} {name}"))?;
                }
            }
            let hash = dag.root_hash()?;
            if cli.json { Ok(()) } else { line(out, format!("{hash} (all of them)")) }
        }
    }
}

/// The node that an id or the name of a root stands for.
fn find(dag: &Graph, text: &str) -> Result<Cid> {
    if let Ok(cid) = text.parse() {
        return Ok(cid);
    }
    dag.root(text)?.ok_or_else(|| NotFound(format!("no node and no root {text}")).into())
}

fn below(dag: &Graph, id: Option<&str>) -> Result<Vec<Cid>> {
    match id {
        Some(id) => Ok(vec![find(dag, id)?]),
        None => Ok(dag.roots()?.into_values().collect()),
    }
}

fn add(cli: &Cli, args: &DagAdd, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    let dag = engine.dag()?;
    let data = match &args.file {
        Some(file) => read(file)?,
        None => args.text.clone().unwrap_or_default().into_bytes(),
    };
    let mut node = Node::new(data);
    for link in &args.links {
        let (name, id) = link.split_once('=').context("a link is NAME=ID")?;
        let cid = find(&dag, id)?;
        let size = dag.get_block(&cid)?.len() as u64;
        node = node.with_link(name, cid, size);
    }
    let cid = dag.add_node(&node)?;
    if let Some(name) = &args.root {
        dag.set_root(name, Some(&cid))?;
    }
    let lsn = dag.store().place(&cid)?.map(cairndb::types::Lsn::get);
    if cli.json {
        line(out, json!({ "id": cid.to_string(), "lsn": lsn }))?;
    } else {
        line(out, cid)?;
    }
    Ok(engine.close()?)
}

fn get(cli: &Cli, dag: &Graph, cid: &Cid, raw: bool, out: &mut impl Write) -> Result<()> {
    let node = dag.get_node(cid)?;
    if raw {
        return Ok(out.write_all(&node.data)?);
    }
    let data = String::from_utf8_lossy(&node.data);
    if cli.json {
        let links: Vec<_> = node
            .links
            .iter()
            .map(|link| json!({ "name": link.name, "id": link.cid.to_string(), "size": link.size }))
            .collect();
        let lsn = dag.store().place(cid)?.map(cairndb::types::Lsn::get);
        return line(
            out,
            json!({ "id": cid.to_string(), "lsn": lsn, "data": data, "links": links }),
        );
    }
    line(out, data)?;
    node.links.iter().try_for_each(|link| line(out, format!("-> {} {}", link.cid, link.name)))
}

fn verify(cli: &Cli, dag: &Graph, roots: &[Cid], out: &mut impl Write) -> Result<()> {
    let report = dag.verify_integrity(roots, BLOCKS_MAX)?;
    let faults: Vec<String> = report.faults.iter().map(fault_text).collect();
    if cli.json {
        let (blocks, bytes) = (report.checked, report.bytes);
        line(
            out,
            json!({
                "whole": report.is_whole(), "blocks": blocks, "bytes": bytes, "faults": faults,
            }),
        )?;
    } else {
        faults.iter().try_for_each(|fault| line(out, fault))?;
        line(out, format!("{} blocks, {} bytes are whole", report.checked, report.bytes))?;
    }
    if report.is_whole() { Ok(()) } else { Err(Damaged(faults.len()).into()) }
}

fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Missing { cid, parent: Some(parent) } => {
            format!("missing: {cid}, linked by {parent}")
        }
        Fault::Missing { cid, parent: None } => format!("missing: {cid}, a root"),
        Fault::Altered { cid, found } => format!("altered: {cid} hashes to {found}"),
        Fault::NotANode { cid } => format!("no node: {cid}"),
    }
}
