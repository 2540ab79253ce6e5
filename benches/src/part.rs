//! What one run found, as a file that a later report joins with others: facts about the run and
//! every figure of every round. Nothing is lost between a run and its report.

use crate::measure::{Row, Spread};
use crate::options::Kind;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A name and a value.
pub type Fact = (String, String);

const COLUMNS: [&str; 23] = [
    "work",
    "unit",
    "log",
    "promise",
    "median",
    "min",
    "max",
    "cairn",
    "cairn_promise",
    "cairn_median",
    "cairn_min",
    "cairn_max",
    "ratio_median",
    "ratio_min",
    "ratio_max",
    "bar",
    "limit",
    "less_is_better",
    "rounds",
    "state",
    "reason",
    "note",
    "figures",
];

/// The rows of one table, of one run or of several.
#[derive(Debug, Clone)]
pub struct Part {
    pub kind: Kind,
    /// Of the table and its files.
    pub name: String,
    pub facts: Vec<Fact>,
    pub rows: Vec<Row>,
}

impl Part {
    /// Comments with the facts, then one pair a line, the figures of its rounds at the end.
    pub fn csv(&self) -> String {
        let mut out = format!("# table: {}\n# kind: {}\n", self.name, self.kind.word());
        for (name, value) in &self.facts {
            let _ = writeln!(out, "# {name}: {}", value.replace('\n', " "));
        }
        let _ = writeln!(out, "{}", COLUMNS.join(","));
        for row in &self.rows {
            let _ = writeln!(out, "{}", line(row));
        }
        out
    }

    /// Reads what `csv` wrote.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut facts, mut rows) = (Vec::new(), Vec::new());
        let (mut kind, mut name) = (None, None);
        for text in text.lines() {
            if let Some(fact) = text.strip_prefix("# ") {
                let (key, value) = fact.split_once(": ").context("a fact without a value")?;
                match key {
                    "table" => name = Some(value.to_owned()),
                    "kind" => kind = Some(Kind::of_word(value).context("an unknown kind")?),
                    _ => facts.push((key.to_owned(), value.to_owned())),
                }
            } else if !text.starts_with("work,") {
                rows.push(parse_line(text).with_context(|| text.to_owned())?);
            }
        }
        let (kind, name) = (kind.context("no kind")?, name.context("no name of a table")?);
        Ok(Self { kind, name, facts, rows })
    }

    /// Takes in another run of the same table: new rows come behind, rounds of known rows are added.
    pub fn join(&mut self, other: Self) {
        for fact in other.facts {
            if !self.facts.contains(&fact) {
                let behind = self.facts.iter().rposition(|(name, _)| *name == fact.0);
                self.facts.insert(behind.map_or(self.facts.len(), |at| at + 1), fact);
            }
        }
        for row in other.rows {
            let same = |known: &&mut Row| {
                (&known.work, &known.log, &known.base) == (&row.work, &row.log, &row.base)
            };
            match self.rows.iter_mut().find(same) {
                Some(known) => {
                    known.rounds.extend(&row.rounds);
                    known.failure = known.failure.take().or(row.failure);
                    known.note = row.note.or(known.note.take());
                }
                None => self.rows.push(row),
            }
        }
    }

    /// Writes it under the next free number; with `fresh` what earlier runs of the table left goes.
    pub fn write(&self, out: &Path, fresh: bool) -> Result<()> {
        let dir = out.join("parts");
        std::fs::create_dir_all(&dir)?;
        let known = files(&dir, Some(&self.name))?;
        if fresh {
            known.iter().try_for_each(std::fs::remove_file)?;
        }
        let number = if fresh { 1 } else { known.len() + 1 };
        let path = dir.join(format!("{}.{number:03}.csv", self.name));
        std::fs::write(&path, self.csv())?;
        eprintln!("written to {}", path.display());
        Ok(())
    }
}

/// Every table whose parts lie in a directory, or the named one.
pub fn read_all(out: &Path, name: Option<&str>) -> Result<Vec<Part>> {
    let mut tables: Vec<Part> = Vec::new();
    for path in files(&out.join("parts"), name)? {
        let text = std::fs::read_to_string(&path)?;
        let part = Part::parse(&text).with_context(|| path.display().to_string())?;
        match tables.iter_mut().find(|table| table.name == part.name) {
            Some(table) => table.join(part),
            None => tables.push(part),
        }
    }
    Ok(tables)
}

