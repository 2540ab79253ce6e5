//! `head`, `vkey`, `checkpoint`, `consistency`, `verify --against`, `tiles`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use cairndb::engine::proof::Standing;
use cairndb::merkle::log::{TreeHead, consistency as check};
use cairndb::merkle::note::{Checkpoint as Text, Note, Signer, Verifier};
use cairndb::prelude::{Lsn, Timestamp};
use cairndb::vfs::StdVfs;
use serde_json::json;

use super::{read, write};
use crate::cli::Cli;
use crate::cli::proof::{Checkpoint, Consistency, Tiles, Verify, Vkey};
use crate::cmd::{check as store, line, open, open_read_only};
use crate::exit::Refused;

/// Prints size and root of the tree, and what was signed.
pub fn head(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    let proofs = engine.proofs()?;
    proofs.catch_up()?;
    let (head, signed) = (proofs.head()?, proofs.last_signed()?);
    let start = proofs.minimum_index();
    if cli.json {
        let signed = signed.map(|head| json!({ "size": head.size, "root": head.root.to_base64() }));
        return line(
            out,
            json!({
                "size": head.size, "root": head.root.to_base64(), "minimum_index": start.get(),
                "signed": signed,
            }),
        );
    }
    line(out, format!("size     {}", head.size))?;
    line(out, format!("root     {}", head.root.to_base64()))?;
    line(out, format!("first    {start}"))?;
    match signed {
        Some(signed) => line(out, format!("signed   {} {}", signed.size, signed.root.to_base64())),
        None => line(out, "signed   nothing yet"),
    }
}

/// Prints the public key; chooses the name, rotates or takes a key over.
pub fn vkey(cli: &Cli, args: &Vkey, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    let proofs = engine.proofs()?;
    let key = if let Some(origin) = &args.origin {
        proofs.set_origin(origin)?
    } else if let Some(file) = &args.import {
        let text = String::from_utf8(read(file)?).context("the key is not text")?;
        proofs.supply_key(&Signer::parse(text.trim_end())?)?
    } else if args.rotate {
        proofs.rotate_key()?
    } else {
        proofs.verifier()?
    };
    let keys = if args.all { proofs.verifiers()? } else { vec![key] };
    for key in keys {
        if cli.json {
            let (name, id, vkey) = (key.name().as_str(), key.id().to_string(), key.to_string());
            line(out, json!({ "name": name, "id": id, "vkey": vkey }))?;
        } else {
            line(out, key)?;
        }
    }
    Ok(engine.close()?)
}

/// Lists the keys that sign this log, and those that did.
pub fn keys(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    for key in engine.proofs()?.signing_keys()? {
        let (name, id) = (key.verifier.name().as_str(), key.verifier.id().to_string());
        let (since, until) = (key.recorded, key.replaced);
        let time = |place: Option<(_, Timestamp)>| place.map(|(_, time)| time.to_string());
        if cli.json {
            let lsn = |place: Option<(Lsn, _)>| place.map(|(lsn, _)| lsn.get());
            line(
                out,
                json!({
                    "name": name, "id": id, "vkey": key.verifier.to_string(),
                    "current": key.is_current, "created": time(since), "created_lsn": lsn(since),
                    "replaced": time(until), "replaced_lsn": lsn(until),
                }),
            )?;
            continue;
        }
        let since = time(since).unwrap_or_else(|| "before what is kept".to_owned());
        let state = match time(until) {
            _ if key.is_current => "signs now".to_owned(),
            Some(until) => format!("replaced {until}"),
            None => "its private key is not here".to_owned(),
        };
        line(out, format!("{name} {id}  since {since}, {state}"))?;
    }
    Ok(())
}

/// Signs the head.
pub fn checkpoint(cli: &Cli, args: &Checkpoint, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    let signed = engine.proofs()?.checkpoint()?;
    let text = signed.note.to_string();
    if let Some(file) = &args.out {
        write(file, &text)?;
    }
    let (size, root) = (signed.head.size, signed.head.root.to_base64());
    if cli.json {
        line(out, json!({ "size": size, "root": root, "checkpoint": text }))?;
    } else if args.out.is_some() {
        line(out, format!("signed {size} records, root {root}"))?;
    } else {
        write!(out, "{text}")?;
    }
    Ok(engine.close()?)
}

/// A size that was given, or the head of a checkpoint in a file.
fn size_of(text: &str) -> Result<(u64, Option<TreeHead>)> {
    if let Ok(size) = text.parse() {
        return Ok((size, None));
    }
    let note = Note::parse(&read(Path::new(text))?)?;
    let head = *note.text().parse::<Text>()?.head();
    Ok((head.size, Some(head)))
}

