//! The part of the tour about proofs: made with the store, checked without it.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use cairndb::engine::proof::{KeyProofFile, check};
use cairndb::merkle::map::{Question, Verdict};
use cairndb::prelude::*;

use super::write;
use crate::cmd::line;

/// Proves an earthquake and an airport, checks both files, changes them, and checks again.
pub fn tour(engine: &Engine, topic: &str, dir: &Path, out: &mut impl Write) -> Result<()> {
    let proofs = engine.proofs()?;
    let vkey = proofs.verifier()?;
    line(out, format!("   the log signs as {vkey}"))?;
    let quake = proofs.prove_event(topic, 0, 1000)?;
    let keys = [vkey];
    let (size, len) = (quake.head.size, quake.file.to_string().len());
    write(&dir.join("quake.tlog-proof"), quake.file.to_string())?;
    line(out, format!("   earthquake 1000: {len} bytes, against a signed head of {size} records"))?;
    let bytes = super::read(&dir.join("quake.tlog-proof"))?;
    let checked = check::record(&bytes, None, &keys)?;
    let event = engine.log().read(checked.lsn)?;
    checked.check_payload(&event.payload.unwrap_or_default())?;
    let (lsn, hash) = (checked.lsn, checked.payload_hash);
    line(out, format!("   checked offline: record {lsn}, payload {hash}"))?;

    let airport = proofs.prove_map("airports", b"SFO", Question::Newest)?;
    let text = airport.file.to_string();
    let Verdict::Value(proven) = KeyProofFile::parse(text.as_bytes())?.check(&keys)?.verdict else {
        bail!("SFO is there");
    };
    let (revision, count) = (proven.version.modified.main, proven.count);
    line(
        out,
        format!("   SFO: newest of {count} versions is of revision {revision}; nothing left out"),
    )?;
    let absent = proofs.prove_map("airports", b"QQQ", Question::Newest)?;
    match absent.file.check(&keys)?.verdict {
        Verdict::Absent(_) => line(out, "   QQQ: proven never to have been written")?,
        verdict => bail!("QQQ is not there, but {verdict:?}"),
    }
    refuse(&bytes, |bytes| check::record(bytes, None, &keys).map(drop), "earthquake", out)?;
    let checks = |bytes: &[u8]| KeyProofFile::parse(bytes)?.check(&keys).map(drop);
    refuse(text.as_bytes(), checks, "airport", out)
}

/// Changes one byte of a proof in many places, and shows that none of them passes.
fn refuse(
    bytes: &[u8],
    check: impl Fn(&[u8]) -> cairndb::engine::proof::Result<()>,
    what: &str,
    out: &mut impl Write,
) -> Result<()> {
    let mut last = None;
    let places = (bytes.len() / 4..bytes.len()).step_by(7);
    let count = places.clone().count();
    for place in places {
        let mut changed = bytes.to_vec();
        changed[place] ^= 1;
        match check(&changed) {
            Ok(()) => bail!("a changed proof was believed (byte {place})"),
            Err(error) => last = Some(error),
        }
    }
    if let Some(error) = last {
        line(
            out,
            format!(
                "   {count} times one bit of the {what}'s proof was flipped, all refused: {error}"
            ),
        )?;
    }
    Ok(())
}
