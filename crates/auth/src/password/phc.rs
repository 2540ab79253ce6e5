//! Argon2id strings in the PHC format. The string is truth; this is its one spelling.
//!
//! `$argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>`: numbers without leading zeroes, salt and
//! hash in base64 without padding and with all unused bits 0. Another order, another version
//! or anything more is refused, so that a string has one meaning and a meaning one string.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::argon::HashParams;
use crate::error::{Error, Result};

/// Longest stored string in bytes.
pub const MAX_PHC_LEN: usize = 256;

const MIN_SALT_LEN: usize = 8;
const MAX_SALT_LEN: usize = 48;
/// 128 bits at least: the hash is what tells passwords apart.
const MIN_OUTPUT_LEN: usize = 16;
const MAX_OUTPUT_LEN: usize = 64;
const PREFIX: &str = "$argon2id$v=19$";
const WHAT: &str = "password hash";

/// A string, taken apart.
pub struct Phc {
    pub params: HashParams,
    pub salt: Vec<u8>,
    pub output: Zeroizing<Vec<u8>>,
}

impl Phc {
    /// Takes a string apart; the parameters are not judged yet.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::invalid(WHAT, "it is no Argon2id string");
        if text.len() > MAX_PHC_LEN {
            return Err(Error::invalid(WHAT, "it is too long"));
        }
        let rest = text.strip_prefix(PREFIX).ok_or_else(malformed)?;
        let mut fields = rest.split('$');
        let (Some(costs), Some(salt), Some(output), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(malformed());
        };
        let params = costs_of(costs).ok_or_else(malformed)?;
        let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| malformed())?;
        let output = STANDARD_NO_PAD.decode(output).map_err(|_| malformed())?;
        let output = Zeroizing::new(output);
        if !(MIN_SALT_LEN..=MAX_SALT_LEN).contains(&salt.len()) {
            return Err(Error::invalid(WHAT, "its salt is too short or too long"));
        }
        if !(MIN_OUTPUT_LEN..=MAX_OUTPUT_LEN).contains(&output.len()) {
            return Err(Error::invalid(WHAT, "its hash is too short or too long"));
        }
        Ok(Self { params, salt, output })
    }

    /// The string.
    pub fn format(params: HashParams, salt: &[u8], output: &[u8]) -> String {
        let HashParams { memory_kib, passes, lanes } = params;
        let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
        format!("{PREFIX}m={memory_kib},t={passes},p={lanes}${salt}${output}")
    }
}

fn costs_of(text: &str) -> Option<HashParams> {
    let mut parts = text.split(',');
    let mut next = |name: &str| number(parts.next()?.strip_prefix(name)?);
    let params = HashParams { memory_kib: next("m=")?, passes: next("t=")?, lanes: next("p=")? };
    parts.next().is_none().then_some(params)
}

/// A number in its only spelling: digits, no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    canonical.then(|| text.parse().ok())?
}
