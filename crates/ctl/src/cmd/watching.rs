//! `watch`: changes of keys as they come, also those of another process.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use cairndb::prelude::*;

use super::{line, open_following, vfs};
use crate::cli::Cli;
use crate::cli::keys::Watch;
use crate::output::keys as show;

/// Prints changes from a revision on.
pub fn watch(cli: &Cli, args: &Watch, out: &mut impl Write) -> Result<()> {
    use cairndb::vfs::Vfs;
    let (engine, pass) = open_following(cli)?;
    // Watching begins before reading, so nothing falls between the two.
    let mut files = vfs(cli)?.watch("log")?;
    let space = super::keys::readable(&engine, &args.space)?;
    let range = match &args.key {
        Some(key) => super::keys::range_of(key, &args.selection),
        None => Range::all(),
    };
    let request = WatchRequest {
        prev_kv: args.prev,
        start_revision: args.rev,
        ..WatchRequest::new(space.stream(), range)
    };
    let mut watcher = space.watch(request)?;
    let mut left = args.limit.unwrap_or(usize::MAX);
    loop {
        engine.refresh()?;
        pass.still_holds()?;
        while let Some(batch) = watcher.try_next()? {
            for change in &batch.changes {
                if left == 0 {
                    return Ok(out.flush()?);
                }
                left -= 1;
                if cli.json {
                    line(out, show::change_value(change))?;
                } else {
                    let verb = if change.deleted { "delete" } else { "put" };
                    write!(out, "{:>8}  {verb:<6} ", batch.revision)?;
                    show::print(out, &change.kv, false, change.deleted)?;
                }
            }
        }
        out.flush()?;
        if left == 0 || args.no_follow {
            return Ok(());
        }
        files.wait(Duration::from_secs(60))?;
    }
}
