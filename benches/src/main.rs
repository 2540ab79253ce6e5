//! Runs the same log work on Cairn and on other logs, side by side, and reports ratios.

mod machine;
mod peers;
mod report;
mod workload;

use anyhow::{Context, Result, bail};
use report::{Cell, Row};
use std::path::PathBuf;
use std::time::Duration;
use workload::Sizes;

const USAGE: &str = "\
usage: cairn-versus [--quick] [--rounds N] [--payload BYTES] [--records N] [--budget-ms N]
                    [--dir DIR] [--out DIR] [--only LOG[,LOG..]] [--work WORDS]
--quick is one round of 60 ms. A figure takes --budget-ms (200) in each of --rounds (5); --records (100000) are read.
--only keeps Cairn and the logs named; --work keeps rows whose name holds the words.
Data lies below --dir (.) and is removed; versus-log.md and .csv go to --out
(docs/benchmarks).";

struct Options {
    rounds: usize,
    sizes: Sizes,
    dir: PathBuf,
    out: PathBuf,
    only: Option<String>,
    work: String,
}

fn options() -> Result<Option<Options>> {
    let sizes =
        Sizes { payload_len: 100, record_count: 100_000, budget: Duration::from_millis(200) };
    let mut options = Options {
        rounds: 5,
        sizes,
        dir: ".".into(),
        out: "docs/benchmarks".into(),
        only: None,
        work: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        if flag == "--help" || flag == "-h" {
            return Ok(None);
        }
        if flag == "--quick" {
            options.rounds = 1;
            options.sizes.budget = Duration::from_millis(60);
            continue;
        }
        let value = arguments.next().with_context(|| format!("{flag} needs a value\n{USAGE}"))?;
        match flag.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--payload" => options.sizes.payload_len = value.parse()?,
            "--records" => options.sizes.record_count = value.parse()?,
            "--budget-ms" => options.sizes.budget = Duration::from_millis(value.parse()?),
            "--dir" => options.dir = value.into(),
            "--out" => options.out = value.into(),
            "--only" => options.only = Some(value),
            "--work" => options.work = value,
            _ => bail!("{flag} is not known\n{USAGE}"),
        }
    }
    if options.rounds == 0 || options.sizes.record_count < 1000 {
        bail!("at least one round and 1000 records\n{USAGE}");
    }
    // Batches have 1,000 records: the log that is read holds whole ones.
    options.sizes.record_count -= options.sizes.record_count % 1000;
    Ok(Some(options))
}

fn main() -> Result<()> {
    let Some(options) = options()? else {
        println!("{USAGE}");
        return Ok(());
    };
    if machine::file_system(&options.dir) == "tmpfs" {
        bail!("{} lies in memory: syncs would be free; choose --dir", options.dir.display());
    }
    let facts = machine::facts(&options.dir);
    let mut peers = peers::all();
    if let Some(only) = &options.only {
        peers.retain(|peer| peer.name == "cairn" || only.split(',').any(|name| name == peer.name));
    }
    let chosen = workload::ALL.into_iter().filter(|work| work.name().contains(&options.work));
    let mut rows = Vec::new();
    for workload in chosen {
        eprintln!("{}", workload.name());
        rows.push(measure(workload, &peers, &options)?);
    }
    let markdown = report::markdown(&facts, &options.sizes, options.rounds, &peers, &rows);
    print!("{markdown}");
    report::write(&options.out, &markdown, &report::csv(&peers, &rows))
}

/// All rounds of one workload; within a round every log has its turn.
fn measure(workload: workload::Workload, peers: &[peers::Peer], options: &Options) -> Result<Row> {
    let cell = |_: &peers::Peer| Cell { rates: Vec::new(), failure: None };
    let mut cells: Vec<Cell> = peers.iter().map(cell).collect();
    for _ in 0..options.rounds {
        for (peer, cell) in peers.iter().zip(&mut cells) {
            let able = !workload.appends() || peer.label(workload.level()).is_some();
            if !able || cell.failure.is_some() {
                continue;
            }
            let dir = tempfile::Builder::new().prefix("versus-").tempdir_in(&options.dir)?;
            match workload.run(peer, &dir.path().join("log"), &options.sizes) {
                Ok(rate) => cell.rates.push(rate),
                Err(error) => cell.failure = Some(format!("{error:#}")),
            }
        }
    }
    Ok(Row { workload, cells })
}
