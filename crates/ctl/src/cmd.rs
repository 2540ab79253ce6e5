//! The commands.

mod app_sessions;
mod auth;
mod backup;
mod bench;
mod cache;
mod check;
mod erase;
mod graph;
mod key;
mod keys;
mod lease;
pub mod lock;
mod proof;
mod read;
mod repair;
mod shell;
mod snapshot;
mod topics;
mod tour;
mod txn;
mod watching;
mod write;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use cairndb::codec::CodecRegistry;
use cairndb::engine::EngineOptions;
use cairndb::engine::auth::encryption_key;
use cairndb::prelude::*;
use cairndb::vfs::StdVfs;

use crate::cli::auth::Session;
use crate::cli::{Cli, Command};

/// Runs the command.
pub fn run(cli: &Cli) -> Result<()> {
    let out = &mut std::io::stdout().lock();
    if matches!(cli.command, Command::Shell) {
        return shell::run(cli, out);
    }
    run_into(cli, out)
}

/// Runs any command but the shell, printing to `out`.
fn run_into(cli: &Cli, out: &mut impl Write) -> Result<()> {
    match &cli.command {
        Command::Shell => Ok(()),
        Command::Tour => tour::run(out),
        Command::Import(args) => write::import(cli, args, out),
        Command::Append(args) => write::append(cli, args, out),
        Command::Read(args) => read::read(cli, args, out),
        Command::Tail(args) => read::tail(cli, args, out),
        Command::Topics { command } => topics::run(cli, command.as_ref(), out),
        Command::Maintain { reclaim } => topics::maintain(cli, *reclaim, out),
        Command::Groups => read::groups(cli, out),
        Command::Export { topic } => read::export(cli, topic, out),
        Command::Put(args) => keys::put(cli, args, out),
        Command::Get(args) => keys::get(cli, args, out),
        Command::Del(args) => keys::del(cli, args, out),
        Command::Scan(args) => keys::scan(cli, args, out),
        Command::Count(args) => keys::count(cli, args, out),
        Command::History(args) => keys::history(cli, args, out),
        Command::Watch(args) => watching::watch(cli, args, out),
        Command::Txn(args) => txn::txn(cli, args, out),
        Command::Lease(command) => lease::lease(cli, command, out),
        Command::Compact { revision, clean } => lease::compact(cli, *revision, *clean, out),
        Command::Lock(args) => lock::run(cli, args, out),
        Command::Cache(command) => cache::run(cli, command, out),
        Command::Keyspaces { command } => lease::keyspaces(cli, command.as_ref(), out),
        Command::Auth(command) => auth::auth(cli, command, out),
        Command::User(command) => auth::users::run(cli, command, out),
        Command::Role(command) => auth::roles::run(cli, command, out),
        Command::Apikey(command) => auth::api_keys::run(cli, command, out),
        Command::Session(Session::App(args)) => app_sessions::run(cli, args, out),
        Command::Session(command) => auth::sessions::run(cli, command, out),
        Command::Login(args) => auth::sessions::login(cli, args, out),
        Command::Key(command) => key::run(cli, command, out),
        Command::Audit(args) => auth::follow::run(cli, args, out),
        Command::Backup { dir } => backup::backup(cli, dir, out),
        Command::Restore(args) => backup::restore(cli, args, out),
        Command::Snapshot(command) => snapshot::run(cli, command, out),
        Command::Bench(args) => bench::run(cli, args, out),
        Command::Verify(args) => match &args.against {
            None => check::verify(cli, out),
            Some(note) => proof::verify_against(cli, args, note, out),
        },
        Command::Head => proof::head(cli, out),
        Command::Vkey(args) => proof::vkey(cli, args, out),
        Command::Checkpoint(args) => proof::checkpoint(cli, args, out),
        Command::Prove(args) => proof::prove(cli, args, out),
        Command::VerifyProof(args) => proof::verify_proof(cli, args, out),
        Command::Consistency(args) => proof::consistency(cli, args, out),
        Command::Erase(args) => erase::run(cli, args, out),
        Command::Shred(args) => erase::shred(cli, args, out),
        Command::Keys => proof::keys(cli, out),
        Command::Tiles(command) => proof::tiles(cli, command, out),
        Command::Dag(command) => proof::dag(cli, command, out),
        Command::Graph(command) => graph::run(cli, command, out),
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

/// The settings of the log that the arguments ask for.
fn config(cli: &Cli) -> LogConfig {
    LogConfig {
        durability: cli.durability,
        quota_bytes: cli.quota_bytes,
        min_free_bytes: cli.min_free_bytes,
        ..LogConfig::default()
    }
}

/// Opens the store for writing, for whoever may.
fn open(cli: &Cli) -> Result<Engine> {
    auth::gate::pass(cli, open_unchecked(cli)?)
}

/// Opens the store for writing without asking who wants it.
fn open_unchecked(cli: &Cli) -> Result<Engine> {
    let vfs = StdVfs::create(&cli.store).with_context(|| cli.store.display().to_string())?;
    let vfs = Arc::new(vfs);
    let open = || {
        let opened = options(cli, vfs.clone(), config(cli))?.open();
        opened.with_context(|| format!("opening {}", cli.store.display()))
    };
    // Under a lock of this store others open it for moments only, which are waited for.
    let engine = if lock::is_under_lock() {
        lock::moment::patiently(lock::STORE_WAIT, open)?
    } else {
        open()?
    };
    let report = engine.log().recovery_report();
    if let (Some((segment, position)), Some(cause)) = (report.cut_at, &report.cut_cause) {
        let len = report.cut_len;
        anstream::eprintln!(
            "cairn: recovered: cut {len} bytes that were never acknowledged at byte {position} of segment {segment} ({cause})"
        );
    }
    Ok(engine)
}

/// Opens the store for reading, beside a process that may be writing it, for whoever may.
fn open_read_only(cli: &Cli) -> Result<Engine> {
    auth::gate::pass(cli, open_read_only_unchecked(cli, &cli.store)?)
}

/// As [`open_read_only`] for commands that follow the store: what they may is asked again.
fn open_following(cli: &Cli) -> Result<(Engine, auth::gate::Pass)> {
    auth::gate::pass_with(cli, open_read_only_unchecked(cli, &cli.store)?)
}

/// Opens a store for reading without asking who wants it.
fn open_read_only_unchecked(cli: &Cli, dir: &std::path::Path) -> Result<Engine> {
    let opening = || format!("opening {}", dir.display());
    let vfs = StdVfs::open(dir).with_context(opening)?;
    options(cli, Arc::new(vfs), config(cli))?.open_read_only().with_context(opening)
}

/// How stores are opened: with the key of an encrypted one, when it is given.
fn options(cli: &Cli, vfs: Arc<StdVfs>, config: LogConfig) -> Result<EngineOptions> {
    let mut options = Engine::options().log(Log::options().vfs(vfs).config(config));
    for key in auth::sources::encryption_keys(&cli.access)? {
        options = options.encrypted_by(&key)?;
    }
    Ok(options)
}

/// What logs are verified and repaired with.
fn codecs(cli: &Cli) -> Result<CodecRegistry> {
    let mut codecs = CodecRegistry::standard();
    for key in auth::sources::encryption_keys(&cli.access)? {
        codecs = codecs.with_sealing_key(encryption_key(&key)?.expose())?;
    }
    Ok(codecs)
}

/// Opens the store for reading; when leases have expired and nobody writes the store, they are
/// ended first, so that what they held is not shown.
fn open_current(cli: &Cli) -> Result<Engine> {
    let engine = open_read_only(cli)?;
    let keys = engine.keys();
    let over = |id: &LeaseId| keys.lease(*id).is_some_and(|lease| lease.remaining.is_zero());
    if !keys.lease_ids().iter().any(over) {
        return Ok(engine);
    }
    // Whoever has the store open for writing ends its leases itself.
    let Ok(writer) = open(cli) else { return Ok(engine) };
    writer.maintain()?;
    Ok(writer)
}

fn vfs(cli: &Cli) -> Result<Arc<StdVfs>> {
    let vfs =
        StdVfs::open(&cli.store).with_context(|| format!("opening {}", cli.store.display()))?;
    Ok(Arc::new(vfs))
}

fn line(out: &mut impl Write, text: impl std::fmt::Display) -> Result<()> {
    Ok(writeln!(out, "{text}")?)
}
