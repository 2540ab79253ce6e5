//! Messages of a channel: JSON, version 1. Derived.
//!
//! | field | in | meaning |
//! |---|---|---|
//! | `v` | all | 1; a reader refuses others |
//! | `type` | all | `keys` or `event`; a reader takes others for a gap |
//! | `lane`, `prev`, `at` | all | partition (0 for keys); positions before and after |
//! | `changes` | `keys` | list of changes; absent when the message would be too long |
//! | `changes[].op` | `keys` | `put` or `delete` |
//! | `changes[].key`, `.value` | `keys` | text; with `"key_encoding":"base64"` base64 |
//! | `changes[].create_revision`, `.version` | `keys` | facts of a put |
//! | `event` | `event` | the event; absent when the message would be too long |
//! | `event.id`, `.offset`, `.time_us` | `event` | identity, place, microseconds since 1970 |
//! | `event.key`, `.headers` | `event` | key as above; list of `{"name":..,"value":..}` |
//! | `event.kind`, `.data` | `event` | `json`: a JSON value; `text`: a string; `binary`: base64 |
//!
//! Fields that a reader does not know are ignored: they may be added within a version.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cairndb::types::{EventData, Headers, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{EventUpdate, KeyUpdate, Update, UpdateBody};
use crate::{Error, Result};

/// Longest message in bytes. A longer update is announced without its content, and read from the
/// log.
pub const MESSAGE_LEN_MAX: usize = 1 << 20;

const VERSION: u32 = 1;
const BASE64: &str = "base64";

#[derive(Serialize, Deserialize)]
struct Message<'a> {
    v: u32,
    r#type: &'a str,
    lane: u32,
    prev: u64,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeJson>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    event: Option<EventJson<'a>>,
}

#[derive(Serialize, Deserialize)]
struct ChangeJson {
    op: Op,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_encoding: Option<String>,
    #[serde(default)]
    create_revision: u64,
    #[serde(default)]
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Put,
    Delete,
}

#[derive(Serialize, Deserialize)]
struct EventJson<'a> {
    id: String,
    offset: u64,
    time_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderJson>,
    kind: Kind,
    #[serde(borrow)]
    data: std::borrow::Cow<'a, RawValue>,
}

#[derive(Serialize, Deserialize)]
struct HeaderJson {
    name: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_encoding: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Json,
    Text,
    Binary,
}

/// A message as a subscriber sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) lane: u32,
    pub(super) prev: u64,
    pub(super) at: u64,
    /// `None` when it has to be read from the log.
    pub(super) body: Option<UpdateBody>,
}

/// An update as JSON.
pub(super) fn encode(update: &Update) -> Result<Bytes> {
    let bytes = encode_with(update, true)?;
    if bytes.len() <= MESSAGE_LEN_MAX { Ok(bytes) } else { encode_with(update, false) }
}

fn encode_with(update: &Update, with_body: bool) -> Result<Bytes> {
    let (r#type, changes, event) = match &update.body {
        UpdateBody::Keys(changes) => {
            ("keys", Some(changes.iter().map(change_json).collect()), None)
        }
        UpdateBody::Event(event) => ("event", None, Some(event_json(event)?)),
    };
    let Update { lane, prev, at, .. } = *update;
    let message = Message {
        v: VERSION,
        r#type,
        lane,
        prev,
        at,
        changes: changes.filter(|_| with_body),
        event: event.filter(|_| with_body),
    };
    let bytes = serde_json::to_vec(&message).map_err(|error| invalid(&error))?;
    Ok(bytes.into())
}

/// The message in these bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded> {
    if bytes.len() > MESSAGE_LEN_MAX {
        return Err(Error::InvalidMessage { what: "it is too long".to_owned() });
    }
    let message: Message<'_> = serde_json::from_slice(bytes).map_err(|error| invalid(&error))?;
    if message.v != VERSION {
        let what = format!("version {} is unknown", message.v);
        return Err(Error::InvalidMessage { what });
    }
    let Message { lane, prev, at, .. } = message;
    if prev >= at {
        return Err(Error::InvalidMessage { what: "its positions do not grow".to_owned() });
    }
    let body = match (message.r#type, message.changes, message.event) {
        ("keys", Some(changes), _) => {
            let changes = changes.into_iter().map(to_change).collect::<Result<_>>()?;
            Some(UpdateBody::Keys(changes))
        }
        ("event", _, Some(event)) => Some(UpdateBody::Event(to_event(event)?)),
        _ => None,
    };
    Ok(Decoded { lane, prev, at, body })
}

