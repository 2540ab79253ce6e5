//! Scripts: several steps on some keys that nobody comes in between. Derived.
//!
//! A script is written twice, in Lua for servers and in Rust for the cache in process; the suite
//! that all backends share runs both.

use std::time::Duration;

use bytes::Bytes;

use crate::Result;

/// A script in both languages.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// What it is called in errors.
    pub name: &'static str,
    /// For servers: `KEYS` and `ARGV` as everywhere. Microseconds of the server's clock are to
    /// be had from `redis.call('TIME')`.
    pub lua: &'static str,
    /// For the cache in process.
    pub local: fn(&mut dyn ScriptKeys, &[Bytes], &[Bytes]) -> Result<Reply>,
}

/// The keys as the Rust form of a script sees them. Values are bytes as a server keeps them.
pub trait ScriptKeys {
    /// A value.
    fn get(&mut self, key: &[u8]) -> Option<Bytes>;
    /// Writes a value; `None` for one that stays.
    fn set(&mut self, key: &[u8], value: Bytes, ttl: Option<Duration>);
    /// Removes a value; whether there was one.
    fn remove(&mut self, key: &[u8]) -> bool;
    /// Gives a new time to live; whether there was a value. Zero ends it.
    fn expire(&mut self, key: &[u8], ttl: Duration) -> bool;
    /// The time that is left; `None` for a value that stays or is not there.
    fn ttl(&mut self, key: &[u8]) -> Option<Duration>;
    /// Microseconds since 1970.
    fn now_us(&mut self) -> i64;
}

/// What a script answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing; also Lua's `false`.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes, or a status.
    Bytes(Bytes),
    /// Several.
    List(Vec<Reply>),
}

impl Reply {
    /// The number, if it is one, also as text.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The bytes, if it is some.
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Nil | Self::Int(_) | Self::List(_) => None,
        }
    }

    /// The parts, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(parts) => Some(parts),
            Self::Nil | Self::Int(_) | Self::Bytes(_) => None,
        }
    }
}
