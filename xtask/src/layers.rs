//! The floor table: a crate may depend only on crates of lower floors.
//!
//! The table lives here and nowhere else; `docs/architecture.md` explains it and is checked
//! against it. Development dependencies are free: a test may look at the whole stack.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::cargo;

/// Every crate of the stack and its floor, also those that are not written yet.
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
    ("cairn-engine", ENGINE_FLOOR),
    ("cairndb", FACADE_FLOOR),
    ("cairn-cache", 8),
    ("cairn-graph", 8),
    ("cairn-ctl", 9),
];

/// The first floor that may know `tokio`, and only as an optional dependency.
const ENGINE_FLOOR: u8 = 6;

/// The core ends here; above are adapters and the command line.
const FACADE_FLOOR: u8 = 7;

/// Crates that are not part of the product and may use all of it.
const OUTSIDE: &[&str] = &["cairn-tests", "xtask"];

/// Crates that touch files, and the only one of ours that may use them.
const FILE_CRATES: &[&str] = &["rustix", "memmap2"];
const FILE_OWNER: &str = "cairn-vfs";

const ARCHITECTURE: &str = "docs/architecture.md";
const DEPENDENCIES: &str = "docs/dependencies.md";

/// One dependency as `cargo metadata` reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    optional: bool,
    dev: bool,
}

/// Reads the workspace and checks every edge and the pages that explain them.
pub fn check_workspace() -> Result<()> {
    let (packages, edges) = read(&metadata()?)?;
    let mut faults = check(&packages, &edges);
    let page = std::fs::read_to_string(ARCHITECTURE).context(ARCHITECTURE)?;
    faults.extend(check_page(&page));
    let page = std::fs::read_to_string(DEPENDENCIES).context(DEPENDENCIES)?;
    faults.extend(check_dependencies_page(&page, &packages, &edges));
    if faults.is_empty() {
        println!("{} crates, {} dependencies: every edge leads down", packages.len(), edges.len());
        return Ok(());
    }
    bail!("the layers are broken:\n  {}", faults.join("\n  "))
}

/// The library crates of the core that exist, but for the one that owns files and clocks.
pub fn libraries_present() -> Result<Vec<String>> {
    let (packages, _) = read(&metadata()?)?;
    let core = |name: &String| {
        let floor = FLOORS.iter().find(|(known, _)| known == name).map(|(_, floor)| *floor);
        name != FILE_OWNER && floor.is_some_and(|floor| floor <= FACADE_FLOOR)
    };
    Ok(packages.into_iter().filter(core).collect())
}

