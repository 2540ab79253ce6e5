//! What a run is asked to do.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// Shown by `--help` and with every mistake.
pub const USAGE: &str = "\
usage: cargo xtask versus [log|kv] [FLAGS]

  log (without a word) compares logs, kv compares key-value engines.

  --quick           5 rounds of 80 ms, 20,000 records: a look, not a result
  --rounds N        rounds (7); Cairn and the other take turns within each
  --budget-ms N     time of one figure (300)
  --payload BYTES   length of a record (100)
  --records N       records in the log that is read and reopened (100000)
  --batch N         records in a batch (1000)
  --keys N          keys of the key-value engines (1000000; --quick 100000)
  --with-rocksdb    builds and runs RocksDB too, which takes many minutes
  --threads N[,N..] threads of the contended rows (8,32,128)
  --only LOG[,LOG]  only these other logs
  --work WORDS      only rows whose name holds these words
  --dir DIR         where data lies while it runs (target/versus/data)
  --out DIR         where versus-log.md and .csv, or versus-kv, go (target/versus)";

/// How much work a run does.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub payload_len: usize,
    pub batch_len: usize,
    /// Records in the log that is read and reopened: whole batches.
    pub record_count: u64,
    /// Keys of a key-value engine: whole batches.
    pub key_count: u64,
    /// Time after which a repeated operation stops.
    pub budget: Duration,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Logs,
    Stores,
}

/// The command line.
#[derive(Debug)]
pub struct Options {
    pub kind: Kind,
    pub rounds: usize,
    pub sizes: Sizes,
    pub threads: Vec<usize>,
    pub dir: PathBuf,
    pub out: PathBuf,
    pub only: Option<Vec<String>>,
    pub work: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: Kind::Logs,
            rounds: 7,
            sizes: Sizes {
                payload_len: 100,
                batch_len: 1000,
                record_count: 100_000,
                key_count: 1_000_000,
                budget: Duration::from_millis(300),
            },
            threads: vec![8, 32, 128],
            dir: "target/versus/data".into(),
            out: "target/versus".into(),
            only: None,
            work: String::new(),
        }
    }
}

impl Options {
    /// `None` when help was asked for. Later flags win, so `--quick` comes first.
    pub fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self::default();
        while let Some(flag) = arguments.next() {
            match flag.as_str() {
                "--help" | "-h" => return Ok(None),
                "log" => continue,
                // A feature of the build; here nothing is left to do.
                "--with-rocksdb" => continue,
                "kv" => {
                    options.kind = Kind::Stores;
                    continue;
                }
                "--quick" => {
                    options.rounds = 5;
                    options.sizes.budget = Duration::from_millis(80);
                    options.sizes.record_count = 20_000;
                    options.sizes.key_count = 100_000;
                    continue;
                }
                _ => {}
            }
            let value =
                arguments.next().with_context(|| format!("{flag} needs a value\n\n{USAGE}"))?;
            options.set(&flag, &value).with_context(|| format!("{flag} {value}"))?;
        }
        options.check()?;
        Ok(Some(options))
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<()> {
        let sizes = &mut self.sizes;
        match flag {
            "--rounds" => self.rounds = value.parse()?,
            "--budget-ms" => sizes.budget = Duration::from_millis(value.parse()?),
            "--payload" => sizes.payload_len = value.parse()?,
            "--records" => sizes.record_count = value.parse()?,
            "--keys" => sizes.key_count = value.parse()?,
            "--batch" => sizes.batch_len = value.parse()?,
            "--threads" => {
                let counts: Result<Vec<usize>, _> = value.split(',').map(str::parse).collect();
                self.threads = counts?;
            }
            "--only" => self.only = Some(value.split(',').map(str::to_owned).collect()),
            "--work" => value.clone_into(&mut self.work),
            "--dir" => self.dir = value.into(),
            "--out" => self.out = value.into(),
            _ => bail!("there is no such flag\n\n{USAGE}"),
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        let sizes = &mut self.sizes;
        // Eight bytes of a payload are its number, by which a read is checked.
        if self.rounds == 0 || sizes.payload_len < 8 || sizes.batch_len == 0 {
            bail!("at least one round, 8 bytes a record, one record a batch\n\n{USAGE}");
        }
        if self.threads.iter().any(|count| *count == 0 || *count > 256) {
            bail!("from 1 to 256 threads\n\n{USAGE}");
        }
        let batch_len = sizes.batch_len as u64;
        sizes.record_count -= sizes.record_count % batch_len;
        sizes.key_count -= sizes.key_count % batch_len;
        if sizes.record_count.min(sizes.key_count) < batch_len.max(200) {
            bail!("at least one batch and 200 records to read\n\n{USAGE}");
        }
        Ok(())
    }
}
