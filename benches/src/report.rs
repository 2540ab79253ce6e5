//! The three files of a table: one for people, one for programs, one to look at.

use crate::measure::{Row, Spread};
use crate::options::Kind;
use crate::part::Part;
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
| work | other | what it promises | other | Cairn | ratio | bar |
|---|---|---|---|---|---|---|
";

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Logs => "Cairn beside other logs",
        Kind::Stores => "Cairn beside other key-value engines",
        Kind::Table => "The work of redb's published table",
        Kind::Space => "Memory, disk and opening after a kill",
        Kind::Proofs => "Trees beside other trees",
        Kind::Seeds => "The headline work of the five seeds",
        Kind::Report => "Joined",
    }
}

impl Part {
    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n", title(self.kind));
        let mut facts = self.facts.iter().peekable();
        while let Some((name, value)) = facts.next() {
            let _ = write!(out, "- {name}: {value}");
            while let Some((_, more)) = facts.next_if(|(next, _)| next == name) {
                let _ = write!(out, "; {more}");
            }
            out.push('\n');
        }
        let measured = || self.rows.iter().map(|row| row.rounds.len()).filter(|count| *count > 0);
        let (least, most) = (measured().min().unwrap_or(0), measured().max().unwrap_or(0));
        let rounds = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let _ = writeln!(
            out,
            "- rounds: {rounds}\n\nFigures are per second where nothing else stands, the middle \
             of all rounds (least - greatest). Each row is a pair: Cairn and the other took turns, \
             and the ratio is the middle of the rounds' ratios. Above 1 Cairn is better: faster, \
             or smaller where less is better.\n\n![bars]({}.svg)\n",
            self.name
        );
        out.push_str(&self.glance());
        out.push_str("\n## Pair by pair\n\n");
        out.push_str(HEAD);
        for row in &self.rows {
            let _ = writeln!(out, "{}", line(row));
        }
        out.push('\n');
        out.push_str(&self.promises());
        out.push_str(&self.summary());
        out
    }

    /// One line for each kind of work, one column for each engine.
    fn glance(&self) -> String {
        let works = distinct(self.rows.iter().map(|row| row.work.as_str()));
        let bases = distinct(self.rows.iter().map(|row| row.base.as_str()));
        let others = self.rows.iter().filter(|row| row.log != "-").map(|row| row.log.as_str());
        let others = distinct(others);
        let mut out = String::from("## At a glance\n\n");
        out.push_str("Others: their figure and, in brackets, how many times better Cairn was.\n\n");
        let columns: Vec<&str> =
            ["work"].into_iter().chain(bases.clone()).chain(others.clone()).collect();
        let _ = writeln!(out, "| {} |", columns.join(" | "));
        let _ = writeln!(out, "|{}", "---|".repeat(columns.len()));
        for work in works {
            let of_work = || self.rows.iter().filter(|row| row.work == work);
            let unit = of_work().find(|row| row.less).map(|row| format!(", {}", row.unit));
            let _ = write!(out, "| {work}{} |", unit.unwrap_or_default());
            for base in &bases {
                let rounds = of_work().filter(|row| row.base == *base).flat_map(|row| &row.rounds);
                let spread = Spread::of(rounds.map(|(cairn, _)| *cairn));
                let _ =
                    write!(out, " {} |", spread.map_or_else(|| "-".into(), |s| short(s.median)));
            }
            for other in &others {
                let found = of_work().find(|row| row.log == *other);
                let _ = write!(out, " {} |", found.map_or_else(|| "-".into(), brief));
            }
            out.push('\n');
        }
        out
    }

    /// What Cairn promised in the rows above.
    fn promises(&self) -> String {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for row in &self.rows {
            if !seen.contains(&(&row.base, &row.base_promise)) {
                seen.push((&row.base, &row.base_promise));
            }
        }
        let mut out = String::from("What Cairn promises in these rows:\n\n");
        for (base, promise) in seen {
            let _ = writeln!(out, "- {base}: {promise}");
        }
        out.push('\n');
        out
    }

    fn summary(&self) -> String {
        let count = |wanted| self.rows.iter().filter(|row| row.reached() == Some(wanted)).count();
        let (reached, missed) = (count(true), count(false));
        let mut out = format!("Bars reached: {reached} of {}.\n", reached + missed);
        for row in self.rows.iter().filter(|row| row.reached() == Some(false)) {
            let ratio = row.ratio().map_or(0.0, |ratio| ratio.median);
            let bar = row.bar.unwrap_or(1.0);
            let _ = writeln!(out, "- missed: {}, {}: {ratio:.2} of {bar}", row.work, row.log);
        }
        let mut limits = Vec::new();
        for row in &self.rows {
            if let (Some(within), Some(limit), Some(cairn)) = (row.within(), row.limit, row.cairn())
                && !limits.contains(&&row.work)
            {
                limits.push(&row.work);
                let (figure, unit) = (short(cairn.median), &row.unit);
                let kept = if within { "kept" } else { "**missed**" };
                let side = if row.less { "at most" } else { "at least" };
                let _ = writeln!(
                    out,
                    "- limit {kept}: {}: {figure} {unit}, {side} {limit} beside {}",
                    row.work, row.log
                );
            }
        }
        for row in self.rows.iter().filter(|row| row.failure.is_some() && !row.not_offered) {
            let reason = row.failure.as_deref().unwrap_or("");
            let _ = writeln!(out, "- failed: {}, {}: {}", row.work, row.log, cell(reason));
        }
        out
    }

    /// Writes the three files.
    pub fn write_report(&self, out: &Path) -> Result<()> {
        std::fs::create_dir_all(out)?;
        let name = &self.name;
        std::fs::write(out.join(format!("{name}.md")), self.markdown())?;
        std::fs::write(out.join(format!("{name}.csv")), self.csv())?;
        let picture = crate::svg::bars(title(self.kind), &self.rows);
        std::fs::write(out.join(format!("{name}.svg")), picture)?;
        eprintln!("written to {}/{name}.md, .csv and .svg", out.display());
        Ok(())
    }
}

