//! Unfinished work and switched-off checks.

use super::Source;

/// Spelled in two parts so that this file does not catch itself.
const MARKS: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("#[ig", "nore"),
];

const SUPPRESSIONS: &[&str] = &[concat!("#[al", "low("), concat!("#![al", "low(")];

pub fn check(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let mut faults = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        for mark in MARKS.iter().filter(|mark| line.contains(**mark)) {
            faults.push(format!("{path}:{number}: unfinished or switched off: {mark}"));
        }
    }
    for start in SUPPRESSIONS {
        for (place, _) in text.match_indices(start) {
            let rest = text.get(place..).unwrap_or_default();
            let attribute = rest.split_once(")]").map_or(rest, |(attribute, _)| attribute);
            if !attribute.contains("reason") {
                let number = text.get(..place).unwrap_or_default().lines().count().max(1);
                faults
                    .push(format!("{path}:{number}: a lint is silenced without `reason = \"..\"`"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn count(text: String) -> usize {
        check(&source("crates/a/src/b.rs", text)).len()
    }

    #[test]
    fn each_mark_is_caught() {
        for mark in MARKS {
            assert_eq!(count(format!("//! Doc.\n    {mark}\n")), 1, "{mark}");
        }
    }

    #[test]
    fn a_lint_silenced_without_a_reason_is_caught() {
        for start in SUPPRESSIONS {
            assert_eq!(count(format!("//! Doc.\n{start}dead_code)]\nfn f() {{}}\n")), 1);
            assert_eq!(count(format!("//! Doc.\n{start}dead_code, reason = \"why\")]\n")), 0);
            assert_eq!(
                count(format!("//! Doc.\n{start}\n  dead_code,\n  reason = \"y\"\n)]\n")),
                0
            );
        }
    }
}
