//! Names in the backend, and the head: what the one who keeps a cache up to date says about it.
//! Derived.
//!
//! ```text
//! cairn:NAMESPACE:KEYSPACE:head        EPOCH REVISION TIME
//! cairn:NAMESPACE:KEYSPACE:EPOCH:KEY   a stamped entry; its value is `+` and bytes, or `-`
//! ```
//!
//! All changes up to REVISION are in the entries of EPOCH, and that was so at TIME, on the
//! server's own clock. An epoch is 32 random hexadecimal digits. A new one begins whenever the
//! server may have forgotten or delayed anything: entries of another epoch are never looked at.

use std::time::Duration;

use bytes::Bytes;
use cairndb::vfs::Rng;

use crate::backend::{Reply, Script, ScriptKeys};
use crate::flight::Found;
use crate::{Error, Result};

/// Digits of an epoch.
const EPOCH_LEN: usize = 32;

const PRESENT: u8 = b'+';
const ABSENT: u8 = b'-';

/// Where a keyspace's entries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    prefix: String,
}

/// What every entry of a namespace begins with.
pub(crate) fn namespace_prefix(namespace: &str) -> String {
    let mut prefix = "cairn:".to_owned();
    escape(namespace.as_bytes(), &mut prefix);
    prefix.push(':');
    prefix
}

/// Printable ASCII without `%` and `:` stays, the rest becomes `%XX`: names pass through every
/// protocol, and no key can reach into another's place.
pub(crate) fn escape(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' && *byte != b':' {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

impl Names {
    pub(crate) fn new(namespace: &str, keyspace: &str) -> Self {
        let mut prefix = namespace_prefix(namespace);
        escape(keyspace.as_bytes(), &mut prefix);
        prefix.push(':');
        Self { prefix }
    }

    pub(crate) fn head(&self) -> Bytes {
        format!("{}head", self.prefix).into()
    }

    /// What comes after the epoch.
    pub(crate) fn tail(key: &[u8]) -> String {
        let mut tail = String::with_capacity(key.len() + 1);
        tail.push(':');
        escape(key, &mut tail);
        tail
    }

    pub(crate) fn entry(&self, epoch: &str, key: &[u8]) -> Bytes {
        format!("{}{epoch}{}", self.prefix, Self::tail(key)).into()
    }

    pub(crate) fn prefix(&self) -> Bytes {
        self.prefix.clone().into()
    }
}

/// What the keeper says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) epoch: String,
    pub(crate) revision: u64,
    /// Microseconds on the server's clock.
    pub(crate) time_us: i64,
}

impl Head {
    pub(crate) fn encode(&self) -> Bytes {
        format!("{} {} {}", self.epoch, self.revision, self.time_us).into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(bytes).ok()?.split(' ');
        let epoch = words.next().filter(|epoch| is_epoch(epoch.as_bytes()))?.to_owned();
        let revision = words.next()?.parse().ok()?;
        let time_us = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { epoch, revision, time_us })
    }
}

fn is_epoch(bytes: &[u8]) -> bool {
    bytes.len() == EPOCH_LEN && bytes.iter().all(u8::is_ascii_hexdigit)
}

/// A new epoch.
pub(crate) fn new_epoch(rng: &dyn Rng) -> String {
    format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64())
}

/// The value of an entry.
pub(crate) fn payload(value: Option<&Bytes>) -> Bytes {
    match value {
        Some(value) => [&[PRESENT][..], value].concat().into(),
        None => Bytes::from_static(&[ABSENT]),
    }
}

/// What a value of an entry says.
pub(crate) fn found(payload: &Bytes, revision: u64) -> Option<Found> {
    let value = match (payload.first()?, payload.len()) {
        (&PRESENT, _) => Some(payload.slice(1..)),
        (&ABSENT, 1) => None,
        _ => return None,
    };
    Some(Found { value, revision })
}

/// `KEYS[1]` the head; `ARGV[1]` what it has to be, or nothing; `ARGV[2]` what it becomes;
/// `ARGV[3]` milliseconds. Answers 1 or 0.
pub(crate) const MOVE_HEAD: Script = Script {
    name: "move head",
    lua: "if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1",
    local: move_head,
};

fn move_head(keys: &mut dyn ScriptKeys, names: &[Bytes], args: &[Bytes]) -> Result<Reply> {
    let ([head, ..], [expected, new, ttl]) = (names, args) else {
        return Err(Error::protocol("one key and three arguments are needed"));
    };
    if !expected.is_empty() && keys.get(head).as_ref() != Some(expected) {
        return Ok(Reply::Int(0));
    }
    let ttl = std::str::from_utf8(ttl).ok().and_then(|text| text.parse().ok());
    let ttl = ttl.ok_or_else(|| Error::protocol("milliseconds are needed"))?;
    keys.set(head, new.clone(), Some(Duration::from_millis(ttl)));
    Ok(Reply::Int(1))
}

/// `KEYS[1]` the head; `ARGV[1]` what comes before an epoch, `ARGV[2]` what comes after it.
/// Answers the time (seconds and microseconds), the head, and the entry: as they are together.
pub(crate) const LOOK: Script = Script {
    name: "look",
    lua: "local head = redis.call('GET', KEYS[1])
if not head then
  return {}
end
local time = redis.call('TIME')
local entry = redis.call('GET', ARGV[1] .. string.sub(head, 1, 32) .. ARGV[2])
return {time[1], time[2], head, entry}",
    local: look,
};

fn look(keys: &mut dyn ScriptKeys, names: &[Bytes], args: &[Bytes]) -> Result<Reply> {
    let ([head, ..], [before, after]) = (names, args) else {
        return Err(Error::protocol("one key and two arguments are needed"));
    };
    let Some(head) = keys.get(head) else { return Ok(Reply::List(Vec::new())) };
    let epoch = head.get(..EPOCH_LEN).unwrap_or(&head);
    let entry = keys.get(&[before, epoch, after].concat());
    let now = keys.now_us();
    let (seconds, micros) = (now.div_euclid(1_000_000), now.rem_euclid(1_000_000));
    let entry = entry.map_or(Reply::Nil, Reply::Bytes);
    Ok(Reply::List(vec![Reply::Int(seconds), Reply::Int(micros), Reply::Bytes(head), entry]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hostile_keys_are_plain_text_and_all_different() {
        let names = Names::new("a:b", "k");
        let keys: &[&[u8]] =
            &[b"", b":", b"%3A", b"%", b"a b", b"\r\n", b"\0", b"\xff", b"head", b"*"];
        let mut seen = std::collections::HashSet::new();
        for key in keys {
            let name = names.entry("e", key);
            assert!(name.iter().all(u8::is_ascii_graphic), "{name:?}");
            assert!(seen.insert(name));
        }
        assert!(!seen.contains(&names.head()));
        assert_ne!(Names::new("a", "b:c").prefix(), Names::new("a:b", "c").prefix());
    }

    #[test]
    fn a_head_that_is_none_is_refused() {
        let head = Head { epoch: "0".repeat(32), revision: 7, time_us: -5 };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        for bytes in ["", " ", "x 1 1", &"0".repeat(32), &format!("{} 1 1 1", "0".repeat(32))] {
            assert_eq!(Head::decode(bytes.as_bytes()), None, "{bytes}");
        }
    }
}
