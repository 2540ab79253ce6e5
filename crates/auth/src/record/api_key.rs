//! An API key. **Truth**.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 1 | flags: 1 has scopes |
//! | 2 | 2 | reserved, 0 |
//! | 4 | 10 | id of the key |
//! | 14 | 8 | number of the owner |
//! | 22 | 32 | HMAC-SHA-256 of id, environment and secret |
//! | 54 | 8 | created at, microseconds since 1970 |
//! | 62 | 8 | expires at; -2^63 is never |
//! | 70 | 8 | last used at, to some minutes; -2^63 is never |
//! | 78 | 8 | revoked at; -2^63 is not |
//! | 86 | 1 + n | length, environment (1 to 16) |
//! | | 1 + n | length, label (at most 64) |
//! | | | permissions, none without the flag |

use cairn_types::Timestamp;

use super::layout::{Reader, Writer};
use super::{ApiKeyId, Record, UserId, permission};
use crate::error::{Error, Result};
use crate::policy::Permission;
use crate::seal::RecordKind;
use crate::token::{MAX_ENVIRONMENT_LEN, is_environment};

/// Longest label of an API key in bytes.
const MAX_LABEL_LEN: usize = 64;

/// An API key as it is stored.
#[derive(Clone)]
pub struct ApiKeyRecord {
    pub id: ApiKeyId,
    pub owner: UserId,
    pub environment: String,
    pub label: String,
    pub mac: [u8; 32],
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// What it may do at most; `None`: whatever its owner may.
    pub scopes: Option<Vec<Permission>>,
}

impl ApiKeyRecord {
    /// Checks what a caller gave.
    pub fn check(&self) -> Result<()> {
        if !is_environment(&self.environment) {
            return Err(Error::invalid("environment", "use 1 to 16 of a-z and 0-9"));
        }
        if self.label.len() > MAX_LABEL_LEN || self.label.chars().any(char::is_control) {
            return Err(Error::invalid("label", "use at most 64 bytes without control characters"));
        }
        permission::check(self.scopes.as_deref().unwrap_or_default())
    }
}

impl Record for ApiKeyRecord {
    const KIND: RecordKind = RecordKind(4);
    const WHAT: &'static str = "API key record";

    fn write(&self, out: &mut Writer) {
        out.version(1);
        out.u8(u8::from(self.scopes.is_some()));
        out.reserved(2);
        out.bytes(&self.id.0);
        out.u64(self.owner.0);
        out.bytes(&self.mac);
        out.time(self.created_at);
        out.maybe_time(self.expires_at);
        out.maybe_time(self.last_used_at);
        out.maybe_time(self.revoked_at);
        out.short(self.environment.as_bytes());
        out.short(self.label.as_bytes());
        permission::write(self.scopes.as_deref().unwrap_or_default(), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self> {
        input.version(1)?;
        let scoped = match input.u8()? {
            0 => false,
            1 => true,
            _ => return Err(input.corrupt("a flag is unknown")),
        };
        input.reserved(2)?;
        let id = ApiKeyId(input.array()?);
        let (owner, mac, created_at) = (UserId(input.u64()?), input.array()?, input.time()?);
        let expires_at = input.maybe_time()?;
        let (last_used_at, revoked_at) = (input.maybe_time()?, input.maybe_time()?);
        let environment = input.short_text(MAX_ENVIRONMENT_LEN)?.to_owned();
        let label = input.short_text(MAX_LABEL_LEN)?.to_owned();
        let permissions = permission::read(input)?;
        if !scoped && !permissions.is_empty() {
            return Err(input.corrupt("it has scopes that its flags deny"));
        }
        let scopes = scoped.then_some(permissions);
        let record = Self {
            id,
            owner,
            environment,
            label,
            mac,
            created_at,
            expires_at,
            last_used_at,
            revoked_at,
            scopes,
        };
        record.check().map_err(|_| input.corrupt("a text or a scope is impossible"))?;
        Ok(record)
    }
}
