//! How long a log of 1 GiB takes to open: after a clean close, and with its index files gone.
//!
//! `cargo run --release -p cairndb --example open_time -- DIR`; DIR must not exist.

use cairndb::log::{Draft, Log, LogConfig, RecordDraft, RecordKind};
use cairndb::prelude::*;
use cairndb::types::StreamId;
use cairndb::vfs::StdVfs;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).ok_or("give a directory")?);
    if dir.exists() {
        return Err("the directory exists".into());
    }
    let open = || -> Result<Log, Box<dyn std::error::Error>> {
        let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
        Ok(Log::options().vfs(Arc::new(StdVfs::create(&dir)?)).config(config).open()?)
    };
    let log = open()?;
    let mut draft = Draft::new();
    for _ in 0..1000 {
        draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), &[7; 100])?;
    }
    while log.stats()?.stored_len < 1 << 30 {
        for _ in 0..100 {
            log.append(&draft)?;
        }
    }
    // A child that does the same and dies without closing leaves this state behind.
    let killed = std::process::Command::new("cp")
        .arg("-r")
        .arg(&dir)
        .arg(dir.with_extension("killed"))
        .status()?;
    drop(log);
    let start = Instant::now();
    let log = open()?;
    println!("clean close: {:?}, {:?}", start.elapsed(), log.stats()?.visible_end);
    drop(log);
    let start = Instant::now();
    let engine = Engine::open(&dir)?;
    println!("engine, clean close: {:?}, revision {}", start.elapsed(), engine.revision());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("RssAnon")) {
        println!(
            "memory of this process beside mapped files: {}",
            line.trim_start_matches("RssAnon:").trim()
        );
    }
    drop(engine);
    let start = Instant::now();
    let report = Log::open_read_only(&dir)?.verify(&VerifyOptions::default())?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "verify: {:.2} GB/s with two threads, intact: {}",
        report.len as f64 / seconds / 1e9,
        report.is_intact()
    );
    if killed.success() {
        let start = Instant::now();
        let log = Log::open(dir.with_extension("killed"))?;
        println!("killed: {:?}, {:?}", start.elapsed(), log.recovery_report());
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(std::fs::remove_dir_all(dir.with_extension("killed"))?)
}
