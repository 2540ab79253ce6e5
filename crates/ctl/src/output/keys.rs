//! Keys as they are printed.

use std::borrow::Cow;
use std::io::Write;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cairndb::prelude::{KeyValue, Lsn};
use serde_json::{Map, Value, json};

/// Puts bytes into an object: as text, or in base64 with a field that says so.
pub fn insert(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            object.insert(name.to_owned(), text.into());
        }
        Err(_) => {
            object.insert(name.to_owned(), BASE64_STANDARD.encode(bytes).into());
            object.insert(format!("{name}_encoding"), "base64".into());
        }
    }
}

/// A key with its facts as JSON.
pub fn value_of(kv: &KeyValue) -> Value {
    let mut object = Map::new();
    insert(&mut object, "key", &kv.key);
    insert(&mut object, "value", &kv.value);
    for (name, number) in [
        ("create_revision", kv.create_revision),
        ("mod_revision", kv.mod_revision),
        ("version", kv.version),
    ] {
        object.insert(name.to_owned(), number.into());
    }
    object.insert("lease".to_owned(), kv.lease.get().into());
    if let Some(erased) = kv.erased {
        object.insert("erased".to_owned(), true.into());
        object.insert("erased_by".to_owned(), erased.by.map(Lsn::get).into());
    }
    Value::Object(object)
}

/// Prints a key: as JSON, as `key<TAB>value`, or the key alone.
pub fn print(out: &mut impl Write, kv: &KeyValue, json: bool, keys_only: bool) -> Result<()> {
    if json {
        writeln!(out, "{}", value_of(kv))?;
        return Ok(());
    }
    out.write_all(&kv.key)?;
    if !keys_only {
        out.write_all(b"\t")?;
        out.write_all(shown(kv).as_ref())?;
    }
    Ok(out.write_all(b"\n")?)
}

/// The value, or that it was erased.
pub fn shown(kv: &KeyValue) -> Cow<'_, [u8]> {
    match kv.erased.map(|erased| erased.by) {
        None => Cow::Borrowed(&kv.value),
        Some(None) => Cow::Borrowed(b"(erased)"),
        Some(Some(by)) => Cow::Owned(format!("(erased by record {by})").into_bytes()),
    }
}

/// A change of a watch as JSON.
pub fn change_value(change: &cairndb::keys::Change) -> Value {
    json!({
        "type": if change.deleted { "delete" } else { "put" },
        "revision": change.kv.mod_revision,
        "kv": value_of(&change.kv),
        "prev_kv": change.prev_kv.as_ref().map(value_of),
    })
}
