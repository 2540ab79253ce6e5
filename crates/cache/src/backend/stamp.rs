//! Stamped entries as they lie in a cache. Derived.
//!
//! ```text
//! revision   20 decimal digits, so that text and number have the same order
//! kind       1 byte: `v` value, `b` value in base64, `t` tombstone
//! value      the rest
//! ```
//!
//! Text, so that a person at `redis-cli` can read it, that Lua compares it without losing digits
//! (its numbers end at 2^53), and that it passes through JSON where the value does.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::backend::{Reply, Script, ScriptKeys, Written};
use crate::{Error, Result};

/// Digits of a revision.
const REVISION_LEN: usize = 20;
/// Bytes before the value.
pub(crate) const STAMP_LEN: usize = REVISION_LEN + 1;

const VALUE: u8 = b'v';
const VALUE_BASE64: u8 = b'b';
const TOMBSTONE: u8 = b't';

/// What a cache knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// The revision it was written with.
    pub revision: u64,
    /// The value; `None` for a tombstone.
    pub value: Option<Bytes>,
}

impl Stamped {
    /// The bytes in the cache.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let value = self.value.as_deref();
        let kind = if value.is_some() { VALUE } else { TOMBSTONE };
        encode(self.revision, kind, value.unwrap_or_default())
    }

    /// The same as text: values that are not UTF-8 go as base64.
    #[cfg(feature = "upstash")]
    pub(crate) fn encode_text(&self) -> String {
        let encoded = match &self.value {
            Some(value) if std::str::from_utf8(value).is_err() => {
                encode(self.revision, VALUE_BASE64, STANDARD.encode(value).as_bytes())
            }
            _ => self.encode(),
        };
        String::from_utf8(encoded).expect("digits, a letter, and text")
    }

    /// What the bytes say; `None` when they are not ours.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let digits = bytes.get(..REVISION_LEN)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let revision = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let rest = bytes.slice(STAMP_LEN.min(bytes.len())..);
        let value = match *bytes.get(REVISION_LEN)? {
            VALUE => Some(rest),
            VALUE_BASE64 => Some(STANDARD.decode(&rest).ok()?.into()),
            TOMBSTONE if rest.is_empty() => None,
            _ => return None,
        };
        Some(Self { revision, value })
    }
}

fn encode(revision: u64, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(STAMP_LEN + value.len());
    bytes.extend_from_slice(format!("{revision:020}").as_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(value);
    bytes
}

/// `KEYS[1]`; `ARGV[1]` the stamped bytes, `ARGV[2]` milliseconds to live. Answers 1 or 0.
pub(crate) const SET_IF_NEWER: Script = Script {
    name: "set if newer",
    lua: "local now = redis.call('GETRANGE', KEYS[1], 0, 20)
if #now == 21 and string.find(now, '^%d+[vbt]$') and string.sub(now, 1, 20) >= string.sub(ARGV[1], 1, 20) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1",
    local: set_if_newer,
};

fn set_if_newer(keys: &mut dyn ScriptKeys, names: &[Bytes], args: &[Bytes]) -> Result<Reply> {
    let ([key, ..], [bytes, ttl, ..]) = (names, args) else {
        return Err(Error::protocol("one key and two arguments are needed"));
    };
    let new = Stamped::decode(bytes).ok_or_else(|| Error::protocol("a stamp is needed"))?;
    let ttl = std::str::from_utf8(ttl).ok().and_then(|text| text.parse().ok());
    let ttl = ttl.ok_or_else(|| Error::protocol("milliseconds are needed"))?;
    let now = keys.get(key).as_ref().and_then(Stamped::decode);
    if now.is_some_and(|now| now.revision >= new.revision) {
        return Ok(Reply::Int(0));
    }
    keys.set(key, bytes.clone(), Some(Duration::from_millis(ttl)));
    Ok(Reply::Int(1))
}

/// Whole milliseconds, at least one: a server refuses zero.
pub(crate) fn ttl_ms(ttl: Duration) -> u64 {
    /// A hundred years: servers refuse what overflows when added to the time of day.
    const MOST: u64 = 100 * 366 * 24 * 3600 * 1000;
    u64::try_from(ttl.as_millis()).unwrap_or(MOST).clamp(1, MOST)
}

pub(crate) fn written(reply: &Reply) -> Result<Written> {
    match reply.as_int() {
        Some(1) => Ok(Written::Yes),
        Some(0) => Ok(Written::Older),
        _ => Err(Error::protocol("0 or 1 was expected")),
    }
}
