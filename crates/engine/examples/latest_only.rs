//! Space on the disk: after a load, after every key was overwritten, after compaction, merges
//! and cleaning; of a ledger and of a keyspace that keeps only the latest.
//!
//! `cargo run --release -p cairn-engine --example latest_only -- [KEYS] [VALUE_LEN] [BATCH] [none|lz4|zstd]`

use std::path::Path;
use std::time::Instant;

use cairn_engine::{CleanKeys, Engine, KeyspaceRetention};
use cairn_segment::{Compression, LogConfig};
use cairn_types::Durability;
use cairn_vfs::{Rng, SeededRng};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

struct Load {
    keys: u64,
    value_len: usize,
    batch: u64,
    compression: Compression,
}

impl Load {
    fn from_arguments() -> Outcome<Self> {
        let mut arguments = std::env::args().skip(1);
        let mut number =
            |default: u64| arguments.next().map_or(Ok(default), |argument| argument.parse::<u64>());
        let (keys, value_len, batch) = (number(1_000_000)?, number(100)?, number(1000)?);
        let compression = match arguments.next().as_deref() {
            None | Some("none") => Compression::None,
            Some("lz4") => Compression::Lz4,
            Some("zstd") => Compression::Zstd { level: 1 },
            Some(other) => return Err(format!("no codec {other}").into()),
        };
        Ok(Self { keys, value_len: usize::try_from(value_len)?, batch: batch.max(1), compression })
    }

    /// Half of a value is random, so that a codec halves it.
    fn value(&self, rng: &SeededRng) -> Vec<u8> {
        let mut value = vec![b'.'; self.value_len];
        for piece in value.chunks_mut(16).step_by(2) {
            let random = [rng.next_u64().to_le_bytes(), rng.next_u64().to_le_bytes()].concat();
            let len = piece.len();
            piece.copy_from_slice(random.get(..len).unwrap_or(&random));
        }
        value
    }

    fn write(&self, engine: &Engine, space: &str, round: u64) -> Outcome<()> {
        let rng = SeededRng::new(round);
        let space = engine.keyspace(space)?;
        for first in (0..self.keys).step_by(usize::try_from(self.batch)?) {
            let numbers = first..(first + self.batch).min(self.keys);
            // Spread over the keys, as if they were random.
            let key = |number: u64| {
                let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                [hash.to_be_bytes(), number.to_be_bytes()].concat()
            };
            space.put_all(numbers.map(|number| (key(number), self.value(&rng))))?;
        }
        Ok(())
    }
}

fn len_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| entry.metadata().map_or(0, |meta| meta.len())).sum()
}

fn show(what: &str, dir: &Path, engine: &Engine, raw: f64) -> Outcome<()> {
    // Without what is reserved for records to come.
    let log = engine.log().stats()?.stored_len;
    let tables = len_of(&dir.join("tables"));
    let share = |len: u64| len as f64 / raw;
    println!(
        "  {what:<34} log {:6.1} MB ({:.2}x)  tables {:6.1} MB ({:.2}x)  together {:.2}x raw",
        log as f64 / 1e6,
        share(log),
        tables as f64 / 1e6,
        share(tables),
        share(log + tables),
    );
    Ok(())
}

fn main() -> Outcome<()> {
    let load = Load::from_arguments()?;
    let raw = load.keys as f64 * (16 + load.value_len) as f64;
    println!(
        "{} keys of 16 B, values of {} B, batches of {}, {:?}, raw {:.1} MB",
        load.keys,
        load.value_len,
        load.batch,
        load.compression,
        raw / 1e6
    );
    for retention in [KeyspaceRetention::Forever, KeyspaceRetention::LatestOnly] {
        let dir = tempfile::tempdir()?;
        let config = LogConfig {
            segment_size: 32 << 20,
            durability: Durability::Buffered,
            compression: load.compression,
            ..LogConfig::default()
        };
        let engine = Engine::open_with(dir.path(), config)?;
        engine.create_keyspace_with("k", retention)?;
        println!("{retention}");
        // What is done below is not to be done by the background before.
        engine.keys().clean_by_owner(true);
        load.write(&engine, "k", 0)?;
        engine.keys().flush()?;
        show("after the load", dir.path(), &engine, raw)?;
        for round in 1..=2 {
            load.write(&engine, "k", round)?;
            engine.keys().compact(engine.revision())?;
            engine.keys().merge_tables()?;
            show("all overwritten, compacted, merged", dir.path(), &engine, raw)?;
            let start = Instant::now();
            let all = CleanKeys { dead_share: 0.0, roll: true, ..CleanKeys::default() };
            let cleaned = engine.clean_keyspaces(&all)?;
            show("cleaned", dir.path(), &engine, raw)?;
            println!(
                "    {} records dropped in {:.2} s",
                cleaned.dropped_count,
                start.elapsed().as_secs_f64()
            );
        }
        engine.close()?;
    }
    Ok(())
}