/// Prints the hashes that show that the log only grew.
pub fn consistency(cli: &Cli, args: &Consistency, out: &mut impl Write) -> Result<()> {
    let ((old, old_said), (new, new_said)) = (size_of(&args.old)?, size_of(&args.new)?);
    let engine = open_read_only(cli)?;
    let proofs = engine.proofs()?;
    let proof = proofs.consistency(old, new)?;
    let head = |size, said: Option<TreeHead>| -> Result<TreeHead> {
        let found = TreeHead { size, root: proofs.root_at(size)? };
        match said {
            Some(said) if said != found => {
                let (said, found) = (said.root.to_base64(), found.root.to_base64());
                let text = format!("this log has the root {found} at size {size}, not {said}");
                Err(Refused(text).into())
            }
            _ => Ok(found),
        }
    };
    let (old, new) = (head(old, old_said)?, head(new, new_said)?);
    check::verify(&old, &new, &proof)?;
    let hashes: Vec<String> = proof.iter().map(|hash| hash.to_base64()).collect();
    if cli.json {
        let named = |head: &TreeHead| json!({ "size": head.size, "root": head.root.to_base64() });
        return line(out, json!({ "old": named(&old), "new": named(&new), "proof": hashes }));
    }
    line(out, format!("old {} {}", old.size, old.root.to_base64()))?;
    line(out, format!("new {} {}", new.size, new.root.to_base64()))?;
    hashes.iter().try_for_each(|hash| line(out, hash))
}

/// Checks every byte, and holds the log against a checkpoint.
pub fn verify_against(cli: &Cli, args: &Verify, note: &Path, out: &mut impl Write) -> Result<()> {
    let keys = parse_keys(&args.vkeys)?;
    let note = Note::parse(&read(note)?)?;
    if !cli.json {
        store::verify(cli, out)?;
    }
    let engine = open_read_only(cli)?;
    let against = engine.proofs()?.verify_against(&note, &keys)?;
    let size = against.head.size;
    let (standing, text) = match against.standing {
        Standing::Continues { further } => {
            ("continues", format!("begins with the checkpoint's {size} records, {further} follow"))
        }
        Standing::RolledBack { missing } => (
            "rolled-back",
            format!("ends before the checkpoint's {size} records: {missing} are missing"),
        ),
        Standing::Forked { found } => (
            "forked",
            format!("has another past: at size {size} its root is {}", found.to_base64()),
        ),
    };
    let signed_by = &against.signed_by;
    if cli.json {
        line(
            out,
            json!({
                "standing": standing, "size": size, "origin": against.origin,
                "signed_by": signed_by, "consistent": against.is_consistent(),
            }),
        )?;
    } else if signed_by.is_empty() {
        line(out, "the checkpoint is signed by no key that is known here; name one with --vkey")?;
    } else {
        line(out, format!("the checkpoint is signed by {}", signed_by.join(", ")))?;
    }
    if !against.is_consistent() {
        return Err(Refused(format!("the log {text}")).into());
    }
    if cli.json { store_is_intact(cli) } else { line(out, format!("the log {text}")) }
}

/// With JSON the report is one value: damage shows as the exit code.
fn store_is_intact(cli: &Cli) -> Result<()> {
    store::verify(cli, &mut std::io::sink())
}

/// Public keys from their text.
pub fn parse_keys(texts: &[String]) -> Result<Vec<Verifier>> {
    texts.iter().map(|text| text.parse().context("not a verifier key")).collect()
}

/// The tree as static files.
pub fn tiles(cli: &Cli, command: &Tiles, out: &mut impl Write) -> Result<()> {
    let Tiles::Export { dir } = command;
    if dir.join("CAIRN").exists() {
        bail!("{} is a store; export into another directory", dir.display());
    }
    let engine = open(cli)?;
    let target = StdVfs::create(dir).with_context(|| dir.display().to_string())?;
    let done = engine.proofs()?.export_tiles(Arc::new(target))?;
    let (size, tiles, bundles) = (done.head.size, done.tile_count, done.bundle_count);
    if cli.json {
        line(
            out,
            json!({
                "size": size, "root": done.head.root.to_base64(), "tiles": tiles,
                "bundles": bundles, "missing_bundles": done.missing_bundle_count,
            }),
        )?;
    } else {
        line(out, format!("{tiles} tiles and {bundles} bundles of entries for {size} records"))?;
        if done.missing_bundle_count > 0 {
            let missing = done.missing_bundle_count;
            line(out, format!("{missing} bundles are left out: records of them were dropped"))?;
        }
    }
    Ok(engine.close()?)
}
