//! Arguments of `cache`.

use clap::{Args, Subcommand};

/// Commands about a cache.
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// Whether a cache answers, and how far it is up to date.
    Status {
        /// The cache.
        #[command(flatten)]
        place: Place,
        /// Keyspace to ask about.
        #[arg(long)]
        keyspace: Option<String>,
    },
    /// Remove what the stores of a namespace have put into a cache; nothing is lost but time.
    Flush {
        /// The cache.
        #[command(flatten)]
        place: Place,
    },
}

/// Where a cache is.
#[derive(Debug, Args)]
pub struct Place {
    /// Its address: redis://, rediss://, redis-sentinel://, rediss-sentinel:// or https://.
    #[arg(long, env = "CAIRN_CACHE_URL", hide_env_values = true)]
    pub url: String,
    /// Token of an https:// address.
    #[arg(long, env = "CAIRN_CACHE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Namespace of the stores that use it.
    #[arg(long, default_value = "default")]
    pub namespace: String,
}
