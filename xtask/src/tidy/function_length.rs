//! A function fits a screen.
//!
//! It relies on rustfmt, which the gate before it enforces: the closing brace of a function
//! stands alone, as far in as the line the function begins with.

use super::Source;

const FUNCTION_LINES_MAX: usize = 100;

/// Functions that may stay longer: path, name, lines. Entries only ever shrink or go.
const RATCHET: &[(&str, &str, usize)] = &[];

#[derive(Debug, PartialEq, Eq)]
struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

pub fn check(source: &Source) -> Vec<String> {
    check_against(source, RATCHET)
}

/// Entries that are no longer needed would let a function grow back.
pub fn check_ratchet(sources: &[Source]) -> Vec<String> {
    stale(sources, RATCHET)
}

fn check_against(source: &Source, ratchet: &[(&str, &str, usize)]) -> Vec<String> {
    let Source { path, text } = source;
    let mut faults = Vec::new();
    for Function { name, line, lines } in functions(text) {
        let allowed = ratchet.iter().find(|entry| (entry.0, entry.1) == (path.as_str(), name));
        let most = allowed.map_or(FUNCTION_LINES_MAX, |entry| entry.2);
        if lines > most {
            faults.push(format!("{path}:{line}: `{name}` has {lines} lines (at most {most})"));
        }
    }
    faults
}

fn stale(sources: &[Source], ratchet: &[(&str, &str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, name, lines) in ratchet {
        let source = sources.iter().find(|source| source.path == *path);
        let longest = source
            .into_iter()
            .flat_map(|source| functions(&source.text))
            .filter(|function| function.name == *name)
            .map(|function| function.lines)
            .max();
        match longest {
            Some(now) if now >= *lines && now > FUNCTION_LINES_MAX => {}
            Some(now) => faults.push(format!(
                "{path}: `{name}` is down to {now} lines: tighten the ratchet from {lines}"
            )),
            None => faults.push(format!("{path}: `{name}` is gone: drop it from the ratchet")),
        }
    }
    faults
}

fn functions(text: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, &str, usize)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let indent = line.len() - line.trim_start().len();
        if let Some(name) = function_name(line.trim_start()) {
            let whole = line.ends_with('}') || line.ends_with(';');
            if whole {
                found.push(Function { name, line: number, lines: 1 });
            } else {
                open.push((indent, name, number));
            }
            continue;
        }
        let Some((start, name, begun)) = open.last().copied() else { continue };
        // A signature over several lines may end the function (in a trait) before any body.
        let ended =
            line.trim_start() == "}" || (line.trim_start().starts_with(')') && line.ends_with(';'));
        if ended && indent == start {
            open.pop();
            found.push(Function { name, line: begun, lines: number - begun + 1 });
        }
    }
    found
}

/// The name of the function a line begins with.
fn function_name(line: &str) -> Option<&str> {
    let place = if line.starts_with("fn ") { 0 } else { line.find(" fn ")? + 1 };
    let (before, after) = line.split_at(place);
    let is_qualifier = |word: &str| {
        ["pub", "const", "async", "unsafe", "extern", "default", "in"].contains(&word)
            || word.starts_with("pub(")
            || word.starts_with('"')
            || word.ends_with(')')
    };
    if !before.split_whitespace().all(is_qualifier) {
        return None;
    }
    let name = after.strip_prefix("fn ")?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    name.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    /// A function of so many lines, indented as a method.
    fn function(name: &str, lines: usize) -> String {
        format!("    pub(crate) async fn {name}(\n        self,\n    ) {{\n")
            + &"        step();\n".repeat(lines - 4)
            + "    }\n"
    }

    #[test]
    fn a_function_one_line_too_long_is_caught() {
        let path = "crates/a/src/b.rs";
        assert!(check(&source(path, function("f", FUNCTION_LINES_MAX))).is_empty());
        let faults = check(&source(path, function("f", FUNCTION_LINES_MAX + 1)));
        assert_eq!(faults, ["crates/a/src/b.rs:1: `f` has 101 lines (at most 100)"]);
    }

    #[test]
    fn the_ratchet_lets_nothing_grow_and_no_entry_outlive_its_need() {
        let path = "crates/a/src/b.rs";
        let ratchet = [(path, "f", 120)];
        let of = |lines| source(path, function("f", lines));
        assert!(check_against(&of(120), &ratchet).is_empty());
        assert_eq!(check_against(&of(121), &ratchet).len(), 1);
        assert!(stale(&[of(120)], &ratchet).is_empty());
        assert_eq!(stale(&[of(119)], &ratchet).len(), 1, "tighten it");
        assert_eq!(stale(&[source(path, function("g", 120))], &ratchet).len(), 1, "gone");
    }

    #[test]
    fn functions_are_found_in_every_shape() {
        let text = "\
const fn one() -> u64 { 1 }
fn two(&self) -> u64;
fn three(
    a: u64,
) -> u64;
pub unsafe extern \"C\" fn four() {
    fn five() {
    }
    let run = |f: fn (u64)| {
        f(1)
    };
}
";
        let names: Vec<_> = functions(text).iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(
            names,
            [("one", 1, 1), ("two", 2, 1), ("three", 3, 3), ("five", 7, 2), ("four", 6, 7)]
        );
    }
}
