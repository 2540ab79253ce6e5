//! The client's values and errors as ours. Derived.

use bytes::Bytes;
use redis::{ErrorKind, RedisError, ServerError, Value};

use crate::backend::Reply;
use crate::{Error, Result};

/// Longest part of a server's words that is repeated.
const MESSAGE_LEN_MAX: usize = 200;

pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(MESSAGE_LEN_MAX).collect()
}

/// What a server's error code means for us.
pub(crate) fn refusal(code: &str, message: &str) -> Error {
    let message = shorten(&format!("{code} {message}"));
    match code {
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Error::Denied { message },
        _ => Error::Refused { message },
    }
}

pub(crate) fn error_of(error: &RedisError, target: &str) -> Error {
    match error.kind() {
        ErrorKind::AuthenticationFailed => Error::Denied { message: shorten(&error.to_string()) },
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            Error::protocol(shorten(&error.to_string()))
        }
        _ => match error.code() {
            Some(code) => refusal(code, error.detail().unwrap_or_default()),
            None => {
                let reason = shorten(&error.to_string());
                Error::Connect { target: target.to_owned(), reason }
            }
        },
    }
}

pub(crate) fn server_error(error: &ServerError) -> Error {
    refusal(error.code(), error.details().unwrap_or_default())
}

/// A value with no error in it.
pub(crate) fn reply_of(value: Value) -> Result<Reply> {
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Int(number),
        Value::BulkString(bytes) => Reply::Bytes(bytes.into()),
        Value::SimpleString(text) => Reply::Bytes(text.into()),
        Value::Okay => Reply::Bytes(Bytes::from_static(b"OK")),
        Value::Array(parts) => Reply::List(parts.into_iter().map(reply_of).collect::<Result<_>>()?),
        Value::ServerError(error) => return Err(server_error(&error)),
        _ => return Err(Error::protocol("a value of RESP3")),
    })
}
