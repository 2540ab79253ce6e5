//! A role. **Truth**.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 3 | reserved, 0 |
//! | 4 | 8 | number of the role |
//! | 12 | 1 + n | length, name (at most 64) |
//! | | | permissions |

use super::layout::{Reader, Writer};
use super::{Record, permission};
use crate::error::Result;
use crate::names::{MAX_ROLE_NAME_LEN, RoleName};
use crate::policy::Permission;
use crate::seal::RecordKind;

/// A role as it is stored.
pub struct RoleRecord {
    /// Its number, never given twice: a role of the same name that is created later is another
    /// one, and nobody has it.
    pub id: u64,
    pub name: RoleName,
    pub permissions: Vec<Permission>,
}

impl RoleRecord {
    /// Checks permissions that are about to be stored.
    pub fn check(permissions: &[Permission]) -> Result<()> {
        permission::check(permissions)
    }
}

impl Record for RoleRecord {
    const KIND: RecordKind = RecordKind(3);
    const WHAT: &'static str = "role record";

    fn write(&self, out: &mut Writer) {
        out.version(1);
        out.reserved(3);
        out.u64(self.id);
        out.short(self.name.as_str().as_bytes());
        permission::write(&self.permissions, out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self> {
        input.version(1)?;
        input.reserved(3)?;
        let id = input.u64()?;
        let name = input.short_text(MAX_ROLE_NAME_LEN)?;
        let name = RoleName::new(name).map_err(|_| input.corrupt("its name is impossible"))?;
        Ok(Self { id, name, permissions: permission::read(input)? })
    }
}