/// Each item once, in the order of their first appearance.
pub fn distinct<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    items.for_each(|item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
    });
    seen
}

/// A pair in a few characters.
fn brief(row: &Row) -> String {
    match (&row.failure, row.other(), row.ratio()) {
        (Some(_), _, _) if row.not_offered => "not offered".into(),
        (Some(_), _, _) => "**failed**".into(),
        (None, Some(other), Some(ratio)) => {
            let times = if ratio.median < 100.0 { 2 } else { 0 };
            format!("{} ({:.times$})", short(other.median), ratio.median)
        }
        _ => "-".into(),
    }
}

fn line(row: &Row) -> String {
    let Row { work, unit, log, promise, base, .. } = row;
    let cairn = row.cairn().map_or_else(|| "-".into(), figures);
    let other = match (&row.failure, row.other()) {
        (Some(reason), _) if row.not_offered => format!("not offered: {}", cell(reason)),
        (Some(reason), _) => format!("**failed: {}**", cell(reason)),
        (None, Some(spread)) => format!("{} {unit}", figures(spread)),
        (None, None) => "-".into(),
    };
    let note = row.note.as_deref().map_or_else(String::new, |note| format!("; {}", cell(note)));
    let ratio = row.ratio().map_or_else(
        || "-".into(),
        |Spread { min, median, max }| format!("{median:.2} ({min:.2} - {max:.2})"),
    );
    let bar = match (row.bar, row.reached()) {
        (Some(bar), Some(true)) => format!("{bar}: yes"),
        (Some(bar), Some(false)) => format!("{bar}: **no**"),
        _ => "-".into(),
    };
    format!("| {work} | {log} | {promise} | {other}{note} | {base}: {cairn} | {ratio} | {bar} |")
}

fn figures(spread: Spread) -> String {
    let Spread { min, median, max } = spread;
    format!("{} ({} - {})", short(median), short(min), short(max))
}

/// A figure in a few characters.
pub fn short(figure: f64) -> String {
    match figure {
        f if f >= 1e6 => format!("{:.2} M", f / 1e6),
        f if f >= 1e5 => format!("{:.0} K", f / 1e3),
        f if f >= 1e3 => format!("{:.1} K", f / 1e3),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}
