//! The records and their bytes. **Truth**: what stands in them stands nowhere else.
//!
//! Every record is laid out by hand, little-endian, version first, lengths before data, and is
//! then sealed ([`crate::seal`]) with its key in the store as identity. Decoding checks every
//! length against a cap and what is left, refuses what is not canonical, and never panics.
//! | kind | record | at |
//! |---|---|---|
//! | 1 | root secret, 32 bytes | `m/root` |
//! | 2 | user | `u/` id |
//! | 3 | role | `r/` id |
//! | 4 | API key | `k/` id |
//! | 5 | session | `s/` hash of the token |

mod api_key;
mod layout;
mod permission;
mod role;
mod session;
mod user;

pub use api_key::ApiKeyRecord;
pub use role::RoleRecord;
pub use session::SessionRecord;
pub use user::{MAX_METADATA_LEN, MAX_ROLES, UserRecord};

use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::seal::RecordKind;

/// Longest record in bytes, before it is sealed.
pub const MAX_RECORD_LEN: usize = 64 << 10;

/// Number of a user, from 1; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub(crate) u64);

impl UserId {
    /// The user with this number, if there is one.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which API key: the public part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId(pub(crate) [u8; Self::LEN]);

impl ApiKeyId {
    pub(crate) const LEN: usize = 10;

    /// Reads what its `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::hex::decode_array(text.as_bytes()).map(|bytes| Self(*bytes))
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyId({self})")
    }
}

/// Which session: a keyed hash of its token, of no use to anybody who reads it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) [u8; 32]);

impl SessionId {
    /// Reads what its `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::hex::decode_array(text.as_bytes()).map(|bytes| Self(*bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// A sealed record.
pub trait Record: Sized {
    /// Its kind.
    const KIND: RecordKind;
    /// Its name in errors.
    const WHAT: &'static str;

    /// Lays it out.
    fn write(&self, out: &mut layout::Writer);

    /// Takes it apart.
    fn read(input: &mut layout::Reader<'_>) -> Result<Self>;

    /// Its bytes.
    ///
    /// # Errors
    /// [`Error::Full`] when they are more than [`MAX_RECORD_LEN`].
    fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        let mut out = layout::Writer::default();
        self.write(&mut out);
        let bytes = out.into_bytes();
        if bytes.len() > MAX_RECORD_LEN {
            return Err(Error::Full { what: Self::WHAT, limit: MAX_RECORD_LEN as u64 });
        }
        Ok(bytes)
    }

    /// The record with these bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::UnsupportedVersion`].
    fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_RECORD_LEN {
            return Err(Error::corrupt(Self::WHAT, "it is too long"));
        }
        let mut input = layout::Reader::new(bytes, Self::WHAT);
        let record = Self::read(&mut input)?;
        input.end()?;
        Ok(record)
    }
}

/// The secret from which keys for hashing are derived.
///
/// | at | bytes | field |
/// |---|---|---|
/// | 0 | 1 | format version, 1 |
/// | 1 | 3 | reserved, 0 |
/// | 4 | 32 | the secret, random |
pub struct RootSecret(pub Zeroizing<[u8; 32]>);

impl Record for RootSecret {
    const KIND: RecordKind = RecordKind(1);
    const WHAT: &'static str = "root secret";

    fn write(&self, out: &mut layout::Writer) {
        out.version(1);
        out.reserved(3);
        out.bytes(self.0.as_slice());
    }

