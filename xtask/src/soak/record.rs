//! The page that keeps count of what campaigns did.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

const RECORD: &str = "docs/reliability-record.md";

/// What became of a lane.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Counts, and how many promises were broken.
    Ran { counts: String, violations: u64 },
    /// Why not.
    Skipped(String),
}

/// Adds a line for a lane that ran what was built from a commit.
pub fn add(commit: &str, lane: &str, took: Duration, outcome: &Outcome) -> Result<()> {
    let date = answer("date", &["-u", "+%F"])?;
    let row = row(&date, commit, lane, took, outcome);
    // Read late: another lane may have been recorded meanwhile.
    let page = std::fs::read_to_string(RECORD).context(RECORD)?;
    std::fs::write(RECORD, with_row(&page, &row)).context(RECORD)
}

/// The page with a row more in its last table.
fn with_row(page: &str, row: &str) -> String {
    let end = match page.rfind("\n|") {
        Some(begin) => page[begin + 1..].find('\n').map_or(page.len(), |len| begin + len + 2),
        None => page.len(),
    };
    let (before, after) = page.split_at(end);
    format!("{before}{row}{after}")
}

fn row(date: &str, commit: &str, lane: &str, took: Duration, outcome: &Outcome) -> String {
    let minutes = took.as_secs_f64() / 60.0;
    let (counts, violations) = match outcome {
        Outcome::Ran { counts, violations } => (counts.clone(), violations.to_string()),
        Outcome::Skipped(why) => (format!("skipped: {}", why.replace('|', "/")), "-".to_owned()),
    };
    format!("| {date} | {commit} | {lane} | {minutes:.1} | {counts} | {violations} |\n")
}

/// The commit, with a `+` when the tree held more than that.
pub fn commit() -> Result<String> {
    let commit = answer("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = answer("git", &["status", "--porcelain", "--", ".", ":!docs"])?;
    Ok(if changed.is_empty() { commit } else { format!("{commit}+") })
}

fn answer(program: &str, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_added_to_the_last_table_and_what_follows_stays() {
        let page = "# Head\n\n| a |\n|---|\n| 1 |\n\nBelow.\n";
        assert_eq!(with_row(page, "| 2 |\n"), "# Head\n\n| a |\n|---|\n| 1 |\n| 2 |\n\nBelow.\n");
        assert_eq!(with_row("# Head\n", "| 1 |\n"), "# Head\n| 1 |\n");
    }

    #[test]
    fn a_lane_that_did_not_run_is_recorded_with_its_reason() {
        let took = Duration::from_secs(90);
        let ran = Outcome::Ran { counts: "5 crashes".into(), violations: 0 };
        let line = row("2026-11-21", "abc+", "keys", took, &ran);
        assert_eq!(line, "| 2026-11-21 | abc+ | keys | 1.5 | 5 crashes | 0 |\n");
        let line =
            row("2026-11-21", "abc", "cuts", Duration::ZERO, &Outcome::Skipped("a|b".into()));
        assert_eq!(line, "| 2026-11-21 | abc | cuts | 0.0 | skipped: a/b | - |\n");
    }
}
