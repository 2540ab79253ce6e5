//! `verify`, `stats`, `inspect`, `doctor`.

use std::io::Write;

use anyhow::Result;
use cairndb::codec::RecordView;
use cairndb::engine::{
    Authorised, ErasedRecords, ErasureReport, KeyspaceRetention, OwnedSpace, Shredded, SpaceOwner,
    SpaceReport,
};
use cairndb::log::{Error, VerifyReport, verify_store};
use cairndb::prelude::*;
use serde_json::json;

use super::{codecs, line, open_read_only, vfs};
use crate::cli::{Cli, Inspect};
use crate::exit::{Damaged, Refused};

fn run_verify(cli: &Cli) -> Result<(VerifyReport, Option<ErasureReport>)> {
    let met = ErasedRecords::default();
    let on_erased = |lsn: Lsn, record: &RecordView<'_>| met.note(lsn, record);
    let options = VerifyOptions { on_erased: Some(&on_erased), ..VerifyOptions::default() };
    let report = verify_store(&*vfs(cli)?, &codecs(cli)?, &options)?;
    // Who erased what stands in records; a log that cannot be opened does not tell.
    let erasures = match super::open_read_only_unchecked(cli, &cli.store) {
        Ok(engine) if report.is_intact() => Some(engine.explain_erased(&met)?),
        _ => None,
    };
    Ok((report, erasures))
}

/// Checks every byte.
pub fn verify(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let (report, erasures) = run_verify(cli)?;
    print_report(cli, &report, erasures.as_ref(), out)?;
    let missing = erasures.map_or(0, |erasures| erasures.missing.len());
    let bad = report.damage.len() + missing;
    if bad == 0 { Ok(()) } else { Err(Damaged(bad).into()) }
}

/// Prints why payloads are not there.
fn print_erasures(erasures: &ErasureReport, out: &mut impl Write) -> Result<()> {
    for one in &erasures.authorised {
        let Authorised { by, kind, reason, erased_count } = one;
        line(out, format!("erased by record {by} ({kind}): {erased_count} records; {reason}"))?;
    }
    for Shredded { by, subject, reason } in &erasures.shredded {
        let subject = String::from_utf8_lossy(subject);
        line(out, format!("shredded by record {by}: subject {subject}; {reason}"))?;
    }
    if erasures.retention_count > 0 {
        line(out, format!("gone by retention: {} payloads", erasures.retention_count))?;
    }
    for lsn in &erasures.pending {
        line(out, format!("erased but still in a file: record {lsn}; run `cairn maintain`"))?;
    }
    for lsn in &erasures.missing {
        line(out, format!("missing: what record {lsn} held; no record says why"))?;
    }
    Ok(())
}

/// Why payloads are not there as JSON.
fn erasures_value(erasures: &ErasureReport) -> serde_json::Value {
    let places = |places: &[Lsn]| places.iter().map(|lsn| lsn.get()).collect::<Vec<_>>();
    let authorised = erasures.authorised.iter().map(|one| {
        json!({
            "by": one.by.get(), "kind": one.kind.to_string(), "reason": one.reason,
            "records": one.erased_count,
        })
    });
    let shredded = erasures.shredded.iter().map(|one| {
        let subject = String::from_utf8_lossy(&one.subject);
        json!({ "by": one.by.get(), "subject": subject, "reason": one.reason })
    });
    json!({
        "shredded": shredded.collect::<Vec<_>>(),
        "authorised": authorised.collect::<Vec<_>>(), "retention": erasures.retention_count,
        "pending": places(&erasures.pending), "missing": places(&erasures.missing),
    })
}

