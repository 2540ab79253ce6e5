//! `verify-proof`: needs the file and the public key, and no store.

use std::io::Write;

use anyhow::{Result, bail};
use cairndb::engine::proof::check::{self, Checked};
use cairndb::engine::proof::key_proof::{HEADER, KeyProofFile};
use cairndb::merkle::map::{Absence, Question, Verdict, VersionLeaf};
use serde_json::{Value, json};

use super::heads::parse_keys;
use super::read;
use crate::cli::Cli;
use crate::cli::proof::VerifyProof;
use crate::cmd::line;
use crate::exit::Refused;

/// Checks a proof.
pub fn verify_proof(cli: &Cli, args: &VerifyProof, out: &mut impl Write) -> Result<()> {
    let keys = parse_keys(&args.vkeys)?;
    let bytes = read(&args.file)?;
    let leaf = args.leaf.as_deref().map(read).transpose()?;
    let payload = args.payload.as_deref().map(read).transpose()?;
    if !bytes.starts_with(HEADER.as_bytes()) {
        // A file that is not in its exact form shows nothing, like one that is forged.
        let checked = check::record(&bytes, leaf.as_deref(), &keys).map_err(refused)?;
        if let Some(payload) = &payload {
            checked.check_payload(payload)?;
        }
        return print_record(cli, &checked, payload.is_some(), out);
    }
    let file = KeyProofFile::parse(&bytes).map_err(refused)?;
    if leaf.is_some_and(|leaf| leaf != file.record.extra()) {
        bail!(Refused("refused: the leaf given is not the one in the file".into()));
    }
    let checked = file.check(&keys).map_err(refused)?;
    if let Some(payload) = &payload {
        let holds = matches!(&checked.verdict, Verdict::Value(p) if p.version.holds(payload));
        if !holds {
            bail!(Refused("refused: the payload is not the value that is proven".into()));
        }
    }
    print_key(cli, &file, &checked.verdict, &checked.record, checked.head.revision, out)
}

/// Whatever is wrong with a proof file, it is not believed.
fn refused(error: cairndb::engine::proof::Error) -> Refused {
    let text = error.to_string();
    if text.starts_with("refused") { Refused(text) } else { Refused(format!("refused: {text}")) }
}

fn print_record(cli: &Cli, checked: &Checked, payload: bool, out: &mut impl Write) -> Result<()> {
    let key = checked.key.as_deref().map(String::from_utf8_lossy);
    let (lsn, size, origin) = (checked.lsn, checked.head.size, &checked.origin);
    if cli.json {
        return line(
            out,
            json!({
                "origin": origin, "lsn": lsn.get(), "size": size,
                "root": checked.head.root.to_base64(), "kind": checked.kind.to_string(),
                "stream": checked.stream.get(), "sequence": checked.sequence,
                "timestamp": checked.timestamp.to_string(), "key": key,
                "payload_len": checked.payload_len,
                "payload_sha256": checked.payload_hash.to_string(), "payload_checked": payload,
            }),
        );
    }
    line(out, format!("holds: record {lsn} of the {size} that {origin} signed"))?;
    let (kind, stream, sequence) = (checked.kind, checked.stream, checked.sequence);
    line(out, format!("{kind} {sequence} of stream {stream}, {}", checked.timestamp))?;
    if let Some(key) = key {
        line(out, format!("key {key}"))?;
    }
    let (len, hash) = (checked.payload_len, checked.payload_hash);
    let compared = if payload { ", the one given" } else { "" };
    line(out, format!("payload of {len} bytes, SHA-256 {hash}{compared}"))
}

fn version_value(version: &VersionLeaf) -> Value {
    json!({
        "revision": version.modified.main, "create_revision": version.created,
        "version": version.version, "lease": version.lease, "deleted": version.tombstone,
        "lsn": version.lsn.get(), "payload_sha256": version.payload_hash.to_string(),
    })
}

/// The answer of a key proof as JSON.
pub fn verdict_value(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Value(proven) => json!({
            "is": "value", "version": version_value(&proven.version),
            "index": proven.index, "versions": proven.count,
        }),
        Verdict::Absent(Absence::Never) => json!({ "is": "absent", "why": "never written" }),
        Verdict::Absent(Absence::NotYet(first)) => {
            json!({ "is": "absent", "why": "not yet written", "first": version_value(first) })
        }
        Verdict::Absent(Absence::Deleted(proven)) => {
            json!({ "is": "absent", "why": "deleted", "version": version_value(&proven.version) })
        }
        Verdict::History(versions) => {
            let versions: Vec<Value> = versions.iter().map(version_value).collect();
            json!({ "is": "history", "versions": versions })
        }
    }
}

fn version_text(version: &VersionLeaf) -> String {
    let (revision, hash) = (version.modified.main, version.payload_hash);
    match version.tombstone {
        true => format!("revision {revision}: deleted"),
        false => format!("revision {revision}: version {}, SHA-256 {hash}", version.version),
    }
}

fn print_key(
    cli: &Cli,
    file: &KeyProofFile,
    verdict: &Verdict,
    record: &Checked,
    revision: u64,
    out: &mut impl Write,
) -> Result<()> {
    let key = String::from_utf8_lossy(&file.key);
    let question = match file.question {
        Question::At(revision) => format!("at revision {revision}"),
        Question::Newest => "newest".to_owned(),
        Question::History => "history".to_owned(),
    };
    if cli.json {
        return line(
            out,
            json!({
                "origin": record.origin, "map_root": record.lsn.get(), "size": record.head.size,
                "keyspace": file.keyspace, "key": key, "question": question,
                "as_of": revision, "answer": verdict_value(verdict),
            }),
        );
    }
    let (origin, keyspace) = (&record.origin, file.keyspace);
    line(out, format!("holds: signed by {origin}, as of revision {revision}"))?;
    line(out, format!("key {key} of keyspace {keyspace}, {question}:"))?;
    match verdict {
        Verdict::Value(proven) => line(out, version_text(&proven.version)),
        Verdict::Absent(Absence::Never) => line(out, "was never written"),
        Verdict::Absent(Absence::NotYet(first)) => {
            line(out, format!("was not there; first written in {}", version_text(first)))
        }
        Verdict::Absent(Absence::Deleted(proven)) => {
            line(out, format!("was not there; {}", version_text(&proven.version)))
        }
        Verdict::History(versions) => {
            line(out, format!("{} versions, none left out", versions.len()))?;
            versions.iter().try_for_each(|version| line(out, version_text(version)))
        }
    }
}
