//! `erase`: payloads go for ever, after it was shown what would.

use std::io::Write;

use anyhow::{Context, Result, bail};
use cairndb::engine::{EraseTarget, Error, Versions};
use cairndb::prelude::*;
use serde_json::json;

use super::proof::place_of;
use super::{line, open};
use crate::cli::Cli;
use crate::cli::proof::{Erase, Shred};

/// Erases, or says what would be.
pub fn run(cli: &Cli, args: &Erase, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    let target = target_of(args)?;
    if !args.yes {
        let records = engine.erasable_records(&target)?;
        engine.close()?;
        let count = records.len();
        if count == 0 {
            return Err(Error::NothingToErase.into());
        }
        line(out, format!("would erase for ever what {count} records hold: {}", listed(&records)))?;
        line(out, "they stay provable; copies, backups and linked checkpoints are not touched")?;
        bail!("nothing was changed; run again with --yes");
    }
    let done = engine.erase(&target, &args.reason)?;
    engine.close()?;
    if cli.json {
        let records: Vec<u64> = done.records.iter().map(|lsn| lsn.get()).collect();
        return line(
            out,
            json!({
                "by": done.by.get(), "records": records,
                "segments_written": done.cleaned.replaced_count,
                "tables_written": done.table_count,
            }),
        );
    }
    line(out, format!("erased {} records: {}", done.records.len(), listed(&done.records)))?;
    line(out, format!("authorised by record {}", done.by))
}

/// Drops the key of a subject, or says what would be.
pub fn shred(cli: &Cli, args: &Shred, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    if !args.yes {
        engine.close()?;
        line(out, format!("would drop the key of {} for ever", args.subject))?;
        bail!("nothing was changed; run again with --yes");
    }
    let done = engine.shred(&args.subject, &args.reason)?;
    engine.close()?;
    if cli.json {
        return line(out, json!({ "subject": args.subject, "by": done.by.get() }));
    }
    line(out, format!("shredded {}, authorised by record {}", args.subject, done.by))
}

fn target_of(args: &Erase) -> Result<EraseTarget<'_>> {
    if let Some(event) = &args.target.event {
        let (topic, partition, offset) = place_of(event).context("not TOPIC/PARTITION/OFFSET")?;
        return Ok(EraseTarget::Event { topic, partition, offset });
    }
    if let Some(key) = &args.target.key {
        let versions = match (args.all, args.rev) {
            (true, None) => Versions::All,
            (true, Some(revision)) => Versions::UpTo(revision),
            (false, revision) => Versions::At(revision.unwrap_or(0)),
        };
        let (keyspace, key) = (args.space.keyspace.as_str(), key.as_bytes());
        return Ok(EraseTarget::Key { keyspace, key, versions });
    }
    let lsn = args.target.lsn.context("name --event, --key or --lsn")?;
    Ok(EraseTarget::Record(Lsn::new(lsn)))
}

/// The first few of many.
fn listed(records: &[Lsn]) -> String {
    const MOST: usize = 20;
    let some: Vec<String> = records.iter().take(MOST).map(ToString::to_string).collect();
    let rest = records.len().saturating_sub(MOST);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", some.join(", "))
}