fn metadata() -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("starting cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("reading the answer of cargo metadata")
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

fn outside(name: &str) -> bool {
    OUTSIDE.contains(&name)
}

fn check(packages: &[String], edges: &[Edge]) -> Vec<String> {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let mut faults = Vec::new();
    for package in packages {
        if !floors.contains_key(package.as_str()) && !outside(package) {
            faults.push(format!("{package} has no floor: add it to xtask/src/layers.rs"));
        }
    }
    for edge in edges.iter().filter(|edge| !edge.dev && !outside(&edge.from)) {
        // A crate without a floor was reported above.
        if let Some(floor) = floors.get(edge.from.as_str()) {
            faults.extend(check_edge(edge, *floor, &floors));
        }
    }
    faults
}

fn check_edge(edge: &Edge, floor: u8, floors: &BTreeMap<&str, u8>) -> Vec<String> {
    let Edge { from, to, optional, .. } = edge;
    let mut faults = Vec::new();
    if outside(to) {
        faults.push(format!("{from} uses {to}, which is not part of the product"));
    }
    if let Some(below) = floors.get(to.as_str())
        && *below >= floor
    {
        faults.push(format!("{from} (floor {floor}) uses {to} (floor {below}): only downwards"));
    }
    if to == "tokio" && floor < ENGINE_FLOOR {
        faults.push(format!("{from} uses tokio: nothing below the engine may"));
    }
    if to == "tokio" && floor == ENGINE_FLOOR && !optional {
        faults.push(format!("{from} uses tokio: it must stay optional"));
    }
    if FILE_CRATES.contains(&to.as_str()) && from != FILE_OWNER {
        faults.push(format!("{from} uses {to}: only {FILE_OWNER} touches files"));
    }
    faults
}

/// The page must have the row `| floor | `crate` |` of every crate.
fn check_page(page: &str) -> Vec<String> {
    let row = |(name, floor): &&(&str, u8)| format!("| {floor} | `{name}` |");
    let missing = FLOORS.iter().filter(|entry| !page.contains(&row(entry)));
    missing.map(|entry| format!("{ARCHITECTURE} lacks the row `{}`", row(&entry))).collect()
}

/// Whatever comes from outside needs a row that says what it is for.
fn check_dependencies_page(page: &str, packages: &[String], edges: &[Edge]) -> Vec<String> {
    let foreign: BTreeSet<&String> =
        edges.iter().map(|edge| &edge.to).filter(|to| !packages.contains(to)).collect();
    let unexplained = foreign.into_iter().filter(|to| !page.contains(&format!("| `{to}` |")));
    unexplained.map(|to| format!("{DEPENDENCIES} lacks a row for `{to}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(from: &str, to: &str, optional: bool, dev: bool) -> Vec<String> {
        let edge = Edge { from: from.into(), to: to.into(), optional, dev };
        check(&[from.to_owned()], &[edge])
    }

    fn assert_caught(from: &str, to: &str, optional: bool, reason: &str) {
        let found = faults(from, to, optional, false);
        assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
        assert!(found[0].contains(reason), "{found:?}");
    }

    #[test]
    fn edges_that_lead_down_are_allowed() {
        assert_eq!(faults("cairn-segment", "cairn-codec", false, false), Vec::<String>::new());
        assert_eq!(faults("cairn-engine", "tokio", true, false), Vec::<String>::new());
        assert_eq!(faults("cairn-cache", "tokio", false, false), Vec::<String>::new());
        assert_eq!(faults("cairn-vfs", "rustix", false, false), Vec::<String>::new());
        assert_eq!(faults("cairn-tests", "cairn-ctl", false, false), Vec::<String>::new());
    }

    #[test]
    fn tests_may_look_anywhere() {
        assert_eq!(faults("cairn-types", "cairn-engine", false, true), Vec::<String>::new());
        assert_eq!(faults("cairn-segment", "tokio", false, true), Vec::<String>::new());
    }

    #[test]
    fn an_upward_edge_is_caught() {
        assert_caught("cairn-types", "cairn-vfs", false, "only downwards");
        assert_caught("cairn-codec", "cairn-segment", true, "only downwards");
        assert_caught("cairn-lsm", "cairn-mvcc", false, "only downwards");
    }

    #[test]
    fn an_edge_on_the_same_floor_is_caught() {
        assert_caught("cairn-vfs", "cairn-codec", false, "only downwards");
        assert_caught("cairn-cache", "cairn-graph", false, "only downwards");
    }

    #[test]
    fn tokio_below_the_engine_is_caught_even_when_optional() {
        assert_caught("cairn-segment", "tokio", true, "nothing below the engine");
        assert_caught("cairn-types", "tokio", false, "nothing below the engine");
        assert_caught("cairn-engine", "tokio", false, "must stay optional");
    }

    #[test]
    fn files_outside_the_one_owner_are_caught() {
        assert_caught("cairn-segment", "rustix", false, "only cairn-vfs");
        assert_caught("cairn-ctl", "memmap2", true, "only cairn-vfs");
    }

    #[test]
    fn the_product_does_not_lean_on_its_tests() {
        assert_caught("cairn-engine", "cairn-tests", false, "not part of the product");
    }

    #[test]
    fn an_unknown_crate_is_caught() {
        let found = check(&["cairn-new".to_owned()], &[]);
        assert_eq!(found, ["cairn-new has no floor: add it to xtask/src/layers.rs"]);
    }

    #[test]
    fn metadata_becomes_edges() {
        let metadata = serde_json::json!({ "packages": [{ "name": "cairn-vfs", "dependencies": [
            { "name": "cairn-codec", "kind": null, "optional": true },
            { "name": "cairn-engine", "kind": "dev", "optional": false },
            { "name": "cairn-segment", "kind": "build", "optional": false },
        ]}]});
        let (packages, edges) = read(&metadata).expect("well-formed");
        assert_eq!(check(&packages, &edges).len(), 2, "normal and build count, dev does not");
    }

    #[test]
    fn a_page_that_lacks_a_row_or_has_another_floor_is_caught() {
        let page: String =
            FLOORS.iter().map(|(name, floor)| format!("| {floor} | `{name}` | x |\n")).collect();
        assert_eq!(check_page(&page), Vec::<String>::new());
        assert_eq!(
            check_page(&page.replace("| 2 | `cairn-index`", "| 3 | `cairn-index`")).len(),
            1
        );
    }

    #[test]
    fn a_dependency_without_its_row_is_caught() {
        let edge = |to: &str| Edge {
            from: "cairn-codec".into(),
            to: to.into(),
            optional: false,
            dev: true,
        };
        let packages = ["cairn-codec".to_owned(), "cairn-types".to_owned()];
        let edges = [edge("cairn-types"), edge("bytes"), edge("left-pad"), edge("left-pad")];
        let found = check_dependencies_page("| `bytes` | 1.12 | payloads |", &packages, &edges);
        assert_eq!(found, ["docs/dependencies.md lacks a row for `left-pad`"]);
    }
}
