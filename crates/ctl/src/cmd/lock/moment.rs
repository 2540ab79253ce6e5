//! Opening a store for a moment, when others do the same.

use std::time::{Duration, Instant};

use anyhow::Result;
use cairndb::engine::Engine;
use cairndb::vfs::FaultKind;

use crate::cli::Cli;

/// Between two attempts.
const NAP: Duration = Duration::from_millis(5);

/// Opens the store for writing, does something, and closes it; waits a while for the store.
pub fn moment<T>(cli: &Cli, wait: Duration, work: impl FnOnce(&Engine) -> Result<T>) -> Result<T> {
    let engine = patiently(wait, || crate::cmd::open(cli))?;
    engine.maintain()?;
    let done = work(&engine)?;
    engine.close()?;
    Ok(done)
}

/// Tries again while another process has the store.
pub fn patiently(wait: Duration, mut open: impl FnMut() -> Result<Engine>) -> Result<Engine> {
    let start = Instant::now();
    loop {
        match open() {
            Err(error) if is_locked(&error) && start.elapsed() < wait => std::thread::sleep(NAP),
            opened => return opened,
        }
    }
}

fn is_locked(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let file = cause.downcast_ref::<cairndb::vfs::Error>();
        let log = match cause.downcast_ref::<cairndb::engine::Error>() {
            Some(cairndb::engine::Error::Log(log)) => Some(log),
            _ => cause.downcast_ref::<cairndb::log::Error>(),
        };
        let inside = match log {
            Some(cairndb::log::Error::Vfs(file)) => Some(&**file),
            _ => None,
        };
        file.or(inside).is_some_and(|error| error.kind == FaultKind::Locked)
    })
}
