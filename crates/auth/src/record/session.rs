//! A session. **Truth**.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 3 | reserved, 0 |
//! | 4 | 32 | HMAC-SHA-256 of the token |
//! | 36 | 8 | number of the user |
//! | 44 | 8 | epoch of the user when it was issued |
//! | 52 | 8 | issued at, microseconds since 1970 |
//! | 60 | 8 | expires at, whatever happens |
//! | 68 | 8 | last seen at, to a part of the idle time |
//! | 76 | 8 | idle time in microseconds |

use std::time::Duration;

use cairn_types::Timestamp;

use super::layout::{Reader, Writer};
use super::{Record, SessionId, UserId};
use crate::error::Result;
use crate::seal::RecordKind;

/// A session as it is stored.
#[derive(Clone)]
pub struct SessionRecord {
    pub id: SessionId,
    pub user: UserId,
    pub epoch: u64,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub idle: Duration,
}

impl Record for SessionRecord {
    const KIND: RecordKind = RecordKind(5);
    const WHAT: &'static str = "session record";

    fn write(&self, out: &mut Writer) {
        out.version(1);
        out.reserved(3);
        out.bytes(&self.id.0);
        out.u64(self.user.0);
        out.u64(self.epoch);
        out.time(self.issued_at);
        out.time(self.expires_at);
        out.time(self.last_seen_at);
        out.u64(u64::try_from(self.idle.as_micros()).unwrap_or(u64::MAX));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self> {
        input.version(1)?;
        input.reserved(3)?;
        Ok(Self {
            id: SessionId(input.array()?),
            user: UserId(input.u64()?),
            epoch: input.u64()?,
            issued_at: input.time()?,
            expires_at: input.time()?,
            last_seen_at: input.time()?,
            idle: Duration::from_micros(input.u64()?),
        })
    }
}