/// Prints what verification found.
pub fn print_report(
    cli: &Cli,
    report: &VerifyReport,
    erasures: Option<&ErasureReport>,
    out: &mut impl Write,
) -> Result<()> {
    if cli.json {
        let damage: Vec<_> = report
            .damage
            .iter()
            .map(|d| json!({ "file": d.file, "position": d.position, "lsn": d.lsn.map(Lsn::get), "cause": d.cause }))
            .collect();
        return line(
            out,
            json!({
                "intact": report.is_intact(), "segments": report.segment_count,
                "batches": report.batch_count, "records": report.record_count,
                "chain": report.chain.map(|chain| chain.to_string()), "damage": damage,
                "erased": report.erased_count, "dropped": report.dropped_count,
                "erasures": erasures.map(erasures_value),
            }),
        );
    }
    for damage in &report.damage {
        line(out, format!("damaged: {damage}"))?;
    }
    for damage in &report.derived_damage {
        line(out, format!("rebuildable: {damage}"))?;
    }
    if let Some(torn) = &report.torn {
        line(out, format!("torn tail, never acknowledged: {torn}"))?;
    }
    let VerifyReport { segment_count, batch_count, record_count, len, .. } = report;
    line(
        out,
        format!(
            "{record_count} records in {batch_count} batches and {segment_count} segments, {len} bytes"
        ),
    )?;
    let VerifyReport { erased_count, dropped_count, .. } = report;
    if erased_count + dropped_count > 0 {
        line(
            out,
            format!(
                "{erased_count} of them without payload, of {dropped_count} only the leaf is left"
            ),
        )?;
    }
    if let Some(erasures) = erasures {
        print_erasures(erasures, out)?;
    }
    if let (true, Some(end), Some(chain)) = (report.is_intact(), report.end_lsn, report.chain) {
        line(out, format!("intact up to LSN {end}, chain {chain}"))?;
    }
    Ok(())
}

/// Prints figures.
pub fn stats(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    let stats = engine.log().stats()?;
    let head = engine.log().head();
    let tree = engine.keys().tree_stats();
    let space = engine.space()?;
    let owner_text = |owner: &SpaceOwner| owner_text(&engine, owner);
    if cli.json {
        let owners: serde_json::Map<String, serde_json::Value> = space
            .owners
            .iter()
            .map(|(owner, space)| {
                let OwnedSpace { record_count, data_len } = space;
                (owner_text(owner), json!({ "records": record_count, "data_bytes": data_len }))
            })
            .collect();
        return line(
            out,
            json!({
                "sealed_bytes": space.sealed_len, "active_bytes": space.active_len,
                "reserved_bytes": space.reserved_len, "index_bytes": space.index_len,
                "quarantine_bytes": space.quarantine_len,
                "reclaimable_bytes": space.reclaimable_len, "free_bytes": space.free_len,
                "quota_bytes": space.quota_bytes, "min_free_bytes": space.min_free_bytes,
                "writable_bytes": space.writable_len(), "space": owners,
                "start_lsn": stats.start_lsn.get(), "end_lsn": stats.visible_end.get(),
                "durable_end": stats.durable_end.get(), "segments": stats.segment_count,
                "stored_bytes": stats.stored_len, "batches": stats.batch_count,
                "checkpoints": stats.checkpoint_count, "topics": engine.topics().len(),
                "chain": head.chain.to_string(), "revision": engine.revision(),
                "keys_in_memory_bytes": tree.memory_len, "tables": tree.table_count,
                "table_bytes": tree.table_len, "table_versions": tree.table_version_count,
            }),
        );
    }
    line(out, format!("records      {} to {}", stats.start_lsn, stats.visible_end))?;
    line(out, format!("batches      {}", stats.batch_count))?;
    line(out, format!("segments     {}", stats.segment_count))?;
    line(out, format!("stored       {} bytes", stats.stored_len))?;
    print_space(&space, &owner_text, out)?;
    line(out, format!("checkpoints  {}", stats.checkpoint_count))?;
    line(out, format!("topics       {}", engine.topics().len()))?;
    line(out, format!("revision     {}", engine.revision()))?;
    line(out, format!("tables       {}, {} bytes", tree.table_count, tree.table_len))?;
    line(out, format!("chain        {}", head.chain))
}

fn owner_text(engine: &Engine, owner: &SpaceOwner) -> String {
    match owner {
        SpaceOwner::Topic(name) => format!("topic {name}"),
        SpaceOwner::Keyspace(name) => {
            match engine.keyspace(name.as_str()).map(|keyspace| keyspace.retention()) {
                Ok(KeyspaceRetention::LatestOnly) => format!("keyspace {name} (latest only)"),
                _ => format!("keyspace {name}"),
            }
        }
        SpaceOwner::System => "system".into(),
        SpaceOwner::Dropped => "dropped".into(),
    }
}

