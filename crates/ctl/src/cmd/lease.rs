//! `lease`, `compact`, `keyspaces`.

use std::io::Write;

use anyhow::Result;
use cairndb::engine::{CleanKeys, KeyspaceRetention};
use cairndb::prelude::*;
use serde_json::json;

use super::{line, open, open_current};
use crate::cli::Cli;
use crate::cli::keys::{Keyspaces, Lease, Retention};
use crate::exit::NotFound;

/// Grants, ends, renews and shows leases.
pub fn lease(cli: &Cli, command: &Lease, out: &mut impl Write) -> Result<()> {
    match command {
        Lease::Grant { ttl, id } => {
            let engine = open(cli)?;
            engine.maintain()?;
            let granted = engine.keys().lease_grant(id.map(LeaseId::new), *ttl)?;
            let text = format!("lease {} granted for {} s", granted.id, granted.ttl);
            let object = json!({ "id": granted.id.get(), "ttl": granted.ttl });
            say(cli, text, object, out)?;
            Ok(engine.close()?)
        }
        Lease::Revoke { id } => {
            let engine = open(cli)?;
            engine.maintain()?;
            let deleted = engine.keys().lease_revoke(LeaseId::new(*id))?;
            let revision = engine.revision();
            let text = format!("lease {id} revoked, {deleted} keys deleted, revision {revision}");
            say(cli, text, json!({ "id": id, "deleted": deleted, "revision": revision }), out)?;
            Ok(engine.close()?)
        }
        Lease::KeepAlive { id } => {
            let engine = open(cli)?;
            engine.maintain()?;
            let ttl = engine.keys().lease_keep_alive(LeaseId::new(*id))?;
            say(cli, format!("lease {id} has {ttl} s"), json!({ "id": id, "ttl": ttl }), out)?;
            Ok(engine.close()?)
        }
        Lease::Ttl { id } => {
            let engine = open_current(cli)?;
            let Some(info) = engine.keys().lease(LeaseId::new(*id)) else {
                return Err(NotFound(format!("there is no lease {id}")).into());
            };
            let keys: Vec<_> = info
                .keys
                .iter()
                .map(|(_, key)| String::from_utf8_lossy(key).into_owned())
                .collect();
            let (left, ttl) = (info.remaining.as_secs_f64(), info.ttl);
            let text = format!("lease {id}: {left:.1} of {ttl} s left, keys: {}", keys.join(" "));
            let object = json!({ "id": id, "ttl": ttl, "remaining": left, "keys": keys });
            say(cli, text, object, out)
        }
        Lease::List => {
            let engine = open_current(cli)?;
            for id in engine.keys().lease_ids() {
                say(cli, id.to_string(), json!({ "id": id.get() }), out)?;
            }
            Ok(())
        }
    }
}

/// Gives up the past before a revision.
pub fn compact(cli: &Cli, revision: u64, clean: bool, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    if clean {
        // Done and counted below, not by the background.
        engine.keys().clean_by_owner(true);
    }
    let compacted = engine.keys().compact(revision)?;
    let before = engine.keys().tree_stats().dropped_version_count;
    engine.keys().merge_tables()?;
    let merged = engine.keys().tree_stats().dropped_version_count - before;
    let (revision, versions) = (compacted.revision, compacted.version_count.max(merged));
    let mut text = format!("revisions before {revision} are gone, {versions} versions dropped");
    let mut object = json!({ "compact_revision": revision, "dropped": versions });
    if clean {
        let all = CleanKeys { dead_share: 0.0, roll: true, ..CleanKeys::default() };
        let cleaned = engine.clean_keyspaces(&all)?;
        let (records, freed) =
            (cleaned.dropped_count, cleaned.len_before.saturating_sub(cleaned.len_after));
        text.push_str(&format!("; {records} records cleaned, {freed} bytes freed in the log"));
        object["records_cleaned"] = json!(records);
        object["freed_bytes"] = json!(freed);
    }
    say(cli, text, object, out)?;
    Ok(engine.close()?)
}

/// Lists, creates and drops keyspaces.
pub fn keyspaces(cli: &Cli, command: Option<&Keyspaces>, out: &mut impl Write) -> Result<()> {
    match command {
        None | Some(Keyspaces::List) => {
            let engine = open_current(cli)?;
            for space in engine.keyspaces() {
                let (name, keys) = (space.name(), space.key_count()?);
                let retention = space.retention();
                let shown = retention.to_string();
                let object = json!({ "keyspace": name.as_str(), "keys": keys, "retention": shown });
                say(cli, format!("{name:<20} {retention:<12} {keys} keys"), object, out)?;
            }
            Ok(())
        }
        Some(Keyspaces::Create { name, by_subject, retention }) => {
            let engine = open(cli)?;
            let wanted = retention.map(wanted);
            let new = match (by_subject, wanted) {
                (false, Some(retention)) => engine.create_keyspace_with(name, retention)?,
                (false, None) => engine.create_keyspace(name)?,
                (true, retention) => {
                    let new = engine.create_keyspace_by_subject(name)?;
                    if let Some(retention) = retention {
                        engine.set_keyspace_retention(name, retention)?;
                    }
                    new
                }
            };
            let text = if new { "created" } else { "exists already" };
            say(cli, text.to_owned(), json!({ "keyspace": name, "created": new }), out)?;
            Ok(engine.close()?)
        }
        Some(Keyspaces::Set { name, retention }) => {
            let engine = open(cli)?;
            let retention = wanted(*retention);
            engine.set_keyspace_retention(name, retention)?;
            let object = json!({ "keyspace": name, "retention": retention.to_string() });
            say(cli, format!("keeps {retention}"), object, out)?;
            Ok(engine.close()?)
        }
        Some(Keyspaces::Drop { name }) => {
            let engine = open(cli)?;
            engine.drop_keyspace(name)?;
            say(cli, "dropped".to_owned(), json!({ "keyspace": name, "dropped": true }), out)?;
            Ok(engine.close()?)
        }
    }
}

fn wanted(retention: Retention) -> KeyspaceRetention {
    match retention {
        Retention::Forever => KeyspaceRetention::Forever,
        Retention::LatestOnly => KeyspaceRetention::LatestOnly,
    }
}

fn say(cli: &Cli, text: String, object: serde_json::Value, out: &mut impl Write) -> Result<()> {
    if cli.json {
        line(out, object)?
    } else {
        line(out, text)?
    }
    Ok(out.flush()?)
}
