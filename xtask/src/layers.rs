//! The floor table: a crate may depend only on crates of lower floors.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Every crate of the stack and its floor; `docs/architecture.md` explains them.
const FLOORS: &[(&str, u8)] = &[
    ("cairn-types", 0),
    ("cairn-vfs", 1),
    ("cairn-codec", 1),
    ("cairn-segment", 2),
    ("cairn-index", 2),
    ("cairn-merkle", 2),
    ("cairn-lsm", 3),
    ("cairn-mvcc", 4),
    ("cairn-auth", 5),
    ("cairn-engine", 6),
    ("cairndb", 7),
    ("cairn-cache", 8),
    ("cairn-graph", 8),
    ("cairn-ctl", 9),
];

/// Crates that are not part of the product and may use all of it.
const OUTSIDE: &[&str] = &["cairn-tests", "xtask"];

/// Only this crate may use what touches files.
const FILE_CRATES: &[&str] = &["rustix", "memmap2"];

/// One dependency as `cargo metadata` reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    optional: bool,
    dev: bool,
}

/// Reads the workspace and checks every edge.
pub fn check_workspace() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("starting cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("reading metadata")?;
    let (packages, edges) = read(&metadata)?;
    let faults = check(&packages, &edges);
    if faults.is_empty() {
        println!("{} crates, {} dependencies: every edge leads down", packages.len(), edges.len());
        return Ok(());
    }
    bail!("forbidden dependencies:\n  {}", faults.join("\n  "))
}

fn read(metadata: &Value) -> Result<(Vec<String>, Vec<Edge>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a name");
    let (mut names, mut edges) = (Vec::new(), Vec::new());
    for package in metadata["packages"].as_array().context("packages")? {
        let from = text(&package["name"])?;
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            edges.push(Edge {
                from: from.clone(),
                to: text(&dependency["name"])?,
                optional: dependency["optional"].as_bool().unwrap_or(false),
                dev: dependency["kind"] == "dev",
            });
        }
        names.push(from);
    }
    Ok((names, edges))
}

fn check(packages: &[String], edges: &[Edge]) -> Vec<String> {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let outside = |name: &str| OUTSIDE.contains(&name);
    let mut faults = Vec::new();
    for package in packages {
        if !floors.contains_key(package.as_str()) && !outside(package) {
            faults.push(format!("{package} has no floor: add it to xtask/src/layers.rs"));
        }
    }
    for edge in edges.iter().filter(|edge| !edge.dev && !outside(&edge.from)) {
        let Some(from) = floors.get(edge.from.as_str()) else { continue };
        if outside(&edge.to) {
            faults
                .push(format!("{} uses {}, which is not part of the product", edge.from, edge.to));
        }
        if let Some(to) = floors.get(edge.to.as_str())
            && to >= from
        {
            faults.push(format!("{} (floor {from}) uses {} (floor {to})", edge.from, edge.to));
        }
        if edge.to == "tokio" && (*from < 6 || (*from == 6 && !edge.optional)) {
            faults.push(format!("{} uses tokio: only the engine's feature may", edge.from));
        }
        if FILE_CRATES.contains(&edge.to.as_str()) && edge.from != "cairn-vfs" {
            faults.push(format!("{} uses {}: only cairn-vfs touches files", edge.from, edge.to));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(from: &str, to: &str, optional: bool, dev: bool) -> Vec<String> {
        let edge = Edge { from: from.into(), to: to.into(), optional, dev };
        check(&[from.to_owned()], &[edge])
    }

    #[test]
    fn edges_that_lead_down_are_allowed() {
        assert_eq!(faults("cairn-segment", "cairn-codec", false, false), Vec::<String>::new());
        assert_eq!(faults("cairn-engine", "tokio", true, false), Vec::<String>::new());
        assert_eq!(faults("cairn-types", "cairn-engine", false, true), Vec::<String>::new());
        assert_eq!(faults("cairn-tests", "cairn-ctl", false, false), Vec::<String>::new());
    }

    #[test]
    fn forbidden_edges_are_caught() {
        for (from, to, optional) in [
            ("cairn-types", "cairn-vfs", false),
            ("cairn-vfs", "cairn-codec", false),
            ("cairn-codec", "cairn-segment", true),
            ("cairn-segment", "tokio", true),
            ("cairn-engine", "tokio", false),
            ("cairn-segment", "rustix", false),
            ("cairn-ctl", "memmap2", false),
            ("cairn-engine", "cairn-tests", false),
        ] {
            assert_eq!(faults(from, to, optional, false).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn an_unknown_crate_is_caught() {
        assert_eq!(check(&["cairn-new".to_owned()], &[]).len(), 1);
    }
}