    fn read(input: &mut layout::Reader<'_>) -> Result<Self> {
        input.version(1)?;
        input.reserved(3)?;
        Ok(Self(Zeroizing::new(input.array()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{RoleName, Username};
    use crate::policy::{Actions, AdminArea, KeyRange, NamePattern, Permission, Scope};
    use cairn_types::Timestamp;
    use proptest::prelude::*;

    fn permissions() -> Vec<Permission> {
        let range = KeyRange::new("a", Some("b".into())).expect("not empty");
        let exact = NamePattern::exact("orders").expect("valid");
        vec![
            Permission::new(Actions::READ, Scope::Keys(exact, range)),
            Permission::new(Actions::ALL, Scope::Keys(NamePattern::Any, KeyRange::all())),
            Permission::new(
                Actions::WRITE,
                Scope::Topic(NamePattern::prefix("x.").expect("valid")),
            ),
            Permission::new(Actions::MANAGE, Scope::Keyspace(NamePattern::Any)),
            Permission::new(Actions::READ, Scope::Admin(None)),
            Permission::new(Actions::READ, Scope::Admin(Some(AdminArea::Status))),
        ]
    }

    fn user() -> UserRecord {
        UserRecord {
            id: UserId(7),
            name: Username::new("Ada").expect("valid"),
            disabled: true,
            epoch: 3,
            created_at: Timestamp::from_secs(1),
            password_changed_at: Timestamp::from_secs(2),
            password: String::from("$argon2id$"),
            roles: vec![1, 5],
            metadata: "born 1815".into(),
        }
    }

    fn api_key() -> ApiKeyRecord {
        ApiKeyRecord {
            id: ApiKeyId([9; 10]),
            owner: UserId(7),
            environment: String::from("live"),
            label: String::from("ci"),
            mac: [3; 32],
            created_at: Timestamp::from_secs(1),
            expires_at: Some(Timestamp::from_secs(9)),
            last_used_at: None,
            revoked_at: Some(Timestamp::from_secs(4)),
            scopes: Some(permissions()),
        }
    }

    fn role() -> RoleRecord {
        let name = RoleName::new("reader").expect("valid");
        RoleRecord { id: 2, name, permissions: permissions() }
    }

    fn session() -> SessionRecord {
        SessionRecord {
            id: SessionId([1; 32]),
            user: UserId(7),
            epoch: 3,
            issued_at: Timestamp::from_secs(1),
            expires_at: Timestamp::from_secs(9),
            last_seen_at: Timestamp::from_secs(2),
            idle: std::time::Duration::from_secs(60),
        }
    }

    /// Every record, decoded and encoded again; `None` when it is refused.
    fn again(kind: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let encoded = match kind {
            0 => UserRecord::decode(bytes).ok()?.encode(),
            1 => ApiKeyRecord::decode(bytes).ok()?.encode(),
            2 => RoleRecord::decode(bytes).ok()?.encode(),
            3 => SessionRecord::decode(bytes).ok()?.encode(),
            _ => RootSecret::decode(bytes).ok()?.encode(),
        };
        Some(encoded.expect("what was decoded is not too long").to_vec())
    }

    fn encoded() -> [Vec<u8>; 5] {
        let root = RootSecret(Zeroizing::new([7; 32]));
        let all = [user().encode(), api_key().encode(), role().encode(), session().encode()];
        let [a, b, c, d] = all.map(|bytes| bytes.expect("short").to_vec());
        [a, b, c, d, root.encode().expect("short").to_vec()]
    }

    #[test]
    fn records_survive_a_round_trip_and_no_cut_one_is_taken() {
        for (kind, bytes) in encoded().iter().enumerate() {
            assert_eq!(again(kind, bytes).as_ref(), Some(bytes));
            for len in 0..bytes.len() {
                assert_eq!(again(kind, &bytes[..len]), None, "kind {kind} cut to {len}");
            }
            assert_eq!(again(kind, &[bytes.as_slice(), &[0]].concat()), None, "one byte more");
        }
    }

    #[test]
    fn whatever_is_decoded_has_one_encoding() {
        for (kind, bytes) in encoded().iter().enumerate() {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if let Some(encoded) = again(kind, &flipped) {
                    assert_eq!(encoded, flipped, "kind {kind} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let [mut bytes, ..] = encoded();
        bytes[0] = 2;
        let found = UserRecord::decode(&bytes).err();
        assert!(matches!(found, Some(Error::UnsupportedVersion { found: 2, .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(
            kind in 0_usize..5,
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Some(first) = bytes.first_mut() {
                *first = 1;
            }
            if let Some(encoded) = again(kind, &bytes) {
                prop_assert_eq!(encoded, bytes);
            }
        }
    }
}
