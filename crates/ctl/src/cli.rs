//! Arguments.

pub mod auth;
pub mod cache;
pub mod graph;
pub mod key;
pub mod keys;
pub mod lock;
pub mod proof;

use std::path::PathBuf;

use clap::{
    Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser,
};

/// An embedded database whose append-only, hash-chained log is the database.
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    after_help = "Exit codes: 0 ok, 1 not found, 2 wrong usage, 3 damaged data, 4 unavailable, 5 not allowed."
)]
pub struct Cli {
    /// Directory of the store.
    #[arg(long = "data", value_name = "DIR", env = "CAIRN_DATA", default_value = "./cairn-data")]
    pub store: PathBuf,
    /// Print JSON, one value a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// When an append is acknowledged: sync, buffered or interval:50ms.
    #[arg(long, global = true, default_value = "sync")]
    pub durability: cairndb::types::Durability,
    /// Bytes that the log may hold; a write of data that would pass it is refused.
    #[arg(long, global = true, value_name = "BYTES", env = "CAIRN_QUOTA_BYTES")]
    pub quota_bytes: Option<u64>,
    /// Bytes that must stay free on the disk; a write of data is refused below.
    #[arg(long, global = true, value_name = "BYTES", env = "CAIRN_MIN_FREE_BYTES")]
    pub min_free_bytes: Option<u64>,
    /// Who is asking, when auth is enabled.
    #[command(flatten)]
    pub access: auth::Access,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command with `--data DIR` also accepted after every subcommand but `append`, whose
    /// own `--data` is the event.
    pub fn grammar() -> clap::Command {
        with_dir(Self::command().bin_name("cairn"))
    }

    /// Parses the arguments of this process; prints help or a usage error and ends it.
    pub fn from_process() -> Self {
        let matches = Self::grammar().get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let after = dir_after(&matches);
        if let Some(dir) = after {
            cli.store.clone_from(dir);
        }
        cli
    }
}

/// Adds `--data DIR` to every subcommand at every depth, but not to `append`.
fn with_dir(command: clap::Command) -> clap::Command {
    command.mut_subcommands(|command| {
        if command.get_name() == "append" {
            return command;
        }
        let dir = Arg::new("store_after")
            .long("data")
            .value_name("DIR")
            .value_parser(value_parser!(PathBuf))
            .help("Directory of the store");
        with_dir(command.arg(dir))
    })
}

