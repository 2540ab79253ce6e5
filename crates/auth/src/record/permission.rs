//! Lists of permissions, part of roles and API keys. **Truth**, as the records they stand in.
//!
//! | bytes | field |
//! |---|---|
//! | 2 | how many, at most 256; then each: |
//! | 1 | actions: 1 read, 2 write, 4 manage; at least one |
//! | 1 | scope: 1 keys, 2 keyspace, 3 topic, 4 administration |
//! | | for scopes 1 to 3: |
//! | 1 | pattern: 0 any, 1 exact, 2 prefix |
//! | 1 + n | length, name; of length 0 for 0 |
//! | | for scope 1 also: |
//! | 2 + n | length, start of the range |
//! | 1 | 1 when the range has an end, else 0 |
//! | 2 + n | length, end of the range; only when it has one |
//! | | for scope 4: |
//! | 1 | area: 0 all, else its number |

use bytes::Bytes;
use cairn_types::limits::{MAX_KEY_LEN, MAX_NAME_LEN};

use super::layout::{Reader, Writer};
use crate::error::{Error, Result};
use crate::policy::{
    Actions, AdminArea, KeyRange, MAX_PERMISSIONS, NamePattern, Permission, Scope,
};

const KEYS: u8 = 1;
const KEYSPACE: u8 = 2;
const TOPIC: u8 = 3;
const ADMIN: u8 = 4;

/// Checks a list before it is stored.
pub fn check(permissions: &[Permission]) -> Result<()> {
    if permissions.len() > MAX_PERMISSIONS {
        return Err(Error::Full { what: "permissions", limit: MAX_PERMISSIONS as u64 });
    }
    if permissions.iter().any(|permission| permission.actions == Actions::NONE) {
        return Err(Error::invalid("permission", "it allows nothing"));
    }
    let patterns = permissions.iter().filter_map(|permission| match &permission.scope {
        Scope::Keys(names, _) | Scope::Keyspace(names) | Scope::Topic(names) => Some(names),
        Scope::Admin(_) => None,
    });
    for names in patterns {
        // The variants can be built without their checked constructors.
        match names {
            NamePattern::Any => {}
            NamePattern::Exact(name) | NamePattern::Prefix(name) => {
                NamePattern::exact(name)?;
            }
        }
    }
    Ok(())
}

pub fn write(permissions: &[Permission], out: &mut Writer) {
    out.u16(u16::try_from(permissions.len()).expect("the list was checked"));
    for Permission { actions, scope } in permissions {
        out.u8(actions.bits());
        match scope {
            Scope::Keys(names, range) => {
                out.u8(KEYS);
                write_names(names, out);
                write_range(range, out);
            }
            Scope::Keyspace(names) => {
                out.u8(KEYSPACE);
                write_names(names, out);
            }
            Scope::Topic(names) => {
                out.u8(TOPIC);
                write_names(names, out);
            }
            Scope::Admin(area) => {
                out.u8(ADMIN);
                let place = area.map(|area| AdminArea::ALL.iter().position(|one| *one == area));
                let number = place.map_or(0, |place| place.expect("all areas are listed") + 1);
                out.u8(u8::try_from(number).expect("there are few areas"));
            }
        }
    }
}

fn write_names(names: &NamePattern, out: &mut Writer) {
    let (kind, name) = match names {
        NamePattern::Any => (0, ""),
        NamePattern::Exact(name) => (1, &**name),
        NamePattern::Prefix(name) => (2, &**name),
    };
    out.u8(kind);
    out.short(name.as_bytes());
}

fn write_range(range: &KeyRange, out: &mut Writer) {
    out.long(range.start());
    out.u8(u8::from(range.end().is_some()));
    if let Some(end) = range.end() {
        out.long(end);
    }
}

pub fn read(input: &mut Reader<'_>) -> Result<Vec<Permission>> {
    let count = input.count(MAX_PERMISSIONS)?;
    let mut permissions = Vec::with_capacity(count);
    for _ in 0..count {
        permissions.push(read_one(input)?);
    }
    Ok(permissions)
}

fn read_one(input: &mut Reader<'_>) -> Result<Permission> {
    let actions = Actions::from_bits(input.u8()?).filter(|actions| *actions != Actions::NONE);
    let actions = actions.ok_or_else(|| input.corrupt("a permission has unknown actions"))?;
    let scope = match input.u8()? {
        KEYS => Scope::Keys(read_names(input)?, read_range(input)?),
        KEYSPACE => Scope::Keyspace(read_names(input)?),
        TOPIC => Scope::Topic(read_names(input)?),
        ADMIN => Scope::Admin(read_area(input)?),
        _ => return Err(input.corrupt("a permission has an unknown scope")),
    };
    Ok(Permission { actions, scope })
}

fn read_area(input: &mut Reader<'_>) -> Result<Option<AdminArea>> {
    let Some(place) = usize::from(input.u8()?).checked_sub(1) else { return Ok(None) };
    let area = AdminArea::ALL.get(place).copied();
    area.map(Some).ok_or_else(|| input.corrupt("a permission has an unknown area"))
}

fn read_names(input: &mut Reader<'_>) -> Result<NamePattern> {
    let kind = input.u8()?;
    let name = input.short_text(MAX_NAME_LEN)?;
    let names = match kind {
        0 if name.is_empty() => Ok(NamePattern::Any),
        1 => NamePattern::exact(name),
        2 => NamePattern::prefix(name),
        _ => return Err(input.corrupt("a permission has an unknown name pattern")),
    };
    names.map_err(|_| input.corrupt("a permission has an impossible name"))
}

fn read_range(input: &mut Reader<'_>) -> Result<KeyRange> {
    let start = Bytes::copy_from_slice(input.long(MAX_KEY_LEN + 1)?);
    let end = match input.u8()? {
        0 => None,
        1 => Some(Bytes::copy_from_slice(input.long(MAX_KEY_LEN + 1)?)),
        _ => return Err(input.corrupt("a key range has an unknown end")),
    };
    KeyRange::new(start, end).map_err(|_| input.corrupt("a key range is empty"))
}
