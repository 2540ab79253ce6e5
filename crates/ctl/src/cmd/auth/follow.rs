//! `cairn audit`: the audit topic, filtered, and what is to come.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use cairndb::engine::auth::AUDIT_TOPIC;
use cairndb::prelude::*;
use cairndb::vfs::Vfs;
use serde_json::Value;

use crate::cli::Cli;
use crate::cli::auth::Audit;
use crate::cmd::{line, open_following, vfs};
use crate::output;

/// Prints the newest entries, and with `--follow` those to come.
pub fn run(cli: &Cli, args: &Audit, out: &mut impl Write) -> Result<()> {
    let (engine, pass) = open_following(cli)?;
    // Watching begins before reading, so nothing falls between the two.
    let mut watcher = vfs(cli)?.watch("log")?;
    let topic = || engine.topics().iter().any(|(name, _)| name.as_str() == AUDIT_TOPIC);
    let mut next = Offset::new(0);
    if topic() {
        let mut newest = engine.newest(AUDIT_TOPIC, 0, None, args.limit)?;
        newest.reverse();
        next = engine.next_offset(AUDIT_TOPIC, 0)?;
        for event in &newest {
            print(cli, args, event, out)?;
        }
    }
    out.flush()?;
    if !args.follow {
        return Ok(());
    }
    loop {
        engine.refresh()?;
        pass.still_holds()?;
        if topic() {
            let mut events = engine.events_from(AUDIT_TOPIC, 0, ReadFrom::Offset(next))?;
            for event in events.by_ref() {
                print(cli, args, &event?, out)?;
            }
            next = next.max(events.position());
            out.flush()?;
        }
        watcher.wait(Duration::from_secs(60))?;
    }
}

fn print(cli: &Cli, args: &Audit, event: &Event, out: &mut impl Write) -> Result<()> {
    let entry = output::data_value(&event.data);
    let wanted = args.who.is_none_or(|who| entry["who"]["user"].as_u64() == Some(who))
        && args.what.as_ref().is_none_or(|what| entry["what"] == what.as_str())
        && (!args.refused || entry["outcome"] == "refused");
    if !wanted {
        return Ok(());
    }
    if cli.json {
        return line(out, entry);
    }
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (at, who, what) = (text(&entry["at"]), text(&entry["who"]["user"]), text(&entry["what"]));
    let about = match &entry["about"] {
        Value::Null => String::new(),
        about => format!(" about {}", text(&about["user"])),
    };
    let object = match &entry["object"] {
        Value::Null => String::new(),
        object => format!(" {}", text(object)),
    };
    let outcome = match &entry["cause"] {
        Value::Null => "ok".to_owned(),
        cause => format!("refused: {}", text(cause)),
    };
    line(out, format!("{at} user {who} {what}{object}{about}: {outcome}"))
}
