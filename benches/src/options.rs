//! What a run is asked to do.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// Shown by `--help` and with every mistake.
pub const USAGE: &str = "\
usage: cargo xtask versus [log|kv|table|space|proof|seeds|report] [FLAGS]

  log      logs: appends, reads, opening again (without a word, too)
  kv       key-value engines: puts, gets, ranges, loads, overwrites, opening again
  table    the work of redb's published table: bulk load, individual and batch writes, len,
           random reads, range reads, reads by threads, removals, sizes
  space    key-value engines, each in processes of its own: memory during a load, bytes on the
           disk after a load and after overwriting, opening after a kill
  proof    trees: ct-merkle and jmt beside cairn-merkle
  seeds    the headline work of kawa-storage, kimberlite-storage, hightower-kv and kotoba
  report   joins what runs with --add left in --out into .md, .csv and .svg, nothing is run

  --help            shows this
  --quick           5 rounds of 80 ms, 20,000 records, 100,000 keys: a look, not a result
  --rounds N        rounds (7; space 5); Cairn and the other take turns within each
  --budget-ms N     time of one figure (300)
  --payload BYTES   length of a record or a value (100; table 150)
  --records N       records in the log that is read and reopened, leaves of a tree (100000)
  --batch N         records in a batch (1000)
  --keys N          keys of the key-value engines (1000000; --quick 100000)
  --writes N        single synced writes of `table` (1000)
  --batches N       synced batches of `table` (100)
  --reads N         random reads of `table` (1000000; --quick 100000); half as many ranges of 10
  --threads N[,N..] threads of the contended rows (8,32,128; table 4,8,16,32)
  --with-rocksdb    builds and runs RocksDB too, which needs libclang and many minutes
  --only NAME[,..]  only these others
  --work WORDS      only rows whose name holds these words
  --name NAME       name of the table and its files (versus-log, versus-kv, ...)
  --add             joins earlier runs of the same name instead of replacing them
  --dir DIR         where data lies while it runs (target/versus/data)
  --out DIR         where NAME.md, .csv and .svg go, and parts/ (target/versus)";

/// How much work a run does.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub payload_len: usize,
    pub batch_len: usize,
    /// Records in the log that is read and reopened: whole batches.
    pub record_count: u64,
    /// Keys of a key-value engine: whole batches.
    pub key_count: u64,
    /// Single writes and batches of redb's table.
    pub write_count: u64,
    pub batch_count: u64,
    /// Random reads of redb's table.
    pub read_count: u64,
    /// Time after which a repeated operation stops.
    pub budget: Duration,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Logs,
    Stores,
    Table,
    Space,
    Proofs,
    Seeds,
    /// Nothing: parts are joined.
    Report,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Logs,
        Self::Stores,
        Self::Table,
        Self::Space,
        Self::Proofs,
        Self::Seeds,
        Self::Report,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Logs => "log",
            Self::Stores => "kv",
            Self::Table => "table",
            Self::Space => "space",
            Self::Proofs => "proof",
            Self::Seeds => "seeds",
            Self::Report => "report",
        }
    }

    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
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
    /// Of the table; by default it follows from the kind.
    pub name: Option<String>,
    pub add: bool,
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
                write_count: 1000,
                batch_count: 100,
                read_count: 1_000_000,
                budget: Duration::from_millis(300),
            },
            threads: vec![8, 32, 128],
            dir: "target/versus/data".into(),
            out: "target/versus".into(),
            only: None,
            work: String::new(),
            name: None,
            add: false,
        }
    }
}

impl Options {
    /// `None` when help was asked for. Later flags win, so `--quick` comes first.
    pub fn from_arguments(arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut arguments = arguments.peekable();
        let kind = arguments.peek().and_then(|word| Kind::of_word(word));
        let mut options = Self::for_kind(kind.unwrap_or(Kind::Logs));
        if kind.is_some() {
            arguments.next();
        }
        while let Some(flag) = arguments.next() {
            match flag.as_str() {
                "--help" | "-h" => return Ok(None),
                // A feature of the build; here nothing is left to do.
                "--with-rocksdb" => continue,
                "--add" => {
                    options.add = true;
                    continue;
                }
                "--quick" => {
                    options.rounds = 5;
                    let sizes = &mut options.sizes;
                    sizes.budget = Duration::from_millis(80);
                    (sizes.record_count, sizes.key_count) = (20_000, 100_000);
                    sizes.read_count = 100_000;
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

    fn for_kind(kind: Kind) -> Self {
        let mut options = Self { kind, ..Self::default() };
        match kind {
            Kind::Table => {
                options.threads = vec![4, 8, 16, 32];
                options.sizes.payload_len = 150;
            }
            Kind::Space => options.rounds = 5,
            _ => {}
        }
        options
    }

    /// Of the table and its files.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("versus-{}", self.kind.word()))
    }

    /// Whether an engine was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == name))
    }

    /// Fails when `--only` names what there is not.
    pub fn check_names(&self, known: &[&str]) -> Result<()> {
        for name in self.only.iter().flatten() {
            if !known.contains(&name.as_str()) {
                bail!("there is no `{name}` among {}", known.join(", "));
            }
        }
        Ok(())
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
            "--writes" => sizes.write_count = value.parse()?,
            "--batches" => sizes.batch_count = value.parse()?,
            "--reads" => sizes.read_count = value.parse()?,
            "--threads" => {
                let counts: Result<Vec<usize>, _> = value.split(',').map(str::parse).collect();
                self.threads = counts?;
            }
            "--only" => self.only = Some(value.split(',').map(str::to_owned).collect()),
            "--work" => value.clone_into(&mut self.work),
            "--name" => self.name = Some(value.to_owned()),
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
        if sizes.write_count.min(sizes.batch_count).min(sizes.read_count) == 0 {
            bail!("at least one write, one batch, one read\n\n{USAGE}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Options, USAGE};

    fn parse(line: &str) -> anyhow::Result<Option<Options>> {
        Options::from_arguments(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn kinds_bring_their_sizes_and_flags_change_them() {
        let options = parse("table --quick --threads 2 --keys 5500").expect("fine").expect("run");
        assert_eq!((options.kind, options.sizes.key_count), (Kind::Table, 5000));
        assert_eq!((options.sizes.payload_len, options.threads), (150, vec![2]));
        assert_eq!(parse("").expect("fine").expect("run").kind, Kind::Logs);
        assert!(parse("kv --rounds 0").is_err());
        assert!(parse("kv --nothing 0").is_err());
        assert!(parse("kv --help").expect("fine").is_none());
    }

    #[test]
    fn the_help_names_every_flag() {
        let source = include_str!("options.rs");
        let flags = source.split('"').filter(|text| {
            text.starts_with("--") && text.chars().all(|c| c == '-' || c.is_ascii_lowercase())
        });
        for flag in flags.filter(|flag| !["--", "--nothing"].contains(flag)) {
            assert!(USAGE.contains(flag), "{flag} is not in the help");
        }
    }
}
