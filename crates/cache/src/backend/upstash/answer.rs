//! Answers of the REST protocol: `{"result": ..}` or `{"error": ".."}`, one or a list of them.
//! Strings are in base64, but for `OK`. Derived.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::backend::Reply;
use crate::{Error, Result};

/// How deep results may be nested.
const DEPTH_MAX: usize = 8;
/// Longest part of a server's words that is repeated.
const MESSAGE_LEN_MAX: usize = 200;

/// The name of a key: text as it is, other bytes in base64 behind a byte that no text of ours
/// begins with.
pub(crate) fn key_text(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.starts_with('\u{1}') => text.to_owned(),
        _ => format!("\u{1}{}", STANDARD.encode(key)),
    }
}

pub(crate) fn refusal(message: &str) -> Error {
    let message: String = message.chars().take(MESSAGE_LEN_MAX).collect();
    let denied = ["Unauthorized", "NOAUTH", "WRONGPASS", "NOPERM"];
    if denied.iter().any(|word| message.contains(word)) {
        return Error::Denied { message };
    }
    Error::Refused { message }
}

fn parse(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|error| Error::protocol(format!("no JSON: {error}")))
}

/// The answer to one command.
pub(crate) fn one(body: &[u8]) -> Result<Reply> {
    result_of(parse(body)?)
}

/// The answers to several.
pub(crate) fn many(body: &[u8]) -> Result<Vec<Reply>> {
    match parse(body)? {
        Value::Array(answers) => answers.into_iter().map(result_of).collect(),
        other => match result_of(other) {
            Err(error) => Err(error),
            Ok(_) => Err(Error::protocol("a list of answers was expected")),
        },
    }
}

fn result_of(mut answer: Value) -> Result<Reply> {
    if let Some(error) = answer.get("error") {
        return Err(refusal(error.as_str().unwrap_or("without words")));
    }
    match answer.get_mut("result") {
        Some(result) => reply_of(result.take(), 0),
        None => Err(Error::protocol("neither result nor error")),
    }
}

fn reply_of(value: Value, depth: usize) -> Result<Reply> {
    if depth > DEPTH_MAX {
        return Err(Error::protocol("lists are nested too deep"));
    }
    match value {
        Value::Null | Value::Bool(false) => Ok(Reply::Nil),
        Value::Number(number) => {
            number.as_i64().map(Reply::Int).ok_or_else(|| Error::protocol("no whole number"))
        }
        Value::String(text) if text == "OK" => Ok(Reply::Bytes(Bytes::from_static(b"OK"))),
        Value::String(text) => {
            let bytes = STANDARD.decode(text);
            let bytes = bytes.map_err(|_| Error::protocol("a string that is not base64"))?;
            Ok(Reply::Bytes(bytes.into()))
        }
        Value::Array(parts) => {
            let parts = parts.into_iter().map(|part| reply_of(part, depth + 1));
            Ok(Reply::List(parts.collect::<Result<_>>()?))
        }
        Value::Bool(true) | Value::Object(_) => Err(Error::protocol("a value of no known kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_body_is_an_answer_or_an_error_without_a_panic(
            body in proptest::collection::vec(
                prop_oneof![
                    any::<u8>(),
                    prop::sample::select(b"{}[]\",:resultrrornull0123456789=".to_vec()),
                ],
                0..120,
            ),
        ) {
            let _either = one(&body);
            let _either = many(&body);
        }

        #[test]
        fn a_truncated_answer_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let whole = serde_json::json!({ "result": STANDARD.encode(&bytes) }).to_string();
            prop_assert_eq!(one(whole.as_bytes()).expect("whole"), Reply::Bytes(bytes.into()));
            for cut in 0..whole.len() {
                prop_assert!(one(&whole.as_bytes()[..cut]).is_err());
            }
        }
    }

    #[test]
    fn every_kind_of_answer_is_read() {
        let cases = [
            (r#"{"result":null}"#, Reply::Nil),
            (r#"{"result":7}"#, Reply::Int(7)),
            (r#"{"result":"OK"}"#, Reply::Bytes("OK".into())),
            (r#"{"result":"aGk="}"#, Reply::Bytes("hi".into())),
            (
                r#"{"result":["aGk=",null]}"#,
                Reply::List(vec![Reply::Bytes("hi".into()), Reply::Nil]),
            ),
        ];
        for (body, reply) in cases {
            assert_eq!(one(body.as_bytes()).expect(body), reply);
        }
        assert!(matches!(one(br#"{"error":"ERR x"}"#), Err(Error::Refused { .. })));
        assert!(matches!(one(br#"{"error":"Unauthorized"}"#), Err(Error::Denied { .. })));
        for body in ["{}", "[]", "7", r#"{"result":1.5}"#, r#"{"result":{}}"#, r#"{"result":"?"}"#]
        {
            assert!(matches!(one(body.as_bytes()), Err(Error::Protocol { .. })), "{body}");
        }
        let deep = format!(r#"{{"result":{}{}}}"#, "[".repeat(20), "]".repeat(20));
        assert!(one(deep.as_bytes()).is_err());
    }

    #[test]
    fn no_two_keys_have_the_same_name() {
        let keys: &[&[u8]] = &[b"a", b"", b"\xff", b"\x01/w==", b"\x01", b"/w=="];
        let names: std::collections::HashSet<_> = keys.iter().map(|key| key_text(key)).collect();
        assert_eq!(names.len(), keys.len());
    }
}
