//! The two files a run leaves: one for people, one for programs.

use crate::machine::Fact;
use crate::measure::{Row, Spread};
use crate::options::{Kind, Options};
use anyhow::Result;
use std::fmt::Write as _;

/// Everything that is reported.
pub struct Report<'a> {
    pub facts: &'a [Fact],
    pub options: &'a Options,
    pub rows: &'a [Row],
}

const HEAD: &str = "\
| work | other | what it promises | other | Cairn | ratio | bar |
|---|---|---|---|---|---|---|
";

impl Report<'_> {
    fn others(&self) -> &'static str {
        match self.options.kind {
            Kind::Logs => "logs",
            Kind::Stores => "key-value engines",
        }
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("# Cairn beside other {}\n\n", self.others());
        for (name, value) in self.facts {
            let _ = writeln!(out, "- {name}: {value}");
        }
        let Options { sizes, rounds, .. } = self.options;
        let amount = match self.options.kind {
            Kind::Logs => format!("{} records in the log that is read", sizes.record_count),
            Kind::Stores => format!("{} random keys of 16 B", sizes.key_count),
        };
        let _ = writeln!(
            out,
            "- {} B of random payload, batches of {}, {amount}, {} ms a figure, {rounds} rounds\n\n\
             Figures are per second, the middle of all rounds (least - greatest). Each row is a \
             pair: Cairn and the other took turns, and the ratio (Cairn by the other) is the \
             middle of the rounds' ratios. Above 1 Cairn is faster.\n",
            sizes.payload_len,
            sizes.batch_len,
            sizes.budget.as_millis()
        );
        out.push_str(&self.glance());
        out.push_str("\n## Pair by pair\n\n");
        out.push_str(HEAD);
        for row in self.rows {
            let _ = writeln!(out, "{}", line(row));
        }
        out.push('\n');
        out.push_str(&self.promises());
        out.push_str(&self.summary());
        out
    }

    /// One line for each kind of work, one column for each log.
    fn glance(&self) -> String {
        let works = distinct(self.rows.iter().map(|row| row.work.as_str()));
        let bases = distinct(self.rows.iter().map(|row| row.base));
        let others = self.rows.iter().filter(|row| row.bar.is_some()).map(|row| row.log);
        let others = distinct(others);
        let mut out = String::from("## At a glance\n\n");
        out.push_str("Others: their rate and, in brackets, how many times faster Cairn was.\n\n");
        let columns: Vec<&str> =
            ["work"].into_iter().chain(bases.clone()).chain(others.clone()).collect();
        let _ = writeln!(out, "| {} |", columns.join(" | "));
        let _ = writeln!(out, "|{}", "---|".repeat(columns.len()));
        for work in works {
            let of_work = || self.rows.iter().filter(|row| row.work == work);
            let _ = write!(out, "| {work} |");
            for base in &bases {
                let rounds = of_work().filter(|row| row.base == *base).flat_map(|row| &row.rounds);
                let spread = Spread::of(rounds.map(|(cairn, _)| *cairn));
                let _ =
                    write!(out, " {} |", spread.map_or_else(|| "-".into(), |s| short(s.median)));
            }
            for other in &others {
                let found = of_work().find(|row| row.log == *other && row.bar.is_some());
                let _ = write!(out, " {} |", found.map_or_else(|| "-".into(), brief));
            }
            out.push('\n');
        }
        out
    }

    /// What Cairn promised in the rows above.
    fn promises(&self) -> String {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for row in self.rows {
            if !seen.contains(&(row.base, row.base_promise)) {
                seen.push((row.base, row.base_promise));
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
        for row in self.rows.iter().filter(|row| row.failure.is_some() && !row.not_offered) {
            let reason = row.failure.as_deref().unwrap_or("");
            let _ = writeln!(out, "- failed: {}, {}: {}", row.work, row.log, cell(reason));
        }
        out
    }

    /// The same figures, one pair a line.
    pub fn csv(&self) -> String {
        let mut out = String::from(
            "work,unit,log,promise,median,min,max,cairn,cairn_promise,cairn_median,cairn_min,\
             cairn_max,ratio_median,ratio_min,ratio_max,bar,rounds,state,note\n",
        );
        for row in self.rows {
            let state = match (&row.failure, row.not_offered) {
                (None, _) => "measured",
                (Some(_), true) => "not offered",
                (Some(_), false) => "failed",
            };
            let notes = [row.failure.as_deref(), row.note.as_deref()];
            let note = notes.into_iter().flatten().collect::<Vec<_>>().join("; ");
            let bar = row.bar.map_or_else(String::new, |bar| bar.to_string());
            let fields = [
                quoted(&row.work),
                quoted(row.unit),
                quoted(row.log),
                quoted(row.promise),
                numbers(row.other(), 1),
                quoted(row.base),
                quoted(row.base_promise),
                numbers(row.cairn(), 1),
                numbers(row.ratio(), 3),
                bar,
                row.rounds.len().to_string(),
                state.to_owned(),
                quoted(&note),
            ];
            let _ = writeln!(out, "{}", fields.join(","));
        }
        out
    }

    /// Writes both files.
    pub fn write(&self) -> Result<()> {
        let out = &self.options.out;
        std::fs::create_dir_all(out)?;
        let name = match self.options.kind {
            Kind::Logs => "versus-log",
            Kind::Stores => "versus-kv",
        };
        std::fs::write(out.join(format!("{name}.md")), self.markdown())?;
        std::fs::write(out.join(format!("{name}.csv")), self.csv())?;
        eprintln!("written to {}/{name}.md and .csv", out.display());
        Ok(())
    }
}

fn distinct<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
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
    let cairn = row.cairn().map_or_else(|| "-".into(), rates);
    let other = match (&row.failure, row.other()) {
        (Some(reason), _) if row.not_offered => format!("not offered: {}", cell(reason)),
        (Some(reason), _) => format!("**failed: {}**", cell(reason)),
        (None, Some(spread)) => format!("{} {unit}", rates(spread)),
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

fn rates(spread: Spread) -> String {
    let Spread { min, median, max } = spread;
    format!("{} ({} - {})", short(median), short(min), short(max))
}

fn short(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e5 => format!("{:.0} K", r / 1e3),
        r if r >= 1e3 => format!("{:.1} K", r / 1e3),
        r => format!("{r:.1}"),
    }
}

fn numbers(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        || ",,".into(),
        |Spread { min, median, max }| format!("{median:.digits$},{min:.digits$},{max:.digits$}"),
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "'").replace('\n', " "))
}

fn cell(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}
