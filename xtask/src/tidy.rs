//! House rules that a compiler does not know.

mod format_hash;
mod function_length;
mod guarantees;
mod marks;
mod placement;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const ROOTS: &[&str] = &["crates", "xtask"];

/// One Rust file, its path relative to the root of the workspace with `/` between parts.
#[derive(Debug)]
struct Source {
    path: String,
    text: String,
}

/// Checks every Rust file of the workspace and the record of the formats.
pub fn check_workspace() -> Result<()> {
    let sources = read_all()?;
    let mut faults: Vec<String> = sources.iter().flat_map(check).collect();
    faults.extend(function_length::check_ratchet(&sources));
    faults.extend(format_hash::check(&sources));
    faults.extend(guarantees::check(&sources));
    if faults.is_empty() {
        println!("{} files are tidy", sources.len());
        return Ok(());
    }
    bail!("not tidy:\n  {}", faults.join("\n  "))
}

/// Records that `docs/format.md` describes the formats as they are now.
pub fn bless_format() -> Result<()> {
    format_hash::bless(&read_all()?)
}

fn check(source: &Source) -> Vec<String> {
    let mut faults = placement::check(source);
    faults.extend(marks::check(source));
    faults.extend(function_length::check(source));
    faults
}

fn read_all() -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for root in ROOTS {
        collect(Path::new(root), &mut paths)?;
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(Source { path: path.to_string_lossy().replace('\\', "/"), text })
    };
    paths.iter().map(read).collect()
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
fn source(path: &str, text: impl Into<String>) -> Source {
    Source { path: path.to_owned(), text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tidy_file_passes() {
        let text = "//! Ids.\n\npub fn next(id: u64) -> u64 {\n    id + 1\n}\n";
        assert_eq!(check(&source("crates/types/src/ids.rs", text)), Vec::<String>::new());
    }
}
