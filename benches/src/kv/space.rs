//! Memory during a load, bytes on the disk, opening after a kill: each engine in processes of
//! its own (see `child`).

use super::child::{Action, WORD};
use super::work::{disk_len, fresh_dir};
use super::{Peer, cairn};
use crate::measure::Row;
use crate::options::Options;
use crate::part::Fact;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a store is written to before it is killed.
const WRITING: Duration = Duration::from_millis(300);

/// What is measured of each engine, one figure a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    OwnMemory,
    Resident,
    LoadWritten,
    LoadDisk,
    CleanOpen,
    KilledOpen,
    ChurnWritten,
    ChurnDisk,
}

const ALL: [Work; 8] = [
    Work::OwnMemory,
    Work::Resident,
    Work::LoadWritten,
    Work::LoadDisk,
    Work::CleanOpen,
    Work::KilledOpen,
    Work::ChurnWritten,
    Work::ChurnDisk,
];

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::OwnMemory => "memory at most during the load, mapped files aside",
            Self::Resident => "memory at most during the load, mapped files too",
            Self::LoadWritten => "sent to the disk by the load",
            Self::LoadDisk => "on the disk after the load",
            Self::CleanOpen => "opening after a clean stop, with one get",
            Self::KilledOpen => "opening after a kill, with one get",
            Self::ChurnWritten => "sent to the disk by overwriting all and compacting",
            Self::ChurnDisk => "on the disk after overwriting all and compacting",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::LoadWritten | Self::ChurnWritten => "times the raw data",
            Self::CleanOpen | Self::KilledOpen => "ms",
            _ => "MB",
        }
    }

    /// What Cairn has to keep to, whatever the others do.
    fn limit(self, base: &str, raw: f64) -> Option<f64> {
        let is_ledger = base == cairn::peer().name;
        match self {
            Self::OwnMemory => Some(100.0),
            Self::CleanOpen => Some(20.0),
            Self::KilledOpen => Some(100.0),
            Self::LoadDisk => Some(raw * 1.5),
            // A ledger keeps both versions of every key.
            Self::ChurnDisk if is_ledger => Some(raw * 3.0),
            Self::ChurnDisk => Some(raw),
            Self::Resident | Self::LoadWritten | Self::ChurnWritten => None,
        }
    }
}

/// Every row, Cairn as a ledger and with the newest versions only.
pub fn run(options: &Options) -> Result<(Vec<Row>, Vec<Fact>)> {
    let bases = [cairn::peer(), cairn::latest_only()];
    let others = super::chosen(options)?;
    let works: Vec<Work> =
        ALL.into_iter().filter(|work| work.name().contains(&options.work)).collect();
    let sizes = &options.sizes;
    let raw = sizes.key_count as f64 * (16 + sizes.payload_len) as f64 / 1e6;
    let mut rows = Vec::new();
    for work in &works {
        for base in &bases {
            rows.extend(others.iter().map(|other| row(*work, base, other, raw)));
        }
    }
    for round in 0..options.rounds {
        eprintln!("space, round {}", round + 1);
        let mut found = HashMap::new();
        for peer in bases.iter().chain(&others) {
            found.insert(peer.name.to_owned(), Measured::of(peer, options, &works, raw));
        }
        for row in rows.iter_mut().filter(|row| row.failure.is_none()) {
            let figure = |name: &str| match &found[name] {
                Ok(measured) => Ok(measured.0[row.work.as_str()]),
                Err(error) => bail!("{error:#}"),
            };
            let (ours, theirs) = (figure(&row.base), figure(&row.log));
            row.record(ours, theirs);
        }
    }
    Ok((rows, vec![("raw data".into(), format!("{raw:.1} MB of keys and values"))]))
}

fn row(work: Work, base: &Peer, other: &Peer, raw: f64) -> Row {
    let base = (base.name, "written to the OS, synced at the end; revisions, chain and CRC");
    let mut row = Row::new(work.name(), work.unit(), (other.name, Ok(other.load)), base);
    row.less = true;
    row.limit = work.limit(&row.base, raw);
    row
}

/// The figures of one engine in one round, by the name of the work.
struct Measured(HashMap<&'static str, f64>);

impl Measured {
    fn of(peer: &Peer, options: &Options, works: &[Work], raw: f64) -> Result<Self> {
        let dir = fresh_dir(options)?;
        let store = dir.path().join("store");
        let mut figures = HashMap::new();
        let start = |action| start(peer, action, &store, options);
        let mut put = |work: Work, figure: f64| figures.insert(work.name(), figure);
        let load = said(start(Action::Load)?).context("the load")?;
        put(Work::OwnMemory, number(&load, "own_mb")?);
        put(Work::Resident, number(&load, "resident_mb")?);
        put(Work::LoadWritten, number(&load, "written")? / 1e6 / raw);
        put(Work::LoadDisk, disk_len(&store)? as f64 / 1e6);
        let is_wanted = |wanted: &[Work]| works.iter().any(|work| wanted.contains(work));
        if is_wanted(&[Work::CleanOpen, Work::KilledOpen]) {
            put(Work::CleanOpen, opened(start(Action::Open)?).context("opening")?);
            put(Work::KilledOpen, opened(start(Action::Open)?).context("opening after a kill")?);
        }
        if is_wanted(&[Work::ChurnWritten, Work::ChurnDisk]) {
            let churn = said(start(Action::Churn)?).context("overwriting and compacting")?;
            put(Work::ChurnWritten, number(&churn, "written")? / 1e6 / raw);
            put(Work::ChurnDisk, disk_len(&store)? as f64 / 1e6);
        }
        Ok(Self(figures))
    }
}

fn start(peer: &Peer, action: Action, store: &Path, options: &Options) -> Result<Child> {
    let sizes = &options.sizes;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([WORD, peer.name, action.word()]).arg(store);
    command.args([sizes.key_count.to_string(), sizes.payload_len.to_string()]);
    command.arg(sizes.batch_len.to_string());
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Everything a child prints until its end.
fn said(child: Child) -> Result<String> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How long a child took to open. Then it writes for a while and is killed.
fn opened(mut child: Child) -> Result<f64> {
    let mut line = String::new();
    let stdout = child.stdout.take().context("its output is piped")?;
    BufReader::new(stdout).read_line(&mut line)?;
    if line.is_empty() {
        return Err(said(child).err().context("it ended without a word")?);
    }
    std::thread::sleep(WRITING);
    child.kill()?;
    child.wait()?;
    number(&line, "open_ms")
}

fn number(text: &str, name: &str) -> Result<f64> {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(found.with_context(|| format!("it did not say {name}"))?.parse()?)
}
