//! Typed value codecs for users' own Rust types. They decide no file format of Cairn's.
//!
//! Values of more than 16 MiB are neither decoded nor, because nobody could read them again,
//! encoded.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Largest value that is encoded or decoded, in bytes.
pub const VALUE_LEN_MAX: usize = 16 << 20;

/// Turns values of `T` into bytes and back.
pub trait ValueCodec<T> {
    /// The bytes of a value.
    ///
    /// # Errors
    /// [`Error::Value`] when the value cannot be represented, or takes more than
    /// [`VALUE_LEN_MAX`] bytes.
    fn encode(&self, value: &T) -> Result<Vec<u8>>;

    /// The value in `bytes`, which must hold nothing else.
    ///
    /// # Errors
    /// [`Error::Value`] when they are not such a value, or more than [`VALUE_LEN_MAX`].
    fn decode(&self, bytes: &[u8]) -> Result<T>;
}

/// bincode in its legacy layout, which bincode 1 and wincode read and write alike.
///
/// ```
/// use cairn_codec::value::{Bincode, ValueCodec};
/// let bytes = Bincode.encode(&(1_u32, "a".to_owned()))?;
/// assert_eq!(bytes, [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a']);
/// let back: (u32, String) = Bincode.decode(&bytes)?;
/// assert_eq!(back, (1, "a".to_owned()));
/// # Ok::<(), cairn_codec::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Bincode;

impl<T: Serialize + DeserializeOwned> ValueCodec<T> for Bincode {
    fn encode(&self, value: &T) -> Result<Vec<u8>> {
        let bytes = bincode::serde::encode_to_vec(value, bincode::config::legacy())
            .map_err(|error| Error::Value { codec: "bincode", cause: error.to_string() })?;
        check_len("bincode", bytes.len())?;
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        let failed = |cause| Error::Value { codec: "bincode", cause };
        let config = bincode::config::legacy().with_limit::<VALUE_LEN_MAX>();
        let (value, used) = bincode::serde::decode_from_slice(bytes, config)
            .map_err(|error| failed(error.to_string()))?;
        if used != bytes.len() {
            return Err(failed(format!("{} bytes follow the value", bytes.len() - used)));
        }
        Ok(value)
    }
}

/// JSON (RFC 8259).
///
/// ```
/// use cairn_codec::value::{Json, ValueCodec};
/// assert_eq!(Json.encode(&vec![1, 2])?, b"[1,2]");
/// # Ok::<(), cairn_codec::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> ValueCodec<T> for Json {
    fn encode(&self, value: &T) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::Value { codec: "json", cause: error.to_string() })?;
        check_len("json", bytes.len())?;
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        check_len("json", bytes.len())?;
        serde_json::from_slice(bytes)
            .map_err(|error| Error::Value { codec: "json", cause: error.to_string() })
    }
}

fn check_len(codec: &'static str, len: usize) -> Result<()> {
    if len > VALUE_LEN_MAX {
        let cause = format!("{len} bytes, at most {VALUE_LEN_MAX} are encoded and decoded");
        return Err(Error::Value { codec, cause });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_decoded() {
        let (most, more) = ("x".repeat(VALUE_LEN_MAX - 8), "x".repeat(VALUE_LEN_MAX));
        let bytes = Bincode.encode(&most).expect("fits");
        assert_eq!(ValueCodec::<String>::decode(&Bincode, &bytes).expect("decodes"), most);
        assert!(Bincode.encode(&more).is_err());
        let bytes = Json.encode(&most).expect("fits");
        assert_eq!(ValueCodec::<String>::decode(&Json, &bytes).expect("decodes"), most);
        assert!(Json.encode(&more).is_err());
    }
}