/// The `--data DIR` that stands deepest after a subcommand.
fn dir_after(matches: &ArgMatches) -> Option<&PathBuf> {
    let (name, arguments) = matches.subcommand()?;
    if name == "append" {
        return None;
    }
    dir_after(arguments).or_else(|| arguments.get_one::<PathBuf>("store_after"))
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A guided tour on real data, in a temporary directory.
    Tour,
    /// Append every line of a JSON Lines file as an event.
    Import(Import),
    /// Append one event, or every line of standard input.
    Append(Append),
    /// Print events of a partition.
    Read(Read),
    /// Print the newest events, and with --follow those to come.
    Tail(Tail),
    /// List topics, or change how long their events are kept.
    Topics {
        /// What to do; list without it.
        #[command(subcommand)]
        command: Option<Topics>,
    },
    /// Apply retention, clean the log, and end leases whose time is over.
    Maintain {
        /// Also drop old segments that no event, key or lease needs any more.
        #[arg(long)]
        reclaim: bool,
    },
    /// List consumer groups and how far they are behind.
    Groups,
    /// Write a key.
    Put(keys::Put),
    /// Print the value of a key, or many keys.
    Get(keys::Get),
    /// Delete keys.
    Del(keys::Del),
    /// Print keys in order.
    Scan(keys::Scan),
    /// Count keys.
    Count(keys::Count),
    /// Print every version of a key.
    History(keys::History),
    /// Print changes of keys as they come.
    Watch(keys::Watch),
    /// Compare, then, else: one atomic step, from JSON.
    Txn(keys::Txn),
    /// Leases: keys that go away with their holder.
    #[command(subcommand)]
    Lease(keys::Lease),
    /// Run a command while holding a lock that no paused holder can write past.
    ///
    /// The store is opened only for moments: to take the lock, to renew its lease every third of
    /// the time to live, and to release it. In between others can open it, the command itself too;
    /// commands of `cairn` that run under the lock wait up to 2 seconds for such a moment to pass.
    /// While another program keeps the store open for writing, the lock cannot be taken or renewed.
    ///
    /// The command finds the lock's name in CAIRN_LOCK, its keyspace in CAIRN_LOCK_KEYSPACE and the
    /// fencing token in CAIRN_FENCE; `cairn put --fenced`, `cairn del --fenced` and
    /// `cairn txn --fenced` write only while the lock is held.
    /// When the lease is lost the command is killed, but not what it has started itself.
    ///
    /// The exit code is the command's, or 128 and its signal; 4 when the lock was not free in time,
    /// or was lost.
    Lock(lock::Lock),
    /// Caches in front of stores: Redis, Upstash.
    #[command(subcommand)]
    Cache(cache::Cache),
    /// Give up the past before a revision.
    Compact {
        /// Oldest revision that can be read afterwards.
        revision: u64,
        /// Also drop from the log what can no longer be read, in keyspaces that keep only the
        /// latest.
        #[arg(long)]
        clean: bool,
    },
    /// List, create and drop keyspaces.
    Keyspaces {
        /// What to do; list without it.
        #[command(subcommand)]
        command: Option<keys::Keyspaces>,
    },
    /// Enable auth, and what belongs to the whole of it.
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Users.
    #[command(subcommand)]
    User(auth::User),
    /// Roles: named lists of permissions.
    #[command(subcommand)]
    Role(auth::Role),
    /// API keys, for programs.
    #[command(subcommand)]
    Apikey(auth::ApiKey),
    /// Sessions, for people.
    #[command(subcommand)]
    Session(auth::Session),
    /// Log in with a password; prints the session's token once.
    Login(auth::Login),
    /// Rotate the keys that the store is encrypted with.
    #[command(subcommand)]
    Key(key::Key),
    /// Print who did what.
    Audit(auth::Audit),
    /// Copy the store while it is used; again into the same place copies what is new.
    Backup {
        /// Directory of the backup.
        dir: PathBuf,
    },
    /// Stream a snapshot out or in, or link a checkpoint beside the store.
    #[command(subcommand)]
    Snapshot(keys::Snapshot),
    /// Make a new store from a backup, whole or as it was after a revision.
    Restore(keys::Restore),
    /// Run commands one after another, with history and completion.
    Shell,
    /// Measure keys on this machine.
    Bench(keys::Bench),
    /// Check every byte of the log (tables and tiles are only views of it); with --against also
    /// that it is the log of a checkpoint.
    Verify(proof::Verify),
    /// Print size and root of the tree over all durable records, and what was signed.
    Head,
    /// Print the public key that checks this log's signatures (C2SP verifier key).
    Vkey(proof::Vkey),
    /// Sign the head of everything that is durable.
    Checkpoint(proof::Checkpoint),
    /// Write a proof that somebody without the store can check.
    Prove(proof::Prove),
    /// Check a proof, offline: no store is opened.
    VerifyProof(proof::VerifyProof),
    /// Print the hashes that show that the log only grew.
    Consistency(proof::Consistency),
    /// Erase payloads for ever; records and proofs stay.
    Erase(proof::Erase),
    /// Drop the key of a subject: nothing sealed by it can be read any more, in any copy.
    Shred(proof::Shred),
    /// List the keys that sign this log, and those that did.
    Keys,
    /// The tree as static files.
    #[command(subcommand)]
    Tiles(proof::Tiles),
    /// A content-addressed graph of nodes, kept in the log.
    #[command(subcommand)]
    Dag(proof::Dag),
    /// Import, walk and check property graphs.
    #[command(subcommand)]
    Graph(graph::Graph),
    /// Print figures of the store.
    Stats,
    /// Print records as they lie in the log.
    Inspect(Inspect),
    /// Look for what is wrong and say what to do.
    Doctor,
    /// Say what damage took, and with --yes end the log before it, keeping the bytes aside.
    Repair {
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Print all events of a topic as JSON Lines.
    Export {
        /// Topic.
        topic: String,
    },
    /// Print a completion script.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Topic; created when it does not exist.
    pub topic: String,
    /// JSON Lines file, with lines of at most 16 MiB.
    pub file: PathBuf,
    /// Field whose value becomes the key; a/b/c for nested fields.
    #[arg(long)]
    pub key: Option<String>,
    /// Field with the event's time: RFC 3339 text, or a number of milliseconds since 1970.
    #[arg(long)]
    pub time: Option<String>,
    /// Partitions of a topic that is created, 1 to 65,536.
    #[arg(long, default_value_t = 1)]
    pub partitions: u32,
}

/// Arguments of `append`.
#[derive(Debug, Args)]
pub struct Append {
    /// Topic; created when it does not exist.
    pub topic: String,
    /// `-` reads events from standard input, one a line.
    #[arg(value_parser = ["-"])]
    pub stdin: Option<String>,
    /// Partition.
    #[arg(long)]
    pub partition: Option<u32>,
    /// Key.
    #[arg(long)]
    pub key: Option<String>,
    /// The event's data: stored as JSON when it is JSON, else as text.
    #[arg(long, conflicts_with_all = ["file", "stdin"])]
    pub data: Option<String>,
    /// A file with the event's data.
    #[arg(long, conflicts_with = "stdin")]
    pub file: Option<PathBuf>,
}

/// Arguments of `read`.
#[derive(Debug, Args)]
pub struct Read {
    /// Topic.
    pub topic: String,
    /// Partition.
    #[arg(long, default_value_t = 0)]
    pub partition: u32,
    /// Offset, or time in RFC 3339, to begin at.
    #[arg(long)]
    pub from: Option<String>,
    /// At most this many events.
    #[arg(long)]
    pub limit: Option<usize>,
}

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub struct Tail {
    /// Topic.
    pub topic: String,
    /// Partition.
    #[arg(long, default_value_t = 0)]
    pub partition: u32,
    /// How many of the newest events.
    #[arg(long, default_value_t = 10)]
    pub limit: usize,
    /// Go on with events to come, also those of another process.
    #[arg(long, short)]
    pub follow: bool,
}

/// Commands about topics.
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// List them.
    List,
    /// Create one.
    Create {
        /// Name.
        topic: String,
        /// How many partitions, 1 to 65,536.
        #[arg(long, default_value_t = 1)]
        partitions: u32,
        /// Seal each event with a key of its subject, what stands before the first / of its key.
        #[arg(long)]
        by_subject: bool,
    },
    /// Set how long events are kept; `cairn maintain` applies it. 0 keeps everything.
    Set {
        /// Name.
        topic: String,
        /// Seconds, by the events' own time.
        #[arg(long)]
        retain_age: Option<u64>,
        /// Bytes of each partition.
        #[arg(long)]
        retain_bytes: Option<u64>,
        /// Keep only the newest event of each key.
        #[arg(long)]
        latest_by_key: Option<bool>,
    },
    /// Drop one with all its events.
    Drop {
        /// Name.
        topic: String,
    },
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// LSN to begin at.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// At most this many records.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}
