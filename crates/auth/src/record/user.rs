//! A user. **Truth**.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 1 | flags: 1 disabled |
//! | 2 | 2 | reserved, 0 |
//! | 4 | 8 | number of the user |
//! | 12 | 8 | epoch: raised by whatever ends all sessions |
//! | 20 | 8 | created at, microseconds since 1970 |
//! | 28 | 8 | password changed at |
//! | 36 | 1 + n | length, name (at most 128) |
//! | | 2 + n | length, PHC string (at most 256) |
//! | | 2 + 8n | number of roles (at most 64), their numbers, ascending |
//! | | 2 + n | length, metadata (at most 16 KiB) |

use cairn_types::Timestamp;

use super::layout::{Reader, Writer};
use super::{Record, UserId};
use crate::error::Result;
use crate::names::{MAX_USERNAME_LEN, Username};
use crate::password::MAX_PHC_LEN;
use crate::seal::RecordKind;
use crate::secret::Secret;

/// Most roles of one user.
pub const MAX_ROLES: usize = 64;
/// Longest metadata of one user in bytes.
pub const MAX_METADATA_LEN: usize = 16 << 10;

/// A user as it is stored.
pub struct UserRecord {
    pub id: UserId,
    pub name: Username,
    pub disabled: bool,
    pub epoch: u64,
    pub created_at: Timestamp,
    pub password_changed_at: Timestamp,
    pub password: String,
    pub roles: Vec<u64>,
    pub metadata: Secret,
}

impl Record for UserRecord {
    const KIND: RecordKind = RecordKind(2);
    const WHAT: &'static str = "user record";

    fn write(&self, out: &mut Writer) {
        out.version(1);
        out.u8(u8::from(self.disabled));
        out.reserved(2);
        out.u64(self.id.0);
        out.u64(self.epoch);
        out.time(self.created_at);
        out.time(self.password_changed_at);
        out.short(self.name.as_str().as_bytes());
        out.long(self.password.as_bytes());
        out.u16(u16::try_from(self.roles.len()).expect("the number of roles is capped"));
        self.roles.iter().for_each(|role| out.u64(*role));
        out.long(self.metadata.expose());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self> {
        input.version(1)?;
        let disabled = match input.u8()? {
            0 => false,
            1 => true,
            _ => return Err(input.corrupt("a flag is unknown")),
        };
        input.reserved(2)?;
        let (id, epoch) = (UserId(input.u64()?), input.u64()?);
        let (created_at, password_changed_at) = (input.time()?, input.time()?);
        let name = input.short_text(MAX_USERNAME_LEN)?;
        let name = Username::new(name).map_err(|_| input.corrupt("its name is impossible"))?;
        let password = std::str::from_utf8(input.long(MAX_PHC_LEN)?);
        let password = password.map_err(|_| input.corrupt("its password hash is no text"))?;
        let count = input.count(MAX_ROLES)?;
        let roles = (0..count).map(|_| input.u64()).collect::<Result<Vec<u64>>>()?;
        if !roles.is_sorted_by(|a, b| a < b) {
            return Err(input.corrupt("its roles are not in order"));
        }
        let metadata = input.long(MAX_METADATA_LEN)?.into();
        let password = password.to_owned();
        Ok(Self {
            id,
            name,
            disabled,
            epoch,
            created_at,
            password_changed_at,
            password,
            roles,
            metadata,
        })
    }
}
