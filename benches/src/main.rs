//! Runs the same work on Cairn and on other engines, side by side, and reports the ratios.
//! Nothing here is part of the product; what it measures is rebuilt in every run.
#![deny(unsafe_code)]

#[cfg(feature = "kv")]
mod kv;
mod log;
mod machine;
mod measure;
mod options;
mod part;
mod payload;
#[cfg(feature = "proof")]
mod proof;
mod report;
#[cfg(feature = "kv")]
mod seeds;
mod svg;

use anyhow::{Result, bail};
use measure::Row;
use options::{Kind, Options};
use part::{Fact, Part};

fn main() -> Result<()> {
    #[cfg(feature = "kv")]
    if kv::child::is_asked_for() {
        return kv::child::run(std::env::args().skip(2));
    }
    let Some(options) = Options::from_arguments(std::env::args().skip(1))? else {
        println!("{}", options::USAGE);
        return Ok(());
    };
    if options.kind == Kind::Report {
        return report(&options, options.name.as_deref());
    }
    std::fs::create_dir_all(&options.dir)?;
    if machine::file_system(&options.dir) == "tmpfs" {
        bail!("{} lies in memory: syncs would be free; choose --dir", options.dir.display());
    }
    let mut facts = machine::facts(&options.dir)?;
    facts.push(("sizes".into(), sizes(&options)));
    let (rows, found) = run(&options)?;
    facts.extend(found);
    facts.extend(machine::facts_after(&options.dir)?);
    let part = Part { kind: options.kind, name: options.name(), facts, rows };
    part.write(&options.out, !options.add)?;
    report(&options, Some(&part.name))
}

/// Joins the parts of one table, or of all, and writes and shows what they say.
fn report(options: &Options, name: Option<&str>) -> Result<()> {
    for table in part::read_all(&options.out, name)? {
        print!("{}", table.markdown());
        table.write_report(&options.out)?;
    }
    Ok(())
}

fn sizes(options: &Options) -> String {
    let sizes = &options.sizes;
    let amount = match options.kind {
        Kind::Logs => format!("{} records in the log that is read", sizes.record_count),
        Kind::Proofs => format!("{} leaves, {} keys", sizes.record_count, sizes.key_count),
        Kind::Seeds => "sizes stand in the rows".into(),
        Kind::Table => format!(
            "{} random keys of 16 B, {} single writes, {} batches, {} reads",
            sizes.key_count, sizes.write_count, sizes.batch_count, sizes.read_count
        ),
        _ => format!("{} random keys of 16 B", sizes.key_count),
    };
    format!(
        "{} B of random payload, batches of {}, {amount}, {} ms a figure",
        sizes.payload_len,
        sizes.batch_len,
        sizes.budget.as_millis()
    )
}

/// The rows, and what else was found.
fn run(options: &Options) -> Result<(Vec<Row>, Vec<Fact>)> {
    match options.kind {
        Kind::Logs => Ok((log::run(options)?, Vec::new())),
        #[cfg(feature = "kv")]
        Kind::Stores => Ok((kv::run(options)?, Vec::new())),
        #[cfg(feature = "kv")]
        Kind::Table => Ok((kv::table::run(options)?, Vec::new())),
        #[cfg(feature = "kv")]
        Kind::Space => kv::space::run(options),
        #[cfg(feature = "kv")]
        Kind::Seeds => Ok((seeds::run(options)?, Vec::new())),
        #[cfg(feature = "proof")]
        Kind::Proofs => Ok((proof::run(options)?, Vec::new())),
        _ => bail!("built without it: use `cargo xtask versus {}`", options.kind.word()),
    }
}
