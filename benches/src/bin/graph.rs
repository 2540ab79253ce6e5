//! A graph beside one laid out by hand on redb: the same edges, the same reads, the same promises,
//! in turn. Nothing here is part of the product; what it measures is rebuilt in every round.
#![deny(unsafe_code)]

#[path = "../graph/by_hand.rs"]
mod by_hand;
#[path = "../graph/cairn.rs"]
mod cairn;
#[path = "../machine.rs"]
mod machine;
#[path = "../measure.rs"]
#[allow(dead_code, reason = "the other program needs more of it")]
mod measure;
#[path = "../graph/report.rs"]
mod report;
#[path = "../graph/work.rs"]
mod work;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use report::Report;
use work::{Figures, Sizes};

const USAGE: &str = "cargo xtask versus graph [FLAGS]

  --edges N     edges, a tenth as many vertices (1000000)
  --rounds N    rounds; the one that begins changes (5)
  --dir DIR     where stores are made (target/versus)
  --out DIR     where the report goes (target/versus)";

struct Options {
    sizes: Sizes,
    rounds: usize,
    dir: PathBuf,
    out: PathBuf,
}

fn options() -> Result<Option<Options>> {
    let mut options = Options {
        sizes: Sizes { vertices: 100_000, edges: 1_000_000 },
        rounds: 5,
        dir: "target/versus".into(),
        out: "target/versus".into(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        if flag == "--help" {
            return Ok(None);
        }
        let value = words.next().with_context(|| format!("{flag} wants a value\n\n{USAGE}"))?;
        match flag.as_str() {
            "--edges" => {
                let edges: u64 = value.parse().context("--edges")?;
                options.sizes = Sizes { vertices: (edges / 10).max(1_000), edges };
            }
            "--rounds" => options.rounds = value.parse().context("--rounds")?,
            "--dir" => options.dir = value.into(),
            "--out" => options.out = value.into(),
            _ => bail!("there is no flag {flag}\n\n{USAGE}"),
        }
    }
    Ok(Some(options))
}

fn main() -> Result<()> {
    let Some(options) = options()? else {
        println!("{USAGE}");
        return Ok(());
    };
    std::fs::create_dir_all(&options.dir)?;
    if machine::file_system(&options.dir) == "tmpfs" {
        bail!("{} lies in memory: syncs would be free; choose --dir", options.dir.display());
    }
    let mut facts = machine::facts(&options.dir)?;
    let mut rounds: Vec<(Figures, Figures)> = Vec::new();
    for round in 0..options.rounds {
        let dir = tempfile::tempdir_in(&options.dir)?;
        let sizes = &options.sizes;
        let ours = || work::run(&mut cairn::open(&dir.path().join("cairn"))?, sizes);
        let by_hand = || work::run(&mut by_hand::open(&dir.path().join("by_hand"))?, sizes);
        let (ours, by_hand) = measure::in_turn(round, ours, by_hand);
        rounds.push((ours.context("Cairn")?, by_hand.context("redb")?));
        eprintln!("round {} of {}", round + 1, options.rounds);
    }
    facts.extend(machine::facts_after(&options.dir)?);
    let report = Report { facts: &facts, sizes: &options.sizes, rounds: &rounds };
    print!("{}", report.markdown());
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("versus-graph.md"), report.markdown())?;
    std::fs::write(options.out.join("versus-graph.csv"), report.csv())?;
    Ok(())
}
