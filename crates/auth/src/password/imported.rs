//! Checking bcrypt hashes that came from elsewhere. They are never made: a right password is
//! hashed again with Argon2id at once.
//!
//! bcrypt looks at 72 bytes and its work doubles with each step of its cost, so the cost is
//! capped. `$2x$`, which marks hashes of a broken program, is refused.

use crate::error::{Error, Result};
use crate::password::{MAX_PASSWORD_LEN, Verdict};
use crate::secret::Secret;

/// Highest cost that is worked off: about 2 s.
const MAX_COST: u32 = 15;
const MIN_COST: u32 = 4;
const LEN: usize = 60;

/// Whether this claims to be a bcrypt hash.
pub fn is_bcrypt(stored: &str) -> bool {
    stored.starts_with("$2")
}

/// Whether [`verify`] would work with it.
pub fn check(stored: &str) -> Result<()> {
    let refuse = |cause| Err(Error::invalid("password hash", cause));
    let known = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| stored.starts_with(prefix));
    if !known || stored.len() != LEN || !stored.is_ascii() {
        return refuse("it is no bcrypt string");
    }
    let digits = stored.get(4..6).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(cost) = digits.and_then(|text| text.parse::<u32>().ok()) else {
        return refuse("it is no bcrypt string");
    };
    if !(MIN_COST..=MAX_COST).contains(&cost) {
        return refuse("its bcrypt cost is out of bounds");
    }
    match stored.parse::<bcrypt::HashParts>() {
        Ok(_) => Ok(()),
        Err(_) => refuse("it is no bcrypt string"),
    }
}

/// Checks a password; a right one is always outdated.
pub fn verify(password: &Secret, stored: &str) -> Result<Verdict> {
    check(stored)?;
    if password.len() > MAX_PASSWORD_LEN {
        return Ok(Verdict::Wrong);
    }
    match bcrypt::verify(password.expose(), stored) {
        Ok(true) => Ok(Verdict::Outdated),
        Ok(false) => Ok(Verdict::Wrong),
        Err(_) => Err(Error::invalid("password hash", "it is no bcrypt string")),
    }
}
