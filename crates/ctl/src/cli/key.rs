//! Arguments about the keys that the store is encrypted with.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `cairn key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Seal what is written from now on with a new data key, under another master key if one is
    /// given. No file is rewritten.
    Rotate(Rotate),
    /// Seal all that is older anew, so that older data keys are needed no longer.
    Rewrite,
    /// Say which keys there are, and what still needs them.
    Status,
}

/// `cairn key rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// File with the new master key (`cairn auth new-key` makes one); the same one stays
    /// without it.
    #[arg(long, value_name = "FILE")]
    pub new_key_file: Option<PathBuf>,
    /// A command whose output is the new master key.
    #[arg(long, value_name = "COMMAND", conflicts_with = "new_key_file")]
    pub new_key_command: Option<String>,
    /// Also seal all that is older anew.
    #[arg(long)]
    pub rewrite: bool,
}
