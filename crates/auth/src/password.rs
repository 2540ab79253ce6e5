//! Passwords: hashing them slowly, checking them, and never too many at once.
//!
//! ```text
//! password ─▶ HashGate (places and waiters are counted) ─▶ SecretHasher ─▶ PHC string
//! ```
//!
//! A PHC string is **truth**: it is the only trace of a password. Everything a hash costs is
//! decided by numbers in that string, so they are checked against caps before any work is done.

mod argon;
mod gate;
mod imported;
mod phc;

pub use argon::{Argon2idHasher, HashParams};
pub use gate::{HashGate, HashPlace};
pub use phc::MAX_PHC_LEN;

use std::fmt;

use cairn_vfs::Rng;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// Shortest password that is taken for a new account, in bytes.
pub const MIN_PASSWORD_LEN: usize = 8;
/// Longest password that is looked at, in bytes.
pub const MAX_PASSWORD_LEN: usize = 1024;

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and the stored hash should be made anew.
    Outdated,
}

/// Hashes passwords and checks them.
pub trait SecretHasher: Send + Sync + fmt::Debug {
    /// The PHC string of a new password.
    ///
    /// # Errors
    /// [`Error::Invalid`] when its length is out of bounds, [`Error::Busy`] without memory.
    fn hash(&self, password: &Secret, rng: &dyn Rng) -> Result<String>;

    /// Checks a password against a stored string.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the string is malformed or its parameters are outside the caps;
    /// no work is done then. [`Error::Busy`] without memory.
    fn verify(&self, password: &Secret, stored: &str) -> Result<Verdict>;

    /// Whether [`verify`](Self::verify) could work with this string.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it could not.
    fn accepts(&self, stored: &str) -> Result<()>;
}

/// Checks the length of a password that is being set.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_new_password(password: &Secret) -> Result<()> {
    if password.len() < MIN_PASSWORD_LEN {
        return Err(Error::invalid("password", "it is shorter than 8 bytes"));
    }
    if password.len() > MAX_PASSWORD_LEN {
        return Err(Error::invalid("password", "it is longer than 1024 bytes"));
    }
    Ok(())
}
