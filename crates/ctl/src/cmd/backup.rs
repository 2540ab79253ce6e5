//! `backup` and `restore`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use cairndb::log::{Log, VerifyOptions, cut, verify_store};
use cairndb::prelude::*;
use cairndb::vfs::{StdVfs, SystemClock, Vfs};
use serde_json::json;

use super::{codecs, line, open_read_only};
use crate::cli::Cli;
use crate::cli::keys::Restore;
use crate::exit::Damaged;

/// Copies the store beside whoever writes it; again into the same place copies what is new.
pub fn backup(cli: &Cli, target: &Path, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    let vfs = StdVfs::create(target).with_context(|| target.display().to_string())?;
    let bar = indicatif::ProgressBar::new(0);
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let done = engine.log().backup(&vfs, Some(&progress))?;
    bar.finish_and_clear();
    let report = verify_store(&vfs, &codecs(cli)?, &VerifyOptions::default())?;
    if !report.is_intact() {
        for damage in &report.damage {
            line(out, format!("damaged in the copy: {damage}"))?;
        }
        return Err(Damaged(report.damage.len()).into());
    }
    if cli.json {
        return line(
            out,
            json!({
                "end_lsn": done.end_lsn.get(), "segments_copied": done.copied_count,
                "segments_kept": done.kept_count, "bytes": done.len,
            }),
        );
    }
    let (copied, kept, len, end) = (done.copied_count, done.kept_count, done.len, done.end_lsn);
    line(
        out,
        format!(
            "{copied} segments copied ({len} bytes), {kept} were there; verified up to LSN {end}"
        ),
    )
}

/// Makes a store from a backup, whole or as it was after a revision.
pub fn restore(cli: &Cli, args: &Restore, out: &mut impl Write) -> Result<()> {
    let target = StdVfs::create(&cli.store).with_context(|| cli.store.display().to_string())?;
    if target.exists("CAIRN")? || target.exists("log")? {
        bail!("{} holds a store already; restore into another directory", cli.store.display());
    }
    let backup = super::open_read_only_unchecked(cli, &args.from)?;
    if args.rev.is_some_and(|rev| rev > backup.revision()) {
        let (rev, newest) = (args.rev.unwrap_or_default(), backup.revision());
        bail!("the backup ends at revision {newest}, before {rev}");
    }
    let cleaned = backup.log().cleaned_to();
    if args.rev.is_some_and(|rev| rev < cleaned) {
        bail!("records before revision {cleaned} were cleaned away; restore that one or a later");
    }
    let end = match args.rev {
        Some(rev) => end_of(backup.log(), rev)?,
        None => None,
    };
    backup.log().backup(&target, None)?;
    let target: Arc<dyn Vfs> = Arc::new(target);
    if let Some(end) = end {
        cut(target, &codecs(cli)?, &SystemClock::default(), end)?;
    }
    let engine = super::open_unchecked(cli)?;
    let report = engine.verify(&VerifyOptions::default())?;
    if !report.is_intact() {
        return Err(Damaged(report.damage.len()).into());
    }
    let (revision, records) = (engine.revision(), report.record_count);
    engine.close()?;
    if cli.json {
        return line(out, json!({ "revision": revision, "records": records }));
    }
    line(out, format!("restored {records} records, revision {revision}; verified"))
}

/// The place of the first change after a revision; `None` when there is none.
fn end_of(log: &Log, revision: u64) -> Result<Option<Lsn>> {
    let mut scan = log.scan(log.start_lsn());
    while let Some(record) = scan.next_record()? {
        let kind = record.view.kind;
        let is_change =
            kind == cairndb::log::RecordKind::PUT || kind == cairndb::log::RecordKind::DELETE;
        if is_change && record.view.sequence > revision {
            return Ok(Some(record.lsn));
        }
    }
    Ok(None)
}
