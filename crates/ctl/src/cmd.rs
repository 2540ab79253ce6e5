//! The commands.

mod check;
mod read;
mod repair;
mod tour;
mod write;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use cairndb::prelude::*;
use cairndb::vfs::StdVfs;

use crate::cli::{Cli, Command};

/// Runs the command.
pub fn run(cli: &Cli) -> Result<()> {
    let out = &mut std::io::stdout().lock();
    match &cli.command {
        Command::Tour => tour::run(out),
        Command::Import(args) => write::import(cli, args, out),
        Command::Append(args) => write::append(cli, args, out),
        Command::Read(args) => read::read(cli, args, out),
        Command::Tail(args) => read::tail(cli, args, out),
        Command::Topics => read::topics(cli, out),
        Command::Groups => read::groups(cli, out),
        Command::Export { topic } => read::export(cli, topic, out),
        Command::Verify => check::verify(cli, out),
        Command::Stats => check::stats(cli, out),
        Command::Inspect(args) => check::inspect(cli, args, out),
        Command::Repair { yes } => repair::run(cli, *yes, out),
        Command::Doctor => check::doctor(cli, out),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::grammar(), "cairn", out);
            Ok(())
        }
        Command::Man => Ok(clap_mangen::Man::new(Cli::grammar()).render(out)?),
    }
}

/// Opens the store for writing.
fn open(cli: &Cli) -> Result<Engine> {
    let config = LogConfig { durability: cli.durability, ..LogConfig::default() };
    let engine = Engine::open_with(&cli.store, config)
        .with_context(|| format!("opening {}", cli.store.display()))?;
    let report = engine.log().recovery_report();
    if let (Some((segment, position)), Some(cause)) = (report.cut_at, &report.cut_cause) {
        let len = report.cut_len;
        anstream::eprintln!(
            "cairn: recovered: cut {len} bytes that were never acknowledged at byte {position} of segment {segment} ({cause})"
        );
    }
    Ok(engine)
}

/// Opens the store for reading, beside a process that may be writing it.
fn open_read_only(cli: &Cli) -> Result<Engine> {
    Engine::open_read_only(&cli.store).with_context(|| format!("opening {}", cli.store.display()))
}

fn vfs(cli: &Cli) -> Result<Arc<StdVfs>> {
    let vfs =
        StdVfs::open(&cli.store).with_context(|| format!("opening {}", cli.store.display()))?;
    Ok(Arc::new(vfs))
}

fn line(out: &mut impl Write, text: impl std::fmt::Display) -> Result<()> {
    Ok(writeln!(out, "{text}")?)
}
