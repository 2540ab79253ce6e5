//! `lock`: runs a command while a lock is held.
//!
//! A store has one writer at a time, so it is not kept open: a lease holds the lock, and the
//! store is opened for a moment to take, renew and release it.

pub mod moment;
mod supervise;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cairn_cache::{Fence, HeldLock, LockConfig, LockPlace, Locks};
use cairndb::engine::Engine;
use cairndb::vfs::Vfs;
use serde_json::json;

use super::{line, open_read_only, vfs};
use crate::cli::Cli;
use crate::cli::lock::Lock;
use moment::moment;

/// How long a step waits for the store when somebody else has it, if nothing else bounds it.
pub const STORE_WAIT: Duration = Duration::from_secs(2);

/// Longest nap between two looks at the queue.
const NAP_MAX: Duration = Duration::from_millis(500);

/// A lock that is held, and since when for sure.
struct Held {
    lock: HeldLock,
    asked_at: Instant,
}

/// Runs a command while holding a lock, or prints who holds it.
pub fn run(cli: &Cli, args: &Lock, out: &mut impl Write) -> Result<()> {
    let Some((program, arguments)) = args.command.split_first() else {
        return show(cli, args, out);
    };
    let Some(held) = acquire(cli, args)? else {
        return Err(Unavailable(format!("lock {:?} is not free", args.name)).into());
    };
    supervise::run(cli, args, held, program, arguments)
}

/// The lock was not had, or is gone.
#[derive(Debug)]
pub struct Unavailable(pub String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// Whether this process runs under `cairn lock`.
pub fn is_under_lock() -> bool {
    std::env::var_os(supervise::FENCE).is_some()
}

/// The fence that `cairn lock` handed to this process.
pub fn fence(engine: &Engine) -> Result<Fence> {
    let under = "--fenced works only under `cairn lock`, which sets CAIRN_LOCK and CAIRN_FENCE";
    let variable = |name| std::env::var(name).context(under);
    let token = variable(supervise::FENCE)?.parse().context("CAIRN_FENCE is no number")?;
    let keyspace = variable(supervise::KEYSPACE)?;
    let config = LockConfig { keyspace, ..LockConfig::default() };
    Ok(Locks::open(engine, config)?.fence(&variable(supervise::LOCK)?, token)?)
}

fn locks(args: &Lock, engine: &Engine) -> Result<Locks> {
    let config = LockConfig {
        keyspace: args.keyspace.clone(),
        ttl: Duration::from_secs(args.ttl),
        holder: args.holder.clone().into_bytes().into(),
    };
    Ok(Locks::open(engine, config)?)
}

/// Prints the queue.
fn show(cli: &Cli, args: &Lock, out: &mut impl Write) -> Result<()> {
    let engine = super::open_current(cli)?;
    if engine.keyspace(&args.keyspace).is_err() {
        return Ok(());
    }
    for (place, holder) in locks(args, &engine)?.queue(&args.name)?.iter().enumerate() {
        let (state, label) = (if place == 0 { "holds" } else { "waits" }, &holder.label);
        let label = String::from_utf8_lossy(label);
        if cli.json {
            line(out, json!({ "token": holder.token, "state": state, "holder": label }))?;
        } else {
            line(out, format!("{:>8} {state} {label}", holder.token))?;
        }
    }
    Ok(())
}

/// Takes the lock, waiting for those before; `None` when the time is over.
fn acquire(cli: &Cli, args: &Lock) -> Result<Option<Held>> {
    let start = Instant::now();
    let deadline = args.wait.map(|seconds| start + Duration::from_secs(seconds));
    let store_wait = args.wait.map_or(Duration::MAX, Duration::from_secs).max(STORE_WAIT);
    let mut asked_at = Instant::now();
    let entered = moment(cli, store_wait, |engine| {
        asked_at = Instant::now();
        let locks = locks(args, engine)?;
        if args.wait == Some(0) {
            return Ok(locks.try_lock(&args.name)?.map(|guard| (guard.detach(), true)));
        }
        let place = locks.enter(&args.name)?;
        let first = place.is_first()?;
        Ok(Some((place.detach(), first)))
    })?;
    let Some((place, first)) = entered else { return Ok(None) };
    if first {
        return Ok(Some(Held { lock: place, asked_at }));
    }
    queue(cli, args, place, asked_at, deadline)
}

/// Waits in the queue: looks at it beside whoever writes the store, and opens the store itself
/// only to renew the lease and when it seems to be first.
fn queue(
    cli: &Cli,
    args: &Lock,
    place: HeldLock,
    mut asked_at: Instant,
    deadline: Option<Instant>,
) -> Result<Option<Held>> {
    let ttl = Duration::from_secs(args.ttl);
    let reader = open_read_only(cli)?;
    // Watching begins before reading, so nothing falls between the two.
    let mut files = vfs(cli)?.watch("log")?;
    loop {
        reader.refresh()?;
        let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let queue = locks(args, &reader)?.queue(&args.name)?;
        let first = queue.first().is_none_or(|first| first.token == place.token);
        // A lease that is over by the clock is ended by whoever opens the store for writing.
        let due = asked_at.elapsed() >= ttl / 3 || !reader.keys().expired_leases().is_empty();
        if first || due || over {
            let left = ttl.saturating_sub(asked_at.elapsed());
            let mut renewed_at = asked_at;
            let outcome = moment(cli, left, |engine| {
                let there = locks(args, engine)?.resume(&place)?;
                renewed_at = Instant::now();
                step(there, over)
            })?;
            asked_at = renewed_at;
            match outcome {
                Step::Held => return Ok(Some(Held { lock: place, asked_at })),
                Step::Left => return Ok(None),
                Step::Waits => {}
            }
        }
        let left = deadline.map_or(NAP_MAX, |deadline| deadline - Instant::now());
        files.wait(left.min(NAP_MAX).min(ttl / 3))?;
    }
}

enum Step {
    Held,
    Waits,
    Left,
}

fn step(place: LockPlace, over: bool) -> Result<Step> {
    if place.is_first()? {
        place.keep_alive()?;
        let _kept_in_the_engine = place.detach();
        return Ok(Step::Held);
    }
    if over {
        place.leave()?;
        return Ok(Step::Left);
    }
    place.keep_alive()?;
    let _kept_in_the_engine = place.detach();
    Ok(Step::Waits)
}
