//! Medians, ratios, and the two files a run leaves.

use crate::peers::Peer;
use crate::workload::{Sizes, Workload};
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;

/// All rounds of one log at one workload.
pub struct Cell {
    pub rates: Vec<f64>,
    /// Why there is no figure.
    pub failure: Option<String>,
}

impl Cell {
    /// Median, least and greatest rate.
    pub fn spread(&self) -> Option<(f64, f64, f64)> {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        let middle = rates.len() / 2;
        let median = if rates.len() % 2 == 1 {
            *rates.get(middle)?
        } else {
            (rates.get(middle)? + rates.get(middle.checked_sub(1)?)?) / 2.0
        };
        Some((median, *rates.first()?, *rates.last()?))
    }
}

/// The cells of one workload, in the order of the peers, Cairn first.
pub struct Row {
    pub workload: Workload,
    pub cells: Vec<Cell>,
}

/// The report as Markdown.
pub fn markdown(
    facts: &[(&str, String)],
    sizes: &Sizes,
    rounds: usize,
    peers: &[Peer],
    rows: &[Row],
) -> String {
    let mut out = String::from("# Cairn beside other logs\n\n");
    for (name, value) in facts {
        let _ = writeln!(out, "- {name}: {value}");
    }
    let _ = writeln!(
        out,
        "- {} B payloads, {} records in the log that is read, {} ms a figure, {rounds} rounds; \
         median (least - greatest); the logs alternate within each round\n\n\
         Ratio: Cairn's median by the peer's; above 1 Cairn is faster.\n",
        sizes.payload_len,
        sizes.record_count,
        sizes.budget.as_millis()
    );
    out.push_str(
        "| work | log | acknowledged means | per second | ratio |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let base = row.cells.first().and_then(Cell::spread).map(|spread| spread.0);
        for (peer, cell) in peers.iter().zip(&row.cells) {
            let label = if row.workload.appends() {
                peer.label(row.workload.level()).unwrap_or("-")
            } else {
                ""
            };
            let (figure, ratio) = figures(cell, base);
            let (name, unit) = (row.workload.name(), row.workload.unit());
            let _ =
                writeln!(out, "| {name} | {} | {label} | {figure} {unit} | {ratio} |", peer.name);
        }
    }
    out
}

fn figures(cell: &Cell, base: Option<f64>) -> (String, String) {
    if let Some(failure) = &cell.failure {
        return (format!("**none: {}**", failure.replace('|', "/")), "-".into());
    }
    let Some((median, least, greatest)) = cell.spread() else { return ("-".into(), "-".into()) };
    let ratio = base.map_or_else(|| "-".into(), |base| format!("{:.2}", base / median));
    (format!("{} ({} - {})", short(median), short(least), short(greatest)), ratio)
}

fn short(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e4 => format!("{:.0} K", r / 1e3),
        r if r >= 1e3 => format!("{:.1} K", r / 1e3),
        r => format!("{r:.1}"),
    }
}

/// The same figures, one a line, for programs.
pub fn csv(peers: &[Peer], rows: &[Row]) -> String {
    let mut out = String::from("workload,unit,log,median,min,max,failure\n");
    for row in rows {
        for (peer, cell) in peers.iter().zip(&row.cells) {
            let spread = cell.spread().map_or_else(String::new, |(median, least, greatest)| {
                format!("{median:.1},{least:.1},{greatest:.1}")
            });
            let spread = if spread.is_empty() { ",,".into() } else { spread };
            let failure = cell.failure.as_deref().unwrap_or("").replace('"', "'");
            let (name, unit) = (row.workload.name(), row.workload.unit());
            let _ = writeln!(out, "\"{name}\",{unit},{},{spread},\"{failure}\"", peer.name);
        }
    }
    out
}

/// Writes both files.
pub fn write(out: &Path, markdown: &str, csv: &str) -> Result<()> {
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("versus-log.md"), markdown)?;
    std::fs::write(out.join("versus-log.csv"), csv)?;
    Ok(())
}
