//! Benchmarks: of this workspace, and beside other engines.

use anyhow::Result;

use crate::process::{cargo, needs, run, run_cargo};

/// Criterion benchmarks of one crate or of all.
pub fn bench(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) => run_cargo(&["bench", "-p", name]),
        None => run_cargo(&["bench", "--workspace", "--exclude", "xtask"]),
    }
}

/// Other engines beside this one, on the same work in the same run. Key-value engines are
/// compiled only when they are asked for, and RocksDB only when it is named. A graph is compared
/// by a program of its own.
pub fn versus(arguments: &[String]) -> Result<()> {
    needs("benches/Cargo.toml", "the workspace with the other engines")?;
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--manifest-path", "benches/Cargo.toml"]);
    if let Some((_, flags)) = arguments.split_first().filter(|(kind, _)| *kind == "graph") {
        command.args(["--features", "graph", "--bin", "versus-graph"]);
        return run(command.arg("--").args(flags));
    }
    if let Some(feature) = versus_feature(arguments) {
        command.args(["--features", feature]);
    }
    run(command.arg("--").args(arguments))
}

fn versus_feature(arguments: &[String]) -> Option<&'static str> {
    match arguments.first()?.as_str() {
        "proof" => Some("proof"),
        "kv" | "table" | "space" | "seeds" => {
            let rocksdb = arguments.iter().any(|flag| flag == "--with-rocksdb");
            Some(if rocksdb { "kv-rocksdb" } else { "kv" })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_value_engines_are_built_only_when_asked_for() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(versus_feature(&[]), None);
        assert_eq!(versus_feature(&words("--quick --rounds 5")), None);
        assert_eq!(versus_feature(&words("kv --quick")), Some("kv"));
        assert_eq!(versus_feature(&words("kv --with-rocksdb")), Some("kv-rocksdb"));
        assert_eq!(versus_feature(&words("table --rounds 5")), Some("kv"));
        assert_eq!(versus_feature(&words("proof")), Some("proof"));
        assert_eq!(versus_feature(&words("report --with-rocksdb")), None);
    }
}
