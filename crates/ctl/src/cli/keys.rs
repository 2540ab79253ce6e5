//! Arguments of the commands about keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Which keyspace.
#[derive(Debug, Clone, Args)]
pub struct Space {
    /// Keyspace; `default` is created when it is first written to.
    #[arg(long, short = 'k', default_value = "default")]
    pub keyspace: String,
}

/// One key or many.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// All keys that begin with KEY.
    #[arg(long, conflicts_with = "from_key")]
    pub prefix: bool,
    /// All keys from KEY on.
    #[arg(long)]
    pub from_key: bool,
}

/// Arguments of `put`.
#[derive(Debug, Args)]
pub struct Put {
    /// Key; `-` reads `KEY<TAB>VALUE` lines from standard input.
    pub key: String,
    /// Value; `-` reads it from standard input.
    #[arg(allow_negative_numbers = true)]
    pub value: Option<String>,
    /// A file with the value.
    #[arg(long, conflicts_with = "value")]
    pub file: Option<PathBuf>,
    /// Lease to attach; 0 for none.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub lease: i64,
    /// Print the value before.
    #[arg(long)]
    pub prev: bool,
    /// Write only while the lock is held that `cairn lock` runs this command under.
    #[arg(long)]
    pub fenced: bool,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub struct Get {
    /// Key.
    pub key: String,
    /// As it was at this revision; 0 for the newest.
    #[arg(long, default_value_t = 0)]
    pub rev: u64,
    /// Print keys without values.
    #[arg(long)]
    pub keys_only: bool,
    /// At most this many keys; 0 for all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `del`.
#[derive(Debug, Args)]
pub struct Del {
    /// Key.
    pub key: String,
    /// Print what was deleted.
    #[arg(long)]
    pub prev: bool,
    #[command(flatten)]
    pub selection: Selection,
    /// Write only while the lock is held that `cairn lock` runs this command under.
    #[arg(long)]
    pub fenced: bool,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// First key; from the beginning without it.
    pub start: Option<String>,
    /// First key that is left out; to the end without it.
    pub end: Option<String>,
    /// Only keys that begin with this.
    #[arg(long, conflicts_with_all = ["start", "end"])]
    pub prefix: Option<String>,
    /// As they were at this revision; 0 for the newest.
    #[arg(long, default_value_t = 0)]
    pub rev: u64,
    /// At most this many keys; 0 for all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Print keys without values.
    #[arg(long)]
    pub keys_only: bool,
    /// From the last key to the first.
    #[arg(long)]
    pub reverse: bool,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `count`.
#[derive(Debug, Args)]
pub struct Count {
    /// Only keys that begin with this.
    #[arg(long)]
    pub prefix: Option<String>,
    /// As they were at this revision; 0 for the newest.
    #[arg(long, default_value_t = 0)]
    pub rev: u64,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// Key.
    pub key: String,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Key; all keys without it.
    pub key: Option<String>,
    /// Begin with this revision; 0 for what comes next.
    #[arg(long, default_value_t = 0)]
    pub rev: u64,
    /// Also print the value before.
    #[arg(long)]
    pub prev: bool,
    /// End after this many changes.
    #[arg(long)]
    pub limit: Option<usize>,
    /// End when everything that is there was printed.
    #[arg(long)]
    pub no_follow: bool,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `txn`.
#[derive(Debug, Args)]
pub struct Txn {
    /// A file with the transaction; standard input without it. JSON:
    /// {"compare":[{"key":K,"target":"version|create|mod|value|lease","op":"=|!=|<|>","value":V}],
    /// "success":[{"put":{"key":K,"value":V}},{"delete":{"key":K}},{"get":{"key":K}}],
    /// "failure":[...]}; "prefix":true makes a key a prefix, {"txn":{...}} nests.
    pub file: Option<PathBuf>,
    /// Write only while the lock is held that `cairn lock` runs this command under.
    #[arg(long)]
    pub fenced: bool,
    #[command(flatten)]
    pub space: Space,
}

/// Commands about leases.
#[derive(Debug, Subcommand)]
pub enum Lease {
    /// Grant a lease for a time to live in seconds and print its number.
    Grant {
        /// Seconds.
        ttl: i64,
        /// Its number; random without it.
        #[arg(long, allow_negative_numbers = true)]
        id: Option<i64>,
    },
    /// End a lease and delete its keys.
    Revoke {
        /// Number.
        #[arg(allow_negative_numbers = true)]
        id: i64,
    },
    /// Give a lease its full time again.
    KeepAlive {
        /// Number.
        #[arg(allow_negative_numbers = true)]
        id: i64,
    },
    /// Print how long a lease has left, and its keys.
    Ttl {
        /// Number.
        #[arg(allow_negative_numbers = true)]
        id: i64,
    },
    /// List leases.
    List,
}

/// What the log keeps of a keyspace.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Retention {
    /// Every version of every key.
    Forever,
    /// What can be read; compacted versions go.
    LatestOnly,
}

/// Commands about keyspaces.
#[derive(Debug, Subcommand)]
pub enum Keyspaces {
    /// List them.
    List,
    /// Create one.
    Create {
        /// Name.
        name: String,
        /// Seal each value with a key of its subject, what stands before the first / of its key.
        #[arg(long)]
        by_subject: bool,
        /// What the log keeps: every version for ever, or only what can be read.
        #[arg(long, value_enum)]
        retention: Option<Retention>,
    },
    /// Change what the log keeps of one.
    Set {
        /// Name.
        name: String,
        /// What the log keeps: every version for ever, or only what can be read.
        #[arg(long, value_enum)]
        retention: Retention,
    },
    /// Drop one with all its keys.
    Drop {
        /// Name.
        name: String,
    },
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// A directory that `cairn backup` wrote.
    pub from: PathBuf,
    /// Give up everything after this revision.
    #[arg(long)]
    pub rev: Option<u64>,
}

/// Commands about snapshots.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Write a snapshot; `-` is standard output.
    Export {
        /// File, which must not exist, or `-`.
        file: PathBuf,
        /// As the keys were after this revision.
        #[arg(long, conflicts_with = "until")]
        rev: Option<u64>,
        /// Records before this LSN: with the LSN that an earlier export named, the same
        /// snapshot again.
        #[arg(long)]
        until: Option<u64>,
        /// Begin at this chunk, where an interrupted import goes on.
        #[arg(long, default_value_t = 0)]
        from_chunk: u64,
    },
    /// Make a new store from a snapshot, or go on with an interrupted import; `-` is standard
    /// input.
    Import {
        /// File, or `-`.
        file: PathBuf,
    },
    /// Make a checkpoint in another directory of the same file system: sealed segments are
    /// linked, only the last one is copied.
    Link {
        /// Directory.
        dir: PathBuf,
    },
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Keys to write and read.
    #[arg(long, default_value_t = 100_000)]
    pub keys: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    pub value_len: usize,
}
