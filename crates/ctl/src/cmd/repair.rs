//! `repair`: ends a damaged log where it is whole, on request, keeping what it removes.

use std::io::Write;

use anyhow::Result;
use cairndb::log::Repair;
use cairndb::vfs::{SystemClock, Vfs};
use serde_json::json;

use super::{codecs, line, vfs};
use crate::cli::Cli;
use crate::exit::Damaged;

/// Shows what a repair would do, and with `yes` does it.
pub fn run(cli: &Cli, yes: bool, out: &mut impl Write) -> Result<()> {
    let vfs = vfs(cli)?;
    let _nobody_else = vfs.lock("LOCK")?;
    let Some(repair) = Repair::plan(vfs, &codecs(cli)?)? else {
        return if cli.json {
            line(out, json!({ "damaged": false }))
        } else {
            line(out, "nothing keeps this store from opening; `cairn verify` checks every byte")
        };
    };
    if yes {
        repair.carry_out(&SystemClock::default())?;
    }
    if cli.json {
        let damage = repair.damage.as_ref();
        line(
            out,
            json!({
                "damaged": true, "repaired": yes, "end_lsn": repair.end_lsn.get(),
                "lost_records": repair.lost_count(), "quarantined": repair.quarantined,
                "file": damage.map(|d| &d.file), "position": damage.map(|d| d.position),
                "cause": damage.map(|d| &d.cause),
            }),
        )?;
    } else {
        for slot in &repair.damaged_slots {
            line(out, format!("damaged: {slot}"))?;
        }
        if let Some(damage) = &repair.damage {
            line(out, format!("damaged: {damage}"))?;
        }
        let verb = if yes { "kept" } else { "would keep" };
        line(out, format!("{verb}: all records before LSN {}", repair.end_lsn))?;
        let verb = if yes { "lost" } else { "would lose" };
        line(out, format!("{verb}: {} records that were durable", repair.lost_count()))?;
        for path in &repair.quarantined {
            line(out, format!("copy in quarantine/: {path}"))?;
        }
    }
    if yes {
        return Ok(());
    }
    if !cli.json {
        line(out, "nothing was changed; copy the directory away, then run again with --yes")?;
    }
    Err(Damaged(1).into())
}