fn print_space(
    space: &SpaceReport,
    owner_text: &dyn Fn(&SpaceOwner) -> String,
    out: &mut impl Write,
) -> Result<()> {
    let SpaceReport { sealed_len, active_len, reserved_len, reclaimable_len, .. } = space;
    line(out, format!("  sealed     {sealed_len} bytes"))?;
    line(out, format!("  active     {active_len} bytes, {reserved_len} more reserved"))?;
    for (owner, space) in &space.owners {
        let OwnedSpace { record_count, data_len } = space;
        line(
            out,
            format!("  of {}: {data_len} bytes in {record_count} records", owner_text(owner)),
        )?;
    }
    line(out, format!("reclaimable  about {reclaimable_len} bytes"))?;
    let (indexes, aside) = (space.index_len, space.quarantine_len);
    line(out, format!("beside       {indexes} bytes of indexes, {aside} in quarantine"))?;
    let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), |limit| limit.to_string());
    let (quota, min_free) = (limit(space.quota_bytes), limit(space.min_free_bytes));
    line(out, format!("free         {} bytes on the disk", space.free_len))?;
    line(out, format!("limits       quota {quota}, kept free {min_free}"))?;
    line(out, format!("writable     {} bytes", space.writable_len()))
}

/// Prints records as they lie in the log.
pub fn inspect(cli: &Cli, args: &Inspect, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    let log = engine.log();
    let from = Lsn::new(args.from).max(log.start_lsn());
    let mut scan = log.scan(from);
    for _ in 0..args.limit {
        let Some(record) = scan.next_record()? else { break };
        let view = &record.view;
        let (lsn, leaf, len) = (record.lsn, record.leaf(), view.payload_len);
        let key = view.key.map(String::from_utf8_lossy);
        if cli.json {
            line(
                out,
                json!({
                    "lsn": lsn.get(), "kind": view.kind.to_string(), "stream": view.stream.get(),
                    "sequence": view.sequence, "timestamp": view.timestamp.to_string(),
                    "key": key, "payload_len": len, "leaf": leaf.to_string(),
                }),
            )?;
        } else {
            let (kind, stream, sequence) = (view.kind, view.stream, view.sequence);
            line(
                out,
                format!("{lsn:>8} {kind:<14} stream {stream} #{sequence} {len} bytes, leaf {leaf}"),
            )?;
        }
    }
    Ok(())
}

/// Looks for what is wrong and says what to do.
pub fn doctor(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let found = look(cli)?;
    if cli.json {
        let (opens, tables) = (found.closed.is_none(), found.tables.as_deref());
        line(out, json!({ "opens": opens, "cause": found.closed, "tables": tables }))?;
    } else {
        let text = found.closed.as_ref().map_or("yes".to_owned(), |cause| format!("no: {cause}"));
        line(out, format!("opens: {text}"))?;
    }
    let (report, erasures) = run_verify(cli)?;
    print_report(cli, &report, erasures.as_ref(), out)?;
    let say = |text: &str, out: &mut _| if cli.json { Ok(()) } else { line(out, text) };
    if !report.is_intact() {
        say("what to do: copy the directory away, restore the files named above from a copy", out)?;
        if found.closed.is_some() {
            say("of theirs; without one `cairn repair` says what can be kept", out)?;
        } else {
            say("of theirs; the store opens, what is damaged is refused where it is read", out)?;
        }
        return Err(Damaged(report.damage.len()).into());
    }
    if let Some(error) = found.tables.or(found.closed) {
        say(
            "the log is intact, all else is made from it. What to do when the line below names",
            out,
        )?;
        say("files in `tables`: move that directory away and run a command that writes", out)?;
        return Err(Refused(error).into());
    }
    say("nothing is wrong", out)
}

/// What opening a store says of it.
struct Opened {
    /// Why it does not open.
    closed: Option<String>,
    /// What is wrong with its tables, when it opens.
    tables: Option<String>,
}

fn look(cli: &Cli) -> Result<Opened> {
    let error = match open_read_only(cli) {
        Ok(engine) => {
            let tables = engine.keys().verify_tables().err().map(|error| error.to_string());
            return Ok(Opened { closed: None, tables });
        }
        Err(error) => error,
    };
    let missing = error
        .downcast_ref::<cairndb::engine::Error>()
        .is_some_and(|e| matches!(e, cairndb::engine::Error::Log(Error::NoStore)));
    if missing || crate::exit::code(&error) != 3 {
        return Err(error);
    }
    Ok(Opened { closed: Some(format!("{error:#}")), tables: None })
}
