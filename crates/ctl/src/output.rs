//! What is printed, for people and for programs.

pub mod keys;

use std::io::Write;

use anyhow::Result;
use cairndb::types::{Event, EventData};
use serde_json::{Value, json};

/// Data of an event as JSON: JSON itself, text as a string, other bytes in hexadecimal.
pub fn data_value(data: &EventData) -> Value {
    match data {
        EventData::Json(bytes) => serde_json::from_slice(bytes).unwrap_or(Value::Null),
        EventData::Text(_) => Value::from(data.as_str().unwrap_or_default()),
        EventData::Binary(bytes) => {
            json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
        }
    }
}

/// An event as JSON.
pub fn event_value(event: &Event) -> Value {
    json!({
        "topic": event.topic.as_str(),
        "partition": event.partition.get(),
        "offset": event.offset.get(),
        "lsn": event.lsn.get(),
        "id": event.id.to_string(),
        "timestamp": event.timestamp.to_string(),
        "key": event.key.as_ref().map(|key| String::from_utf8_lossy(key)),
        "data": data_value(&event.data),
    })
}

/// Prints an event.
pub fn event(out: &mut impl Write, event: &Event, json: bool) -> Result<()> {
    if json {
        writeln!(out, "{}", event_value(event))?;
    } else {
        let data = match event.data.as_str() {
            Some(text) => text.to_owned(),
            None => data_value(&event.data).to_string(),
        };
        let key = event.key.as_ref().map(|key| format!("{} ", String::from_utf8_lossy(key)));
        let key = key.unwrap_or_default();
        writeln!(out, "{:>8}  {}  {key}{data}", event.offset, event.timestamp)?;
    }
    Ok(())
}
