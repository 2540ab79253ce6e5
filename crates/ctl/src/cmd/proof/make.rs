//! `prove`.

use std::io::Write;

use anyhow::{Context, Result, bail};
use cairndb::engine::proof::{KeyProven, Proofs, Proven};
use cairndb::merkle::map::{Question, Verdict};
use cairndb::prelude::*;
use serde_json::json;

use super::offline::verdict_value;
use super::write;
use crate::cli::Cli;
use crate::cli::proof::{Prove, Subject};
use crate::cmd::{line, open};
use crate::exit::NotFound;

/// Writes a proof.
pub fn prove(cli: &Cli, args: &Prove, out: &mut impl Write) -> Result<()> {
    let Subject { lsn, event, key, absent, history, current } = &args.subject;
    if args.rev.is_some() && key.is_none() && absent.is_none() && current.is_none() {
        bail!("--rev goes with --key, --current and --absent");
    }
    let engine = open(cli)?;
    let proofs = engine.proofs()?;
    let at = args.rev.map_or(Question::Newest, Question::At);
    let space = &args.space.keyspace;
    if let Some(key) = history {
        let shown = proofs.prove_map(space, key.as_bytes(), Question::History)?;
        about_key(cli, args, &proofs, &shown, out)?;
    } else if let Some(key) = absent.as_ref().or(current.as_ref()) {
        let shown = proofs.prove_map(space, key.as_bytes(), at)?;
        let verdict = shown.file.check(&[proofs.verifier()?])?.verdict;
        match (absent, &verdict) {
            (Some(key), Verdict::Value(proven)) => {
                let revision = proven.version.modified.main;
                bail!("{key} was there, since revision {revision}; prove it with --current");
            }
            (None, Verdict::Absent(_)) => {
                return Err(NotFound(format!("there is no key {key}")).into());
            }
            _ => about_key(cli, args, &proofs, &shown, out)?,
        }
    } else {
        let shown = if let Some(lsn) = lsn {
            proofs.prove_lsn(Lsn::new(*lsn))?
        } else if let Some(key) = key {
            proofs.prove_key(space, key.as_bytes(), args.rev.unwrap_or(0))?
        } else {
            let (topic, partition, offset) =
                event.as_deref().and_then(place_of).context("not TOPIC/PARTITION/OFFSET")?;
            proofs.prove_event(topic, partition, offset)?
        };
        about_record(cli, args, &proofs, &shown, out)?;
    }
    Ok(engine.close()?)
}

/// `TOPIC/PARTITION/OFFSET`.
pub fn place_of(text: &str) -> Option<(&str, u32, u64)> {
    let (rest, offset) = text.rsplit_once('/')?;
    let (topic, partition) = rest.rsplit_once('/')?;
    Some((topic, partition.parse().ok()?, offset.parse().ok()?))
}

fn about_record(
    cli: &Cli,
    args: &Prove,
    proofs: &Proofs,
    shown: &Proven,
    out: &mut impl Write,
) -> Result<()> {
    write(&args.out, shown.file.to_string())?;
    if let Some(file) = &args.leaf_out {
        write(file, &shown.leaf)?;
    }
    let (lsn, size, vkey) = (shown.lsn, shown.head.size, proofs.verifier()?.to_string());
    if cli.json {
        let root = shown.head.root.to_base64();
        return line(out, json!({ "lsn": lsn.get(), "size": size, "root": root, "vkey": vkey }));
    }
    line(out, format!("record {lsn} of {size} is proven; check with"))?;
    line(out, format!("cairn verify-proof {} --vkey {vkey}", args.out.display()))
}

fn about_key(
    cli: &Cli,
    args: &Prove,
    proofs: &Proofs,
    shown: &KeyProven,
    out: &mut impl Write,
) -> Result<()> {
    let keys = [proofs.verifier()?];
    let checked = shown.file.check(&keys).context("the proof just made does not hold")?;
    write(&args.out, shown.file.to_string())?;
    if let Some(file) = &args.leaf_out {
        write(file, shown.file.record.extra())?;
    }
    let vkey = keys[0].to_string();
    if cli.json {
        return line(
            out,
            json!({
                "map_root": shown.lsn.get(), "revision": shown.revision,
                "size": shown.head.size, "answer": verdict_value(&checked.verdict), "vkey": vkey,
            }),
        );
    }
    let revision = shown.revision;
    line(out, format!("proven as of revision {revision}; check with"))?;
    line(out, format!("cairn verify-proof {} --vkey {vkey}", args.out.display()))
}
