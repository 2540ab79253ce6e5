//! Where records and indexes stand in the store, and the small values that are not sealed.
//!
//! | key | value |
//! |---|---|
//! | `m/id` | identity: version 1, three 0, 16 bytes |
//! | `m/root` | root secret, sealed |
//! | `m/next` | counter: version 1, three 0, last number given, u64 |
//! | `e/` number, u32 | wrapped data key |
//! | `u/` user, u64 | user, sealed |
//! | `n/` HMAC of the name in lower case | index: version 1, user, u64 |
//! | `r/` role, u64 | role, sealed |
//! | `q/` name of a role | index: version 1, role, u64 |
//! | `k/` id of an API key | API key, sealed |
//! | `o/` user, u64, id of an API key | index: version 1 |
//! | `s/` HMAC of the token | session, sealed |
//! | `t/` user, u64, HMAC of the token | index: version 1 |
//!
//! Numbers in keys are big-endian so that they are in order, in values little-endian. An index
//! is not sealed: whoever follows one checks that the record says the same.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::names::RoleName;
use crate::record::{ApiKeyId, SessionId, UserId};
use crate::seal::{DataKeyId, StoreId};

pub const IDENTITY: &[u8] = b"m/id";
pub const ROOT: &[u8] = b"m/root";
pub const NEXT: &[u8] = b"m/next";
pub const DATA_KEYS: &[u8] = b"e/";
pub const USERS: &[u8] = b"u/";
pub const ROLES: &[u8] = b"q/";
pub const API_KEYS: &[u8] = b"k/";
pub const SESSIONS: &[u8] = b"s/";

const VERSION: u8 = 1;

/// The value of an index that only says that something is there.
pub const PRESENT: &[u8] = &[VERSION];

fn key(prefix: &[u8], parts: &[&[u8]]) -> Bytes {
    let mut out =
        Vec::with_capacity(prefix.len() + parts.iter().map(|part| part.len()).sum::<usize>());
    out.extend_from_slice(prefix);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.into()
}

pub fn data_key(id: DataKeyId) -> Bytes {
    key(DATA_KEYS, &[&id.0.to_be_bytes()])
}

pub fn user(id: UserId) -> Bytes {
    key(USERS, &[&id.0.to_be_bytes()])
}

pub fn user_name(hash: &[u8; 32]) -> Bytes {
    key(b"n/", &[hash])
}

pub fn role(id: u64) -> Bytes {
    key(b"r/", &[&id.to_be_bytes()])
}

pub fn role_name(name: &RoleName) -> Bytes {
    key(ROLES, &[name.as_str().as_bytes()])
}

pub fn api_key(id: ApiKeyId) -> Bytes {
    key(API_KEYS, &[&id.0])
}

/// The prefix of a user's API keys.
pub fn api_keys_of(user: UserId) -> Bytes {
    key(b"o/", &[&user.0.to_be_bytes()])
}

pub fn api_key_of(user: UserId, id: ApiKeyId) -> Bytes {
    key(&api_keys_of(user), &[&id.0])
}

pub fn session(id: SessionId) -> Bytes {
    key(SESSIONS, &[&id.0])
}

/// The prefix of a user's sessions.
pub fn sessions_of(user: UserId) -> Bytes {
    key(b"t/", &[&user.0.to_be_bytes()])
}

pub fn session_of(user: UserId, id: SessionId) -> Bytes {
    key(&sessions_of(user), &[&id.0])
}

/// What stands in a key after its prefix.
pub fn tail<const N: usize>(key: &[u8], prefix: &[u8]) -> Result<[u8; N]> {
    let tail = key.strip_prefix(prefix).and_then(|tail| tail.try_into().ok());
    tail.ok_or(Error::corrupt("index", "a key has the wrong length"))
}

pub fn identity_value(id: StoreId) -> Vec<u8> {
    [&[VERSION, 0, 0, 0], id.as_bytes().as_slice()].concat()
}

pub fn identity_of(value: &[u8]) -> Result<StoreId> {
    header("store identity", value, &[0; 3]).map(StoreId::from_bytes)
}

pub fn counter_value(last: u64) -> Vec<u8> {
    [&[VERSION, 0, 0, 0], last.to_le_bytes().as_slice()].concat()
}

pub fn counter_of(value: &[u8]) -> Result<u64> {
    header("counter", value, &[0; 3]).map(u64::from_le_bytes)
}

pub fn index_value(number: u64) -> Vec<u8> {
    [&[VERSION], number.to_le_bytes().as_slice()].concat()
}

pub fn index_of(value: &[u8]) -> Result<u64> {
    header("index", value, &[]).map(u64::from_le_bytes)
}

/// What follows the version and the reserved bytes.
fn header<const N: usize>(what: &'static str, value: &[u8], reserved: &[u8]) -> Result<[u8; N]> {
    match value.split_first() {
        Some((&VERSION, rest)) => rest
            .strip_prefix(reserved)
            .and_then(|rest| rest.try_into().ok())
            .ok_or(Error::corrupt(what, "its form is wrong")),
        Some((&found, _)) => Err(Error::UnsupportedVersion { what, found }),
        None => Err(Error::corrupt(what, "it is empty")),
    }
}
