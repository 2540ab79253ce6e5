//! House rules that a compiler does not know.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const FILE_LINES_MAX: usize = 600;
const BANNED_NAMES: &[&str] = &["utils", "common", "helpers", "misc", "inner", "v2"];
/// What library code takes as an argument instead.
const EDGES_ONLY: &[(&str, &str)] = &[
    ("std::fs::", "use cairn_vfs::Vfs"),
    ("File::open", "use cairn_vfs::Vfs"),
    ("SystemTime::now", "use cairn_vfs::Clock"),
    ("Instant::now", "use cairn_vfs::Clock"),
    ("thread::sleep", "wait for an event"),
];
/// Crates that are edges themselves.
const EDGES: &[&str] = &["crates/vfs/", "crates/ctl/", "crates/cairn-tests/", "xtask/"];

/// Checks every Rust file of the workspace.
pub fn check_workspace() -> Result<()> {
    let mut files = Vec::new();
    for root in ["crates", "xtask"] {
        collect(Path::new(root), &mut files)?;
    }
    let mut faults = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        faults.extend(check(&file.to_string_lossy(), &text));
    }
    if faults.is_empty() {
        println!("{} files are tidy", files.len());
        return Ok(());
    }
    bail!("not tidy:\n  {}", faults.join("\n  "))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

fn check(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: begins without a module doc"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{path}: {lines} lines, split it by idea (at most {FILE_LINES_MAX})"));
    }
    let stems = path.trim_end_matches(".rs").split('/');
    for stem in stems.filter(|stem| BANNED_NAMES.contains(stem)) {
        faults.push(format!("{path}: `{stem}` says nothing, name it for what it is"));
    }
    for mark in [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("#[ig", "nore"),
    ] {
        if text.contains(mark) {
            faults.push(format!("{path}: unfinished or switched off: {mark}"));
        }
    }
    let library = path.contains("/src/") && !EDGES.iter().any(|edge| path.starts_with(edge));
    if library {
        for (banned, instead) in EDGES_ONLY {
            if text.contains(banned) {
                faults.push(format!("{path}: {banned} in library code: {instead}"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tidy_file_passes() {
        assert_eq!(check("crates/types/src/ids.rs", "//! Ids.\n"), Vec::<String>::new());
    }

    #[test]
    fn each_planted_violation_is_caught() {
        let doc = "//! Doc.\n";
        let long = doc.to_owned() + &"\n".repeat(FILE_LINES_MAX);
        for (path, text) in [
            ("crates/a/src/b.rs", "fn f() {}\n".to_owned()),
            ("crates/a/src/b.rs", long),
            ("crates/a/src/utils.rs", doc.to_owned()),
            ("crates/a/src/common/x.rs", doc.to_owned()),
            ("crates/a/src/b.rs", format!("{doc}{}", concat!("to", "do!()"))),
            ("crates/a/src/b.rs", format!("{doc}{}", concat!("#[ig", "nore]"))),
            ("crates/a/src/b.rs", format!("{doc}std::fs::read(p)")),
            ("crates/a/src/b.rs", format!("{doc}Instant::now()")),
        ] {
            assert_eq!(check(path, &text).len(), 1, "{path}: {text:.40}");
        }
    }

    #[test]
    fn edges_may_touch_files() {
        assert!(check("crates/vfs/src/os.rs", "//! Os.\nstd::fs::read(p)").is_empty());
        assert!(check("crates/a/tests/x.rs", "//! T.\nstd::fs::read(p)").is_empty());
    }
}
