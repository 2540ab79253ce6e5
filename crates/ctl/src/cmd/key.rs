//! `key`: rotation of what the store is encrypted with.

use std::io::Write;

use anyhow::Result;
use cairndb::engine::{Engine, KeyStatus, KeyUse, Resealed};
use serde_json::{Value, json};

use super::auth::secrets;
use super::{line, open, open_read_only};
use crate::cli::Cli;
use crate::cli::key::{Key, Rotate};

/// Runs the command.
pub fn run(cli: &Cli, command: &Key, out: &mut impl Write) -> Result<()> {
    match command {
        Key::Rotate(args) => rotate(cli, args, out),
        Key::Rewrite => {
            let engine = open(cli)?;
            let resealed = rewrite(cli, &engine)?;
            let status = engine.encryption_status()?;
            engine.close()?;
            show(cli, &status, Some(&resealed), out)
        }
        Key::Status => show(cli, &open_read_only(cli)?.encryption_status()?, None, out),
    }
}

fn rotate(cli: &Cli, args: &Rotate, out: &mut impl Write) -> Result<()> {
    let new = match (&args.new_key_file, &args.new_key_command) {
        (Some(path), _) => Some(secrets::master_key_in(path)?),
        (None, Some(command)) => Some(secrets::master_key_of(command)?),
        (None, None) => None,
    };
    let engine = open(cli)?;
    let mut status = engine.rotate_encryption_key(new.as_ref().map(|key| key as _))?;
    let resealed = if args.rewrite { Some(rewrite(cli, &engine)?) } else { None };
    if resealed.is_some() {
        status = engine.encryption_status()?;
    }
    engine.close()?;
    show(cli, &status, resealed.as_ref(), out)
}

fn rewrite(cli: &Cli, engine: &Engine) -> Result<Resealed> {
    let progress = |done: usize, all: usize| {
        // Some twenty lines, however many segments there are.
        if !cli.json && done < all && done.is_multiple_of(all.div_ceil(20)) {
            anstream::eprintln!("cairn: sealing segment {} of {all}", done + 1);
        }
    };
    Ok(engine.reseal(Some(&progress))?)
}

fn show(
    cli: &Cli,
    status: &KeyStatus,
    resealed: Option<&Resealed>,
    out: &mut impl Write,
) -> Result<()> {
    if cli.json {
        return line(out, value(status, resealed));
    }
    if let Some(done) = resealed {
        let (segments, files) = (done.segments.replaced_count, done.file_count);
        let dropped = done.dropped_key_count;
        line(
            out,
            format!(
                "{segments} segments and {files} files sealed anew, {dropped} data keys dropped"
            ),
        )?;
    }
    let last = status.keys.len().saturating_sub(1);
    for (place, (key, used)) in status.keys.iter().enumerate() {
        let seals = if place == last { ", seals" } else { "" };
        let (number, outer) = (key.number, key.wrapped_by);
        line(out, format!("data key {number} under master key {outer}{seals}: {}", told(used)))?;
    }
    if status.plain != KeyUse::default() {
        line(out, format!("not encrypted: {}", told(&status.plain)))?;
    }
    if status.is_settled() {
        return line(out, "everything is sealed with the newest data key");
    }
    line(out, "`cairn key rewrite` seals what is older anew")
}

fn told(used: &KeyUse) -> String {
    let KeyUse { segment_count, segment_len, file_count } = used;
    format!("{segment_count} segments ({segment_len} bytes), {file_count} other files")
}

fn value(status: &KeyStatus, resealed: Option<&Resealed>) -> Value {
    let used = |used: &KeyUse| {
        json!({
            "segments": used.segment_count, "segment_bytes": used.segment_len,
            "files": used.file_count,
        })
    };
    let keys: Vec<Value> = status
        .keys
        .iter()
        .map(|(key, uses)| {
            json!({
                "number": key.number.get(), "master_key": key.wrapped_by.to_string(),
                "made_at_us": key.made_at.as_micros(), "needed_by": used(uses),
            })
        })
        .collect();
    let needed: Vec<String> = status.outer_keys().iter().map(ToString::to_string).collect();
    let mut value = json!({
        "data_keys": keys, "active": status.active().get(), "master_keys_needed": needed,
        "plain": used(&status.plain), "settled": status.is_settled(),
    });
    if let Some(done) = resealed {
        value["resealed"] = json!({
            "segments": done.segments.replaced_count, "files": done.file_count,
            "dropped_data_keys": done.dropped_key_count,
        });
    }
    value
}
