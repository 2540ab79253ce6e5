//! Files: the module doc, the length, the name, and what only edges may touch.

use super::Source;

const FILE_LINES_MAX: usize = 600;

/// Names that would fit anything.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "misc", "inner", "v2"];

/// What library code takes as an argument instead. The lints of `xtask/library-lints` know the
/// types behind these names; this list catches macros and code that a feature hides.
const EDGES_ONLY: &[(&str, &str)] = &[
    ("std::fs", "use cairn_vfs::Vfs"),
    ("File::open", "use cairn_vfs::Vfs"),
    ("SystemTime::now", "use cairn_vfs::Clock"),
    ("Instant::now", "use cairn_vfs::Clock"),
    ("thread::sleep", "wait for an event"),
];

/// Crates that are edges themselves.
const EDGES: &[&str] = &["crates/vfs/", "crates/ctl/", "crates/cairn-tests/", "xtask/"];

pub fn check(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: begins without a module doc"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{path}: {lines} lines, split it by idea (at most {FILE_LINES_MAX})"));
    }
    for part in path.trim_end_matches(".rs").split('/').chain(text.lines().filter_map(module)) {
        if EMPTY_NAMES.contains(&part) {
            faults.push(format!("{path}: `{part}` says nothing, name it for what it is"));
        }
    }
    if is_library(path) {
        faults.extend(edges_only(path, text));
    }
    faults
}

/// The name of a module that is written in place.
fn module(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches("pub ");
    line.strip_prefix("mod ")?.strip_suffix(" {")
}

fn is_library(path: &str) -> bool {
    path.contains("/src/")
        && !path.ends_with("/tests.rs")
        && !EDGES.iter().any(|edge| path.starts_with(edge))
}

fn edges_only(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in without_tests(text) {
        let code = line.split("//").next().unwrap_or(line);
        for (banned, instead) in EDGES_ONLY {
            if has_path(code, banned) {
                faults.push(format!("{path}:{number}: {banned} in library code: {instead}"));
            }
        }
    }
    faults
}

/// Numbered lines up to the unit tests, which stand at the end of a file.
fn without_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text.get(..end).unwrap_or(text).lines().zip(1..).map(|(line, number)| (number, line))
}

/// Whether the code names this path and not merely one that ends alike (`SuperblockFile::open`).
fn has_path(code: &str, banned: &str) -> bool {
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(banned).any(|(place, _)| {
        let before = code.get(..place).and_then(|text| text.chars().next_back());
        let after = code.get(place + banned.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    const DOC: &str = "//! Doc.\n";

    fn count(path: &str, text: impl Into<String>) -> usize {
        check(&source(path, text)).len()
    }

    #[test]
    fn a_file_without_a_module_doc_is_caught() {
        assert_eq!(count("crates/a/src/b.rs", "fn f() {}\n"), 1);
        assert_eq!(count("crates/a/tests/b.rs", "/// Not a module doc.\nfn f() {}\n"), 1);
    }

    #[test]
    fn a_file_one_line_too_long_is_caught() {
        let full = DOC.to_owned() + &"\n".repeat(FILE_LINES_MAX - 1);
        assert_eq!(count("crates/a/src/b.rs", full.clone()), 0);
        assert_eq!(count("crates/a/src/b.rs", full + "\n"), 1);
    }

    #[test]
    fn names_that_say_nothing_are_caught() {
        for path in ["crates/a/src/utils.rs", "crates/a/src/common/x.rs", "crates/helpers/b.rs"] {
            assert_eq!(count(path, DOC), 1, "{path}");
        }
        assert_eq!(count("crates/a/src/b.rs", format!("{DOC}    mod misc {{\n")), 1);
        assert_eq!(count("crates/a/src/common_prefix.rs", DOC), 0);
    }

    #[test]
    fn files_clocks_and_sleep_in_library_code_are_caught() {
        for line in [
            "use std::fs;",
            "std::fs::read(path)?;",
            "fs::File::open(path)?;",
            "std::time::SystemTime::now();",
            "let start = Instant::now();",
            "thread::sleep(pause);",
        ] {
            assert_eq!(count("crates/a/src/b.rs", format!("{DOC}{line}\n")), 1, "{line}");
        }
    }

    #[test]
    fn comments_tests_edges_and_like_names_are_free() {
        assert_eq!(count("crates/a/src/b.rs", format!("{DOC}// std::fs::read is banned\n")), 0);
        assert_eq!(count("crates/a/src/b.rs", format!("{DOC}SuperblockFile::open(vfs)\n")), 0);
        let tested = format!("{DOC}\n#[cfg(test)]\nmod tests {{\n    Instant::now();\n}}\n");
        assert_eq!(count("crates/a/src/b.rs", tested), 0);
        for path in ["crates/vfs/src/os.rs", "crates/a/tests/x.rs", "crates/a/benches/x.rs"] {
            assert_eq!(count(path, format!("{DOC}std::fs::read(path)\n")), 0, "{path}");
        }
    }
}
