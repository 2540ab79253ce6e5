//! Arguments of the commands about proofs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::keys::Space;

/// Arguments of `vkey`.
#[derive(Debug, Args)]
pub struct Vkey {
    /// All keys that ever signed this log, the newest last.
    #[arg(long)]
    pub all: bool,
    /// Choose the name that the log signs under; once, before anything is signed.
    #[arg(long, value_name = "NAME")]
    pub origin: Option<String>,
    /// Sign with a fresh key from now on; the old one signs the record of it.
    #[arg(long, conflicts_with = "origin")]
    pub rotate: bool,
    /// Sign with the private key in this file from now on.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["origin", "rotate"])]
    pub import: Option<PathBuf>,
}

/// Arguments of `checkpoint`.
#[derive(Debug, Args)]
pub struct Checkpoint {
    /// Write it into this file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What is to be proven.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Subject {
    /// The record at this place.
    #[arg(long)]
    pub lsn: Option<u64>,
    /// An event: TOPIC/PARTITION/OFFSET.
    #[arg(long, value_name = "TOPIC/PART/OFFSET")]
    pub event: Option<String>,
    /// The put of a key that was current at --rev.
    #[arg(long)]
    pub key: Option<String>,
    /// That a key was not there at --rev.
    #[arg(long, value_name = "KEY")]
    pub absent: Option<String>,
    /// All versions of a key, none left out.
    #[arg(long, value_name = "KEY")]
    pub history: Option<String>,
    /// The newest version of a key, or the one at --rev, with proof that no other was.
    #[arg(long, value_name = "KEY")]
    pub current: Option<String>,
}

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct Prove {
    #[command(flatten)]
    pub subject: Subject,
    /// Revision; the newest without it.
    #[arg(long)]
    pub rev: Option<u64>,
    /// File for the proof.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// File for the raw leaf, which any RFC 6962 verifier hashes.
    #[arg(long, value_name = "FILE")]
    pub leaf_out: Option<PathBuf>,
    #[command(flatten)]
    pub space: Space,
}

/// What is to be erased.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// An event: TOPIC/PARTITION/OFFSET.
    #[arg(long, value_name = "TOPIC/PART/OFFSET")]
    pub event: Option<String>,
    /// A key: its newest version, the one at --rev, or with --all every one.
    #[arg(long)]
    pub key: Option<String>,
    /// The record at this place.
    #[arg(long)]
    pub lsn: Option<u64>,
}

/// Arguments of `erase`.
#[derive(Debug, Args)]
pub struct Erase {
    #[command(flatten)]
    pub target: Target,
    /// The version that was current at this revision.
    #[arg(long, requires = "key")]
    pub rev: Option<u64>,
    /// Every version of the key, with --rev those up to it; also compacted ones.
    #[arg(long, requires = "key")]
    pub all: bool,
    /// Who asked and why. It stays in the log for ever: name nothing of what goes.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub space: Space,
}

/// Arguments of `shred`.
#[derive(Debug, Args)]
pub struct Shred {
    /// The subject: what stands before the first / of keys.
    pub subject: String,
    /// Who asked and why. It stays in the log for ever.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `verify-proof`.
#[derive(Debug, Args)]
pub struct VerifyProof {
    /// The proof.
    pub file: PathBuf,
    /// Public key of the log, as `cairn vkey` prints it; again for each further key.
    #[arg(long = "vkey", value_name = "KEY", required = true)]
    pub vkeys: Vec<String>,
    /// The raw leaf, if it must be this one.
    #[arg(long, value_name = "FILE")]
    pub leaf: Option<PathBuf>,
    /// The payload, if it must be this one.
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
}

/// Arguments of `consistency`.
#[derive(Debug, Args)]
pub struct Consistency {
    /// A size, or a file with a checkpoint.
    pub old: String,
    /// A later size, or a file with a later checkpoint.
    pub new: String,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Also hold the log against a checkpoint from before.
    #[arg(long, value_name = "CHECKPOINT")]
    pub against: Option<PathBuf>,
    /// A public key that must have signed the checkpoint.
    #[arg(long = "vkey", value_name = "KEY", requires = "against")]
    pub vkeys: Vec<String>,
}

/// Commands about tiles.
#[derive(Debug, Subcommand)]
pub enum Tiles {
    /// Write a static tile tree (C2SP tlog-tiles) that any file server can publish.
    Export {
        /// Directory, created when absent.
        dir: PathBuf,
    },
}

/// Commands about the content-addressed graph.
#[derive(Debug, Subcommand)]
pub enum Dag {
    /// Add a node; prints its id.
    Add(DagAdd),
    /// Print a node.
    Get {
        /// Id of the node, or name of a root.
        id: String,
        /// Print the data alone.
        #[arg(long)]
        raw: bool,
    },
    /// Hash every block again, below all roots or one node.
    Verify {
        /// Id of a node, or name of a root.
        id: Option<String>,
    },
    /// Write everything below all roots, or one node, as an archive (CAR v1).
    Export {
        /// File.
        file: PathBuf,
        /// Id of a node, or name of a root.
        id: Option<String>,
    },
    /// List the named roots.
    Roots,
}

/// Arguments of `dag add`.
#[derive(Debug, Args)]
pub struct DagAdd {
    /// Data of the node.
    #[arg(required_unless_present = "file")]
    pub text: Option<String>,
    /// A file with the data.
    #[arg(long, conflicts_with = "text")]
    pub file: Option<PathBuf>,
    /// A link: NAME=ID; again for each further link, in order.
    #[arg(long = "link", value_name = "NAME=ID")]
    pub links: Vec<String>,
    /// Also name the node.
    #[arg(long, value_name = "NAME")]
    pub root: Option<String>,
}
