//! The formats on disk do not change without their page.
//!
//! `docs/format.md` holds the line `format-hash: <hex>`: SHA-256 over the code that lays bytes
//! out, without blank lines, plain comments and unit tests. Module docs count: they hold the
//! byte tables.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::Source;

const PAGE: &str = "docs/format.md";
const LABEL: &str = "format-hash: ";

/// Files, and folders with all that is in them, whose code decides what the bytes of the truth
/// mean. Derived files are not here: they carry a version, and an unknown one is rebuilt.
const FORMAT_SOURCES: &[&str] = &[
    "crates/auth/src/record.rs",
    "crates/auth/src/record/",
    "crates/auth/src/seal/envelope.rs",
    "crates/auth/src/seal/wrap.rs",
    "crates/auth/src/service/places.rs",
    "crates/codec/src/batch.rs",
    "crates/codec/src/batch/",
    "crates/codec/src/crc.rs",
    "crates/codec/src/hash.rs",
    "crates/codec/src/kind.rs",
    "crates/codec/src/varint.rs",
    "crates/engine/src/command.rs",
    "crates/engine/src/command/keys.rs",
    "crates/engine/src/command/topics.rs",
    "crates/engine/src/command/wire.rs",
    "crates/engine/src/envelope.rs",
    "crates/engine/src/metadata.rs",
    "crates/engine/src/proof/dag.rs",
    "crates/engine/src/proof/key_proof.rs",
    "crates/engine/src/proof/records.rs",
    "crates/engine/src/proof/signed.rs",
    "crates/graph/src/chunk.rs",
    "crates/graph/src/index.rs",
    "crates/graph/src/key.rs",
    "crates/graph/src/record.rs",
    "crates/graph/src/value.rs",
    "crates/segment/src/checkpoint.rs",
    "crates/segment/src/format.rs",
    "crates/segment/src/format/",
];

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut faults = missing(sources);
    match std::fs::read_to_string(PAGE) {
        Ok(page) => faults.extend(check_page(&page, &hash(sources))),
        Err(error) => faults.push(format!("{PAGE}: {error}: the formats need their page")),
    }
    faults
}

/// Writes the line anew, after the page was brought up to date by hand.
pub fn bless(sources: &[Source]) -> Result<()> {
    if let Some(fault) = missing(sources).first() {
        bail!("{fault}");
    }
    let hash = hash(sources);
    let page = std::fs::read_to_string(PAGE).context(PAGE)?;
    std::fs::write(PAGE, blessed(&page, &hash)).context(PAGE)?;
    println!("{PAGE} now says {LABEL}{hash}");
    Ok(())
}

/// A listed file that moved would fall out of the hash in silence.
fn missing(sources: &[Source]) -> Vec<String> {
    let absent = FORMAT_SOURCES.iter().filter(|listed| !sources.iter().any(|s| covers(listed, s)));
    absent
        .map(|listed| format!("{listed}: not there; fix the list in xtask/src/tidy/format_hash.rs"))
        .collect()
}

fn covers(listed: &str, source: &Source) -> bool {
    if listed.ends_with('/') { source.path.starts_with(listed) } else { source.path == listed }
}

fn check_page(page: &str, hash: &str) -> Option<String> {
    let recorded = page.lines().find_map(|line| line.strip_prefix(LABEL));
    match recorded.map(str::trim) {
        Some(recorded) if recorded == hash => None,
        Some(_) => Some(format!(
            "{PAGE}: the code of the formats changed. Bring the page up to date, then run \
             `cargo xtask tidy --bless-format`"
        )),
        None => {
            Some(format!("{PAGE}: no line `{LABEL}<hex>`; run `cargo xtask tidy --bless-format`"))
        }
    }
}

fn blessed(page: &str, hash: &str) -> String {
    let line = format!("{LABEL}{hash}");
    if page.lines().any(|old| old.starts_with(LABEL)) {
        let replace = |old| if str::starts_with(old, LABEL) { line.as_str() } else { old };
        page.lines().map(replace).collect::<Vec<_>>().join("\n") + "\n"
    } else {
        format!("{}\n\n{line}\n", page.trim_end())
    }
}

fn hash(sources: &[Source]) -> String {
    let mut hasher = Sha256::new();
    let listed = |source: &&Source| FORMAT_SOURCES.iter().any(|listed| covers(listed, source));
    for source in sources.iter().filter(listed) {
        hasher.update(source.path.as_bytes());
        hasher.update([0]);
        for line in meaning(&source.text) {
            hasher.update(line.as_bytes());
            hasher.update(b"\n");
        }
        hasher.update([0]);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines that can change what bytes mean, or what a reader is told about them.
fn meaning(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let counts = |line: &&str| {
        let plain = line.starts_with("//") && !line.starts_with("//!") && !line.starts_with("///");
        !line.is_empty() && !plain
    };
    code.lines().map(str::trim).filter(counts)
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    const PATH: &str = "crates/codec/src/varint.rs";

    fn of(text: &str) -> String {
        hash(&[source(PATH, text)])
    }

    #[test]
    fn a_change_of_the_format_is_caught() {
        let before = of("//! Doc.\nconst HEADER_LEN: usize = 96;\n");
        let after = of("//! Doc.\nconst HEADER_LEN: usize = 97;\n");
        let page = format!("# Formats\n\n{LABEL}{before}\n");
        assert_eq!(check_page(&page, &before), None);
        let fault = check_page(&page, &after).expect("caught");
        assert!(fault.contains("--bless-format"), "{fault}");
        assert!(check_page("# Formats\n", &before).is_some(), "a page without the line");
    }

    #[test]
    fn only_what_bears_meaning_counts() {
        let plain = of("//! Doc.\nconst A: u8 = 1;\n");
        assert_eq!(plain, of("//! Doc.\n\n// Why.\nconst A: u8 = 1;\n"));
        assert_eq!(plain, of("//! Doc.\nconst A: u8 = 1;\n\n#[cfg(test)]\nmod tests {\n}\n"));
        assert_ne!(plain, of("//! Other table.\nconst A: u8 = 1;\n"));
        assert_eq!(of("a"), hash(&[source(PATH, "a"), source("crates/ctl/src/main.rs", "b")]));
    }

    #[test]
    fn blessing_replaces_the_line_or_adds_it() {
        assert_eq!(blessed("# F\n", "ab"), "# F\n\nformat-hash: ab\n");
        assert_eq!(blessed("# F\nformat-hash: ab\nend\n", "cd"), "# F\nformat-hash: cd\nend\n");
        assert_eq!(check_page(&blessed("# F\n", "ab"), "ab"), None);
    }

    #[test]
    fn a_format_file_that_moved_is_caught() {
        assert_eq!(missing(&[]).len(), FORMAT_SOURCES.len());
        assert_eq!(missing(&[source(PATH, "")]).len(), FORMAT_SOURCES.len() - 1);
    }
}
