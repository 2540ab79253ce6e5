//! `docs/guarantees.md` names a test for each promise: the test must exist.

use super::Source;

const PAGE: &str = "docs/guarantees.md";

/// What stands in place of a test that is still to be written.
const NO_TEST: &str = "no test yet";

pub fn check(sources: &[Source]) -> Vec<String> {
    match std::fs::read_to_string(PAGE) {
        Ok(page) => {
            let open = page.lines().filter(|line| line.ends_with(&format!("{NO_TEST} |"))).count();
            println!("{PAGE}: {open} promises have {NO_TEST}");
            check_page(&page, sources)
        }
        Err(error) => vec![format!("{PAGE}: {error}")],
    }
}

fn check_page(page: &str, sources: &[Source]) -> Vec<String> {
    let exists = |path: &str, name: &str| {
        let start = format!("fn {name}(");
        sources.iter().any(|source| source.path == path && source.text.contains(&start))
    };
    let tests = page.split('`').filter_map(|token| token.split_once(".rs::"));
    tests
        .map(|(stem, name)| (format!("{stem}.rs"), name))
        .filter(|(path, name)| !exists(path, name))
        .map(|(path, name)| format!("{PAGE}: there is no test `{name}` in {path}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_promise_whose_test_is_gone_is_caught() {
        let path = "crates/a/tests/b.rs";
        let page = "| Durable | `crates/a/tests/b.rs::acknowledged_writes_stay` |\n";
        let there = [source(path, "//! Doc.\nfn acknowledged_writes_stay() {\n}\n")];
        assert_eq!(check_page(page, &there), Vec::<String>::new());
        let renamed = [source(path, "//! Doc.\nfn acknowledged_writes_stay_put() {\n}\n")];
        assert_eq!(check_page(page, &renamed).len(), 1);
        assert_eq!(check_page(page, &[]).len(), 1);
    }
}
