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

/// Tests stand there as the test runner names them: `module::name`, `module::tests::name`.
fn check_page(page: &str, sources: &[Source]) -> Vec<String> {
    let exists = |module: &str, name: &str| {
        let start = format!("fn {name}(");
        let (file, folder) = (format!("/{module}.rs"), format!("/{module}/"));
        let is_there = |path: &str| path.ends_with(&file) || path.contains(&folder);
        sources.iter().any(|source| is_there(&source.path) && source.text.contains(&start))
    };
    let is_name = |token: &&str| {
        token.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':'))
    };
    // Every second piece stands between marks of code.
    let tests = page.split('`').skip(1).step_by(2).filter(is_name);
    tests
        .filter_map(|token| token.rsplit_once("::"))
        .map(|(path, name)| (path.strip_suffix("::tests").unwrap_or(path), name))
        .map(|(path, name)| (path.rsplit("::").next().unwrap_or(path), name))
        .filter(|(module, name)| !exists(module, name))
        .map(|(module, name)| format!("{PAGE}: there is no test `{name}` in a module `{module}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_promise_whose_test_is_gone_is_caught() {
        let path = "crates/a/tests/b.rs";
        let page = "| Durable | `cairn-a` `b::acknowledged_writes_stay` |\n";
        let there = [source(path, "//! Doc.\nfn acknowledged_writes_stay() {\n}\n")];
        assert_eq!(check_page(page, &there), Vec::<String>::new());
        let renamed = [source(path, "//! Doc.\nfn acknowledged_writes_stay_put() {\n}\n")];
        assert_eq!(check_page(page, &renamed).len(), 1);
        assert_eq!(check_page(page, &[]).len(), 1);
        let elsewhere = [source("crates/a/tests/c.rs", &there[0].text)];
        assert_eq!(check_page(page, &elsewhere).len(), 1);
        let inside = "`Log::open` of `a`: `b::tests::acknowledged_writes_stay`";
        let unit = [source("crates/a/src/b.rs", &there[0].text)];
        assert_eq!(check_page(inside, &unit), Vec::<String>::new());
    }
}
