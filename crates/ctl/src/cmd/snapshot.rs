//! `snapshot`: export, import, link.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use cairndb::log::verify_store;
use cairndb::prelude::*;
use cairndb::vfs::StdVfs;
use serde_json::json;

use super::{codecs, line, open_read_only};
use crate::cli::Cli;
use crate::cli::keys::Snapshot;
use crate::exit::Damaged;

/// Runs a command about snapshots.
pub fn run(cli: &Cli, command: &Snapshot, out: &mut impl Write) -> Result<()> {
    match command {
        Snapshot::Export { file, rev, until, from_chunk } => {
            let at = match (rev, until) {
                (Some(revision), _) => SnapshotAt::Revision(*revision),
                (None, Some(lsn)) => SnapshotAt::Lsn(Lsn::new(*lsn)),
                (None, None) => SnapshotAt::Newest,
            };
            export(cli, file, at, *from_chunk, out)
        }
        Snapshot::Import { file } => import(cli, file, out),
        Snapshot::Link { dir } => link(cli, dir, out),
    }
}

fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes a snapshot to a file or to standard output; what it is goes to standard error then.
fn export(
    cli: &Cli,
    file: &Path,
    at: SnapshotAt,
    from_chunk: u64,
    out: &mut impl Write,
) -> Result<()> {
    let engine = open_read_only(cli)?;
    let snapshot = engine.snapshot(at)?;
    let written = if is_pipe(file) {
        snapshot.write_to(out, from_chunk, None)?
    } else {
        let mut options = OpenOptions::new();
        let target = options.write(true).create_new(true).mode(0o600).open(file);
        let target = target.with_context(|| file.display().to_string())?;
        let mut buffered = BufWriter::with_capacity(1 << 20, target);
        let bar = indicatif::ProgressBar::new(snapshot.manifest().total_len);
        let progress = |done, _| bar.set_position(done);
        let written = snapshot.write_to(&mut buffered, from_chunk, Some(&progress))?;
        bar.finish_and_clear();
        buffered.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        written
    };
    let manifest = snapshot.manifest();
    let id: String = snapshot.id().iter().map(|byte| format!("{byte:02x}")).collect();
    let (end, revision) = (manifest.end_lsn, manifest.revision);
    let text = if cli.json {
        json!({
            "snapshot": id, "end_lsn": end.get(), "revision": revision,
            "chunks": manifest.chunk_count, "written_chunks": written.chunk_count,
            "bytes": written.len,
        })
        .to_string()
    } else {
        let (count, all, len) = (written.chunk_count, manifest.chunk_count, written.len);
        format!(
            "snapshot {id}: revision {revision}, records up to LSN {end}; {count} of {all} chunks, {len} bytes"
        )
    };
    if is_pipe(file) {
        anstream::eprintln!("{text}");
        return Ok(());
    }
    line(out, text)
}

/// Makes a store from a snapshot, or goes on with that.
fn import(cli: &Cli, file: &Path, out: &mut impl Write) -> Result<()> {
    let mut input: Box<dyn Read> = if is_pipe(file) {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).with_context(|| file.display().to_string())?))
    };
    let codecs = codecs(cli)?;
    let vfs = StdVfs::create(&cli.store).with_context(|| cli.store.display().to_string())?;
    let mut import = SnapshotImport::open(Arc::new(vfs))?;
    let resumed_at = import.next_chunk();
    let bar = indicatif::ProgressBar::new(0);
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    import.read_from(&mut input, Some(&progress))?;
    bar.finish_and_clear();
    if input.read(&mut [0])? > 0 {
        bail!("bytes follow the end of the snapshot; the store was not made");
    }
    let done = import.finish(&codecs)?;
    let (records, end, revision) = (done.record_count, done.end_lsn, done.revision);
    if cli.json {
        return line(
            out,
            json!({
                "records": records, "end_lsn": end.get(), "revision": revision,
                "bytes": done.len, "resumed_at_chunk": resumed_at,
            }),
        );
    }
    line(out, format!("imported {records} records up to LSN {end}, revision {revision}; verified"))
}

/// Links sealed segments into another directory and copies the last one.
fn link(cli: &Cli, dir: &Path, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    let vfs = StdVfs::create(dir).with_context(|| dir.display().to_string())?;
    let done = engine.log().link_checkpoint(&vfs)?;
    let report = verify_store(&vfs, &codecs(cli)?, &VerifyOptions::default())?;
    if !report.is_intact() {
        for damage in &report.damage {
            line(out, format!("damaged in the checkpoint: {damage}"))?;
        }
        return Err(Damaged(report.damage.len()).into());
    }
    let (linked, kept, copied) = (done.linked_count, done.kept_count, done.copied_count);
    let (len, end) = (done.len, done.end_lsn);
    if cli.json {
        return line(
            out,
            json!({
                "end_lsn": end.get(), "segments_linked": linked, "segments_kept": kept,
                "segments_copied": copied, "bytes": len,
            }),
        );
    }
    line(
        out,
        format!(
            "{linked} segments linked, {kept} were there, {copied} copied ({len} bytes); verified up to LSN {end}"
        ),
    )
}
