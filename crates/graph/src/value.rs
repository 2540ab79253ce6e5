//! Values of properties: their order, and their two forms. Truth.
//!
//! In a record (little-endian):
//!
//! | tag | meaning | bytes after the tag |
//! |---|---|---|
//! | 0 | null | none |
//! | 1, 2 | false, true | none |
//! | 3 | integer | 8, two's complement |
//! | 4 | number | 8, IEEE 754; never NaN, never -0.0 |
//! | 5 | text | 4 length, UTF-8 |
//! | 6 | bytes | 4 length, bytes |
//!
//! In the key of an index (big-endian, ordered as the values are):
//!
//! | tag | bytes after the tag |
//! |---|---|
//! | 0, 1, 2 | none |
//! | 3 | 8, sign bit flipped |
//! | 4 | 8, sign bit flipped, or all bits of a negative one |
//! | 5, 6 | at most 512 bytes, each `00` as `00 FF`; then `00 01`, or `00 02` when more was cut off |

use std::cmp::Ordering;

use crate::cursor::Cursor;
use crate::limits::{INDEXED_LEN_MAX, VALUE_LEN_MAX};
use crate::{Error, Result};

/// A value of a property.
///
/// Values of different types are ordered null, bool, integer, float, text, bytes; an integer is
/// never equal to a float.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number; NaN is refused, and -0.0 is stored as 0.0.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;

const SIGN: u64 = 1 << 63;

impl Value {
    /// Refuses what no record can hold.
    ///
    /// # Errors
    /// [`Error::Invalid`] for NaN; [`Error::Limit`] beyond [`VALUE_LEN_MAX`].
    pub fn check(&self) -> Result<()> {
        let len = match self {
            Self::Float(number) if number.is_nan() => {
                return Err(Error::invalid("value", "it is not a number"));
            }
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        if len > VALUE_LEN_MAX {
            return Err(Error::Limit { what: "bytes of a value", limit: VALUE_LEN_MAX as u64 });
        }
        Ok(())
    }

    /// The number, of an integer or a float.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "a weight may be rounded")]
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let long = |out: &mut Vec<u8>, tag, bytes: &[u8]| {
            let len = u32::try_from(bytes.len()).expect("checked to be short");
            out.push(tag);
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Self::Null => out.push(NULL),
            Self::Bool(yes) => out.push(if *yes { TRUE } else { FALSE }),
            Self::Int(number) => {
                out.push(INT);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::Float(number) => {
                out.push(FLOAT);
                out.extend_from_slice(&normal(*number).to_le_bytes());
            }
            Self::Text(text) => long(out, TEXT, text.as_bytes()),
            Self::Bytes(bytes) => long(out, BYTES, bytes),
        }
    }

    pub(crate) fn decode(at: &mut Cursor<'_>) -> Result<Self> {
        Ok(match at.u8()? {
            NULL => Self::Null,
            FALSE => Self::Bool(false),
            TRUE => Self::Bool(true),
            INT => Self::Int(i64::from_le_bytes(at.array()?)),
            FLOAT => {
                let number = f64::from_le_bytes(at.array()?);
                if number.is_nan() || (number == 0.0 && number.is_sign_negative()) {
                    return Err(at.damaged("a number of another form"));
                }
                Self::Float(number)
            }
            TEXT => {
                let bytes = at.long(VALUE_LEN_MAX)?;
                let text = std::str::from_utf8(bytes).map_err(|_| at.damaged("not UTF-8"))?;
                Self::Text(text.to_owned())
            }
            BYTES => Self::Bytes(at.long(VALUE_LEN_MAX)?.to_vec()),
            _ => return Err(at.damaged("an unknown type")),
        })
    }

    /// The form that is ordered byte by byte as the values are.
    pub(crate) fn encode_ordered(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(NULL),
            Self::Bool(yes) => out.push(if *yes { TRUE } else { FALSE }),
            Self::Int(number) => {
                out.push(INT);
                out.extend_from_slice(&(number.cast_unsigned() ^ SIGN).to_be_bytes());
            }
            Self::Float(number) => {
                let bits = normal(*number).to_bits();
                let ordered = if bits & SIGN == 0 { bits ^ SIGN } else { !bits };
                out.push(FLOAT);
                out.extend_from_slice(&ordered.to_be_bytes());
            }
            Self::Text(text) => cut_and_escape(TEXT, text.as_bytes(), out),
            Self::Bytes(bytes) => cut_and_escape(BYTES, bytes, out),
        }
    }

    /// Whether an index holds only the beginning of it.
    pub(crate) fn is_cut(&self) -> bool {
        match self {
            Self::Text(text) => text.len() > INDEXED_LEN_MAX,
            Self::Bytes(bytes) => bytes.len() > INDEXED_LEN_MAX,
            _ => false,
        }
    }

    /// The order of values.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            _ => {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                self.encode_ordered(&mut a);
                other.encode_ordered(&mut b);
                a.cmp(&b)
            }
        }
    }

    /// As JSON; bytes become `{"base64": ..}`, and an infinite number, which JSON has no word for,
    /// null.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use base64::Engine as _;
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(yes) => (*yes).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => {
                let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
                serde_json::json!({ "base64": base64 })
            }
        }
    }
}

/// -0.0 and 0.0 are one value and have one form.
fn normal(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

fn cut_and_escape(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let kept = bytes.get(..INDEXED_LEN_MAX).unwrap_or(bytes);
    out.push(tag);
    escape(kept, out);
    out.push(if kept.len() < bytes.len() { 2 } else { 1 });
}

/// Bytes with each `00` as `00 FF`, and the `00` of an end whose second byte the caller writes.
pub(crate) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.push(0);
}

/// Reads what [`escape`] wrote: the bytes, and the second byte of the end.
pub(crate) fn unescape(at: &mut Cursor<'_>, most: usize) -> Result<(Vec<u8>, u8)> {
    let mut bytes = Vec::new();
    loop {
        match at.u8()? {
            0 => match at.u8()? {
                0xff => bytes.push(0),
                end => return Ok((bytes, end)),
            },
            byte => bytes.push(byte),
        }
        if bytes.len() > most {
            return Err(at.damaged("too long"));
        }
    }
}

/// Steps over the ordered form of a value; it must be exact.
pub(crate) fn skip_ordered(at: &mut Cursor<'_>) -> Result<()> {
    match at.u8()? {
        NULL | FALSE | TRUE => Ok(()),
        INT | FLOAT => at.array::<8>().map(|_| ()),
        TEXT | BYTES => {
            let (bytes, end) = unescape(at, INDEXED_LEN_MAX)?;
            let is_cut = end == 2 && bytes.len() == INDEXED_LEN_MAX;
            if end == 1 || is_cut { Ok(()) } else { Err(at.damaged("an unknown end")) }
        }
        _ => Err(at.damaged("an unknown type")),
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}
from!(bool => Bool, i64 => Int, i32 => Int, u32 => Int, f64 => Float, &str => Text, String => Text, Vec<u8> => Bytes);
