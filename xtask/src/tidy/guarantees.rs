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
    let exists = |module: &str, name: &str| {
        let (file, dir) = (format!("/{module}.rs"), format!("/{module}/"));
        let is_in = |path: &str| path.ends_with(&file) || path.contains(&dir);
        let start = format!("fn {name}(");
        sources.iter().any(|source| is_in(&source.path) && source.text.contains(&start))
    };
    page.split('`')
        .filter_map(test_of)
        .filter(|(module, name)| !exists(module, name))
        .map(|(module, name)| format!("{PAGE}: there is no test `{name}` in `{module}`"))
        .collect()
}

/// The module and the name of a test, of a token such as `crashes::acknowledged_writes_stay`.
fn test_of(token: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
    let (module, rest) = token.split_once("::").filter(|_| token.chars().all(is_part))?;
    Some((module, rest.rsplit("::").next().unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_promise_whose_test_is_gone_is_caught() {
        let path = "crates/a/tests/b.rs";
        let page = "| Durable, see `Log::open` | `cairn-a` `b::acknowledged_writes_stay` |\n";
        let there = [source(path, "//! Doc.\nfn acknowledged_writes_stay() {\n}\n")];
        assert_eq!(check_page(page, &there), Vec::<String>::new());
        let within = [source("crates/a/src/b/tests.rs", &there[0].text)];
        assert_eq!(check_page(&page.replace("b::", "b::tests::"), &within), Vec::<String>::new());
        let elsewhere = [source("crates/a/tests/c.rs", &there[0].text)];
        assert_eq!(check_page(page, &elsewhere).len(), 1);
        let renamed = [source(path, "//! Doc.\nfn acknowledged_writes_stay_put() {\n}\n")];
        assert_eq!(check_page(page, &renamed).len(), 1);
        assert_eq!(check_page(page, &[]).len(), 1);
    }
}
