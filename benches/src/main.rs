//! Runs the same work on Cairn and on other engines, side by side, and reports the ratios.
//! Nothing here is part of the product; what it measures is rebuilt in every run.
#![deny(unsafe_code)]

#[cfg(feature = "kv")]
mod kv;
mod log;
mod machine;
mod measure;
mod options;
mod payload;
mod report;

use anyhow::{Result, bail};
use measure::Row;
use options::{Kind, Options};

fn main() -> Result<()> {
    let Some(options) = Options::from_arguments(std::env::args().skip(1))? else {
        println!("{}", options::USAGE);
        return Ok(());
    };
    std::fs::create_dir_all(&options.dir)?;
    if machine::file_system(&options.dir) == "tmpfs" {
        bail!("{} lies in memory: syncs would be free; choose --dir", options.dir.display());
    }
    let mut facts = machine::facts(&options.dir)?;
    let rows = match options.kind {
        Kind::Logs => log::run(&options)?,
        Kind::Stores => stores(&options)?,
    };
    facts.extend(machine::facts_after(&options.dir)?);
    let report = report::Report { facts: &facts, options: &options, rows: &rows };
    print!("{}", report.markdown());
    report.write()
}

#[cfg(feature = "kv")]
fn stores(options: &Options) -> Result<Vec<Row>> {
    kv::run(options)
}

#[cfg(not(feature = "kv"))]
fn stores(_: &Options) -> Result<Vec<Row>> {
    bail!("built without key-value engines: use `cargo xtask versus kv`, or --features kv")
}
