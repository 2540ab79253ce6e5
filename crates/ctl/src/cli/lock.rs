//! Arguments of `lock` and `session app`.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub struct Lock {
    /// Name of the lock, at most 256 bytes.
    pub name: String,
    /// How long the lock stays when this process dies, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub ttl: u64,
    /// Wait at most so many seconds; 0 does not wait. As long as it takes without it.
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u64>,
    /// Keyspace of the locks.
    #[arg(long, short = 'k', default_value = "locks")]
    pub keyspace: String,
    /// Who holds the lock, for people who look.
    #[arg(long, default_value = "")]
    pub holder: String,
    /// The command, after `--`; without one, who holds the lock and who waits is printed.
    #[arg(last = true)]
    pub command: Vec<OsString>,
}

/// `cairn session app`: sessions that an application keeps in a keyspace of its own. They are
/// sealed: the master key that the application opens them with is needed.
#[derive(Debug, Args)]
pub struct AppSessions {
    /// Keyspace of the sessions.
    #[arg(long, short = 'k', default_value = "sessions", global = true)]
    pub keyspace: String,
    /// What to do.
    #[command(subcommand)]
    pub command: AppSession,
}

/// What to do with an application's sessions.
#[derive(Debug, Subcommand)]
pub enum AppSession {
    /// List living sessions of a user, with their data.
    List {
        /// User.
        user: String,
    },
    /// End one.
    Revoke {
        /// As `list` prints it.
        id: String,
    },
    /// End all sessions of a user.
    RevokeAll {
        /// User.
        user: String,
    },
}
