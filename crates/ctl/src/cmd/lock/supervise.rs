//! Running the command while the lease is kept alive.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::moment::moment;
use super::{Held, STORE_WAIT, Unavailable, locks};
use crate::cli::Cli;
use crate::cli::lock::Lock;
use crate::exit::Passed;

/// Name of the lock, for the command.
pub const LOCK: &str = "CAIRN_LOCK";
/// Its keyspace.
pub const KEYSPACE: &str = "CAIRN_LOCK_KEYSPACE";
/// The fencing token.
pub const FENCE: &str = "CAIRN_FENCE";

/// Longest nap between two looks at the command.
const NAP_MAX: Duration = Duration::from_millis(20);

/// Starts the command, and passes its exit code on.
pub fn run(
    cli: &Cli,
    args: &Lock,
    held: Held,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<()> {
    let store = std::path::absolute(&cli.store)?;
    let started = Command::new(program)
        .args(arguments)
        .env(LOCK, &args.name)
        .env(KEYSPACE, &args.keyspace)
        .env(FENCE, held.lock.token.to_string())
        .env("CAIRN_DATA", store)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            release(cli, args, &held)?;
            return Err(error).with_context(|| program.display().to_string());
        }
    };
    let ended = keep(cli, args, &held, &mut child);
    let status = match ended {
        Ok(status) => status,
        Err(error) => {
            // Whoever holds the lock now must not be disturbed any longer than it takes to notice.
            let _it_may_have_ended = child.kill();
            let _reaped = child.wait();
            return Err(error.context("the command was killed"));
        }
    };
    release(cli, args, &held)?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(4);
    match u8::try_from(code).unwrap_or(u8::MAX) {
        0 => Ok(()),
        code => Err(Passed(code).into()),
    }
}

/// Renews the lease until the command ends; an error when the lock is lost before.
fn keep(cli: &Cli, args: &Lock, held: &Held, child: &mut Child) -> Result<ExitStatus> {
    let ttl = Duration::from_secs(args.ttl);
    let (mut asked_at, mut nap) = (held.asked_at, Duration::from_millis(1));
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if asked_at.elapsed() >= ttl {
            return Err(lost(args, held).into());
        }
        if asked_at.elapsed() >= ttl / 3 {
            let mut renewed_at = asked_at;
            let left = (ttl - asked_at.elapsed().min(ttl)).min(ttl / 6);
            let renewed = moment(cli, left, |engine| {
                renewed_at = Instant::now();
                let place = locks(args, engine)?.resume(&held.lock)?;
                place.keep_alive()?;
                let _kept_in_the_engine = place.detach();
                Ok(())
            });
            match renewed {
                Ok(()) => asked_at = renewed_at,
                Err(error) if is_lost(&error) => return Err(error),
                // The store is busy or the disk full: there is time for another attempt.
                Err(error) => anstream::eprintln!("cairn: renewing the lock: {error:#}"),
            }
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(NAP_MAX);
    }
}

fn release(cli: &Cli, args: &Lock, held: &Held) -> Result<()> {
    moment(cli, STORE_WAIT, |engine| Ok(locks(args, engine)?.resume(&held.lock)?.leave()?))
        .context("the lock was not held to the end of the command")
}

fn is_lost(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(cairn_cache::Error::LockLost { .. }))
}

fn lost(args: &Lock, held: &Held) -> Unavailable {
    let token = held.lock.token;
    Unavailable(format!("lock {:?} with token {token} could not be renewed in time", args.name))
}
