//! The plaintext of a session's record, which is sealed before it is stored. Truth.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 8 | time of issue, microseconds since 1970, little-endian |
//! | 9 | 8 | end of the lifetime, the same |
//! | 17 | 2 | length of the user's name, little-endian |
//! | 19 | n | user's name, UTF-8 |
//! | 19 + n | m | the data as JSON, to the end |

use cairndb::types::Timestamp;

use crate::{Error, Result};

/// Longest name of a user in bytes.
pub(super) const USER_LEN_MAX: usize = 1024;

const VERSION: u8 = 1;
const ISSUED_AT: usize = 1;
const EXPIRES_AT: usize = 9;
const USER_LEN: usize = 17;
const HEADER_LEN: usize = 19;

const _: () = assert!(USER_LEN + 2 == HEADER_LEN && USER_LEN_MAX <= u16::MAX as usize);

/// A record, opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) user: &'a str,
    pub(super) data: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let user_len = u16::try_from(self.user.len()).expect("names are checked to be shorter");
        let mut out = Vec::with_capacity(HEADER_LEN + self.user.len() + self.data.len());
        out.push(VERSION);
        out.extend_from_slice(&self.issued_at.as_micros().to_le_bytes());
        out.extend_from_slice(&self.expires_at.as_micros().to_le_bytes());
        out.extend_from_slice(&user_len.to_le_bytes());
        out.extend_from_slice(self.user.as_bytes());
        out.extend_from_slice(self.data);
        out
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self> {
        let damaged = || Error::SessionRecord { cause: "its form is wrong".to_owned() };
        if bytes.first() != Some(&VERSION) {
            let cause = "its version is unknown".to_owned();
            return Err(Error::SessionRecord { cause });
        }
        let (header, rest) = bytes.split_at_checked(HEADER_LEN).ok_or_else(damaged)?;
        let time = |at: usize| -> Option<Timestamp> {
            let bytes = *header.get(at..)?.first_chunk()?;
            Some(Timestamp::from_micros(i64::from_le_bytes(bytes)))
        };
        let issued_at = time(ISSUED_AT).ok_or_else(damaged)?;
        let expires_at = time(EXPIRES_AT).ok_or_else(damaged)?;
        let len = header.get(USER_LEN..).and_then(|len| len.first_chunk()).ok_or_else(damaged)?;
        let len = usize::from(u16::from_le_bytes(*len));
        let (user, data) = rest.split_at_checked(len).ok_or_else(damaged)?;
        let user = std::str::from_utf8(user).map_err(|_| damaged())?;
        Ok(Self { issued_at, expires_at, user, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_short_ones_are_refused() {
        let record = Record {
            issued_at: Timestamp::from_micros(-5),
            expires_at: Timestamp::MAX,
            user: "名前",
            data: b"{}",
        };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes).expect("whole"), record);
        for len in 0..HEADER_LEN + record.user.len() {
            assert!(Record::decode(&bytes[..len]).is_err(), "{len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            // Sealing finds this; the decoder only must not fall over it.
            let _either_way = Record::decode(&changed);
        }
    }
}
