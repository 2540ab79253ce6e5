//! Arguments about users, roles, keys and sessions. No argument takes a secret: passwords,
//! keys and tokens come from the terminal, standard input, a file or the environment, because
//! arguments are seen by everybody on the machine and kept in the shell's history.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where the master key and the credential come from.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// File with the master key; else the variable `CAIRN_MASTER_KEY`.
    #[arg(long, global = true, value_name = "FILE", env = "CAIRN_MASTER_KEY_FILE")]
    pub master_key_file: Option<PathBuf>,
    /// File with the key that encrypts the store, made by `cairn auth new-key`: from the first
    /// command that has it on, everything that is written is encrypted, and every command needs it.
    /// Given several times (files parted by `:`), each key opens what it wrapped. Without it, the
    /// variable `CAIRN_ENCRYPTION_KEY`.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_delimiter = ':',
        env = "CAIRN_ENCRYPTION_KEY_FILE"
    )]
    pub encryption_key_file: Vec<PathBuf>,
    /// A shell command whose output is that key, for key services.
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        env = "CAIRN_ENCRYPTION_KEY_COMMAND",
        hide_env_values = true
    )]
    pub encryption_key_command: Option<String>,
    /// A shell command whose output is the master key.
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        env = "CAIRN_MASTER_KEY_COMMAND",
        hide_env_values = true
    )]
    pub master_key_command: Option<String>,
    /// File with an API key or a session's token; else the variable `CAIRN_CREDENTIAL`.
    #[arg(long, global = true, value_name = "FILE", env = "CAIRN_CREDENTIAL_FILE")]
    pub credential_file: Option<PathBuf>,
}

/// Where a secret that was just made goes.
#[derive(Debug, Clone, Args)]
pub struct Out {
    /// Write the secret to a new file that only its owner may read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Where a password comes from.
#[derive(Debug, Clone, Args)]
#[group(id = "password_source")]
pub struct Password {
    /// A file with the password (8 to 1,024 bytes), `-` for standard input; asked for on a
    /// terminal without it.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `cairn auth`.
#[derive(Debug, Subcommand)]
pub enum Auth {
    /// Make a master key. Keep it: without it nothing sealed can be opened.
    NewKey(Out),
    /// Ask everybody for a credential from now on; there is no way back. Makes a user with the
    /// role `admin` when nobody may manage users and roles yet.
    Enable {
        /// Name of that user.
        #[arg(long, default_value = "admin")]
        admin: String,
        #[command(flatten)]
        password: Password,
    },
    /// Say whether auth is enabled.
    Status,
    /// Put everything sealed under another master key.
    RotateKey {
        /// File with the new master key.
        #[arg(long, value_name = "FILE")]
        new_key_file: PathBuf,
    },
}

/// `cairn user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Create a user.
    Create {
        /// Name: 1 to 128 of a-z, A-Z, 0-9 and . _ - + @; capitals make no difference.
        name: String,
        #[command(flatten)]
        password: Password,
        /// A file with metadata, at most 16 KiB, kept encrypted.
        #[arg(long, value_name = "FILE")]
        metadata_file: Option<PathBuf>,
    },
    /// List users.
    List,
    /// Print what is known of a user.
    Show {
        /// Name.
        name: String,
        /// Also print the metadata.
        #[arg(long)]
        metadata: bool,
    },
    /// Give a user another name.
    Rename {
        /// Name.
        name: String,
        /// The new one.
        new_name: String,
    },
    /// Refuse a user everything, and end its sessions.
    Disable {
        /// Name.
        name: String,
    },
    /// Take that back.
    Enable {
        /// Name.
        name: String,
    },
    /// Delete a user with all sessions and API keys.
    Delete {
        /// Name.
        name: String,
    },
    /// Set a password, and end the user's sessions.
    Password {
        /// Name.
        name: String,
        #[command(flatten)]
        password: Password,
    },
}

/// `cairn role`.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Create a role.
    Create {
        /// Name: 1 to 64 of a-z, 0-9 and . _ -.
        name: String,
        /// Permissions, such as `read,write:keys:users:eu/` or `read:topic:orders.*`.
        ///
        /// A permission is `ACTIONS:SCOPE`. Actions are `read`, `write`, `manage` with commas
        /// between, or `all`. Scopes are `keys:KEYSPACE:PREFIX`, `keyspace:NAME`, `topic:NAME`,
        /// `admin` and `admin:AREA`; a name may be `*` or end with `*`. Areas are `users`, `roles`,
        /// `api-keys`, `keys`, `backup`, `maintenance` and `status`. `everything` is all of it.
        #[arg(required = true)]
        permissions: Vec<String>,
    },
    /// Replace what a role allows.
    Set {
        /// Name.
        name: String,
        /// Permissions, as `cairn role create --help` explains them.
        #[arg(required = true)]
        permissions: Vec<String>,
    },
    /// Delete a role; nobody has it any more.
    Delete {
        /// Name.
        name: String,
    },
    /// List roles.
    List,
    /// Print what a role allows.
    Show {
        /// Name.
        name: String,
    },
    /// Give a user a role.
    Grant {
        /// User.
        user: String,
        /// Role.
        role: String,
    },
    /// Take a role from a user.
    Revoke {
        /// User.
        user: String,
        /// Role.
        role: String,
    },
}

/// `cairn apikey`.
#[derive(Debug, Subcommand)]
pub enum ApiKey {
    /// Issue a key; it is shown once.
    Create {
        /// Its owner.
        user: String,
        /// Stands in the key, such as `live` or `test`: 1 to 16 of a-z and 0-9.
        #[arg(long, default_value = "live")]
        env: String,
        /// What people know it by, at most 64 bytes.
        #[arg(long, default_value = "")]
        label: String,
        /// How long it lives, in seconds; until it is revoked without it.
        #[arg(long)]
        expires_in: Option<u64>,
        /// What it may do at most: a permission, as `cairn role create --help` explains it; may be
        /// given several times. Whatever its owner may without it.
        #[arg(long = "scope")]
        scopes: Vec<String>,
        #[command(flatten)]
        out: Out,
    },
    /// List the keys of a user.
    List {
        /// Owner.
        user: String,
    },
    /// Issue a key in the place of another; it is shown once.
    Rotate {
        /// Public part of the old key, as `list` prints it.
        id: String,
        /// Seconds that the old one goes on.
        #[arg(long, default_value_t = 0)]
        overlap: u64,
        #[command(flatten)]
        out: Out,
    },
    /// End a key.
    Revoke {
        /// Public part of the key.
        id: String,
    },
}

/// `cairn session`.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// List living sessions of a user.
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
    /// Sessions that an application keeps for its own users, in a keyspace.
    App(super::lock::AppSessions),
}

/// `cairn login`.
#[derive(Debug, Args)]
pub struct Login {
    /// Name of the user.
    pub name: String,
    #[command(flatten)]
    pub password: Password,
    #[command(flatten)]
    pub out: Out,
}

/// `cairn audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Go on with what is to come, also from other processes.
    #[arg(long, short)]
    pub follow: bool,
    /// Only what this user did, by number.
    #[arg(long)]
    pub who: Option<u64>,
    /// Only this, such as `login` or `grant_role`.
    #[arg(long)]
    pub what: Option<String>,
    /// Only what was refused.
    #[arg(long)]
    pub refused: bool,
    /// Look at most at this many of the newest entries, before those to come.
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
}