fn invalid(error: &dyn std::fmt::Display) -> Error {
    Error::InvalidMessage { what: error.to_string() }
}

/// Bytes as text, or in base64 with a word that says so.
fn to_text(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (STANDARD.encode(bytes), Some(BASE64.to_owned())),
    }
}

fn to_bytes(text: String, encoding: Option<&str>) -> Result<Bytes> {
    match encoding {
        None => Ok(text.into()),
        Some(BASE64) => STANDARD.decode(text).map(Bytes::from).map_err(|error| invalid(&error)),
        Some(other) => {
            Err(Error::InvalidMessage { what: format!("encoding {other:?} is unknown") })
        }
    }
}

fn change_json(change: &KeyUpdate) -> ChangeJson {
    let (key, key_encoding) = to_text(&change.key);
    let (value, value_encoding) = match change.value.as_deref().map(to_text) {
        Some((value, encoding)) => (Some(value), encoding),
        None => (None, None),
    };
    let op = if value.is_some() { Op::Put } else { Op::Delete };
    let KeyUpdate { create_revision, version, .. } = *change;
    ChangeJson { op, key, key_encoding, value, value_encoding, create_revision, version }
}

fn to_change(change: ChangeJson) -> Result<KeyUpdate> {
    let key = to_bytes(change.key, change.key_encoding.as_deref())?;
    let value = match (change.op, change.value) {
        (Op::Put, Some(value)) => Some(to_bytes(value, change.value_encoding.as_deref())?),
        (Op::Delete, None) => None,
        _ => return Err(Error::InvalidMessage { what: "a put has a value".to_owned() }),
    };
    let ChangeJson { create_revision, version, .. } = change;
    Ok(KeyUpdate { key, value, create_revision, version })
}

fn event_json(event: &EventUpdate) -> Result<EventJson<'static>> {
    let (key, key_encoding) = match event.key.as_deref().map(to_text) {
        Some((key, encoding)) => (Some(key), encoding),
        None => (None, None),
    };
    let headers = event.headers.iter().map(|(name, value)| {
        let (value, value_encoding) = to_text(value);
        HeaderJson { name: name.to_owned(), value, value_encoding }
    });
    let string = |text: &str| serde_json::value::to_raw_value(text);
    let (kind, data) = match &event.data {
        EventData::Json(json) => {
            let text = std::str::from_utf8(json).map_err(|error| invalid(&error))?;
            (Kind::Json, RawValue::from_string(text.to_owned()))
        }
        EventData::Text(text) => (Kind::Text, string(&String::from_utf8_lossy(text))),
        EventData::Binary(bytes) => (Kind::Binary, string(&STANDARD.encode(bytes))),
    };
    Ok(EventJson {
        id: event.id.clone(),
        offset: event.offset,
        time_us: event.timestamp.as_micros(),
        key,
        key_encoding,
        headers: headers.collect(),
        kind,
        data: std::borrow::Cow::Owned(data.map_err(|error| invalid(&error))?),
    })
}

fn to_event(event: EventJson<'_>) -> Result<EventUpdate> {
    let key = event.key.map(|key| to_bytes(key, event.key_encoding.as_deref())).transpose()?;
    let mut headers = Headers::new();
    for header in event.headers {
        let value = to_bytes(header.value, header.value_encoding.as_deref())?;
        headers.push(header.name, value);
    }
    let string =
        || serde_json::from_str::<String>(event.data.get()).map_err(|error| invalid(&error));
    let data = match event.kind {
        Kind::Json => EventData::json(event.data.get().to_owned()),
        Kind::Text => EventData::text(string()?),
        Kind::Binary => EventData::binary(to_bytes(string()?, Some(BASE64))?),
    };
    let (id, offset) = (event.id, event.offset);
    let timestamp = Timestamp::from_micros(event.time_us);
    Ok(EventUpdate { id, offset, key, headers, data, timestamp })
}

#[cfg(test)]
mod tests;
