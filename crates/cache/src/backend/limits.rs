//! Bounds of what goes into a cache and comes out of it. Derived.

use crate::{Error, Result};

/// Longest key in bytes.
pub const KEY_LEN_MAX: usize = 64 * 1024;

/// Longest value in bytes.
pub const VALUE_LEN_MAX: usize = 16 * 1024 * 1024;

/// Longest name of a channel in bytes.
pub const CHANNEL_LEN_MAX: usize = 1024;

fn check(what: &'static str, found: usize, limit: usize) -> Result<()> {
    if found > limit {
        return Err(Error::TooLarge { what, found: found as u64, limit: limit as u64 });
    }
    Ok(())
}

pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    check("a key", key.len(), KEY_LEN_MAX)
}

pub(crate) fn check_value(value: &[u8]) -> Result<()> {
    check("a value", value.len(), VALUE_LEN_MAX)
}

pub(crate) fn check_channel(channel: &str) -> Result<()> {
    check("the name of a channel", channel.len(), CHANNEL_LEN_MAX)
}