/// The files of parts in the order they were written, of one table or of all.
fn files(dir: &Path, name: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let stem = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let Some((table, _)) = stem.strip_suffix(".csv").and_then(|stem| stem.rsplit_once('.'))
        else {
            continue;
        };
        if name.is_none_or(|name| name == table) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn line(row: &Row) -> String {
    let state = match (&row.failure, row.not_offered) {
        (None, _) => "measured",
        (Some(_), true) => "not offered",
        (Some(_), false) => "failed",
    };
    let number = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
    let figures: Vec<String> =
        row.rounds.iter().map(|(cairn, other)| format!("{cairn:.4}/{other:.4}")).collect();
    let fields = [
        quoted(&row.work),
        quoted(&row.unit),
        quoted(&row.log),
        quoted(&row.promise),
        spread(row.other(), 3),
        quoted(&row.base),
        quoted(&row.base_promise),
        spread(row.cairn(), 3),
        spread(row.ratio(), 3),
        number(row.bar),
        number(row.limit),
        row.less.to_string(),
        row.rounds.len().to_string(),
        state.to_owned(),
        quoted(row.failure.as_deref().unwrap_or("")),
        quoted(row.note.as_deref().unwrap_or("")),
        quoted(&figures.join(";")),
    ];
    fields.join(",")
}

fn parse_line(text: &str) -> Result<Row> {
    let fields = fields(text);
    if fields.len() != COLUMNS.len() {
        bail!("{} columns instead of {}", fields.len(), COLUMNS.len());
    }
    let field = |name: &str| {
        let at = COLUMNS.iter().position(|column| *column == name).expect("a known column");
        fields[at].clone()
    };
    let number = |name: &str| -> Result<Option<f64>> {
        let text = field(name);
        Ok(if text.is_empty() { None } else { Some(text.parse()?) })
    };
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let mut rounds = Vec::new();
    for pair in field("figures").split(';').filter(|pair| !pair.is_empty()) {
        let (cairn, other) = pair.split_once('/').context("a round has two figures")?;
        rounds.push((cairn.parse()?, other.parse()?));
    }
    Ok(Row {
        work: field("work"),
        unit: field("unit"),
        log: field("log"),
        promise: field("promise"),
        base: field("cairn"),
        base_promise: field("cairn_promise"),
        rounds,
        failure: some(field("reason")),
        not_offered: field("state") == "not offered",
        note: some(field("note")),
        less: field("less_is_better") == "true",
        bar: number("bar")?,
        limit: number("limit")?,
    })
}

/// Splits a line at its commas, but not within quotes, which are taken off.
fn fields(text: &str) -> Vec<String> {
    let (mut fields, mut field, mut within) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => within = !within,
            ',' if !within => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

fn spread(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        || ",,".into(),
        |Spread { min, median, max }| format!("{median:.digits$},{min:.digits$},{max:.digits$}"),
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "'").replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::{Part, Row};
    use crate::options::Kind;

    fn part(rounds: &[(f64, f64)]) -> Part {
        let mut row = Row::new("a, b", "keys", ("x", Ok("synced")), ("y", "synced, too"));
        row.rounds = rounds.to_vec();
        row.bar = Some(1.5);
        row.note = Some("a 'note'".into());
        let facts = vec![("kernel".into(), "6: 1".into())];
        Part { kind: Kind::Stores, name: "versus-kv".into(), facts, rows: vec![row] }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let part = part(&[(1.25, 2.5), (3.0, 4.0)]);
        let read = Part::parse(&part.csv()).expect("as written");
        assert_eq!((read.name, read.facts, read.rows), (part.name, part.facts, part.rows));
    }

    #[test]
    fn runs_of_the_same_table_add_up() {
        let mut all = part(&[(1.0, 2.0)]);
        all.join(part(&[(3.0, 4.0)]));
        assert_eq!(all.rows.len(), 1);
        assert_eq!(all.rows[0].rounds, [(1.0, 2.0), (3.0, 4.0)]);
        assert_eq!(all.facts.len(), 1);
    }
}
