//! Names of users and roles, and the rules for them. Neither truth nor derived: vocabulary.
//!
//! A user name has 1 to 128 of the characters `a-z A-Z 0-9 . _ - + @`. Upper and lower case are
//! kept for display and count as the same for everything else: whoever has `Ada` has `ada` too.
//! Only ASCII is allowed, so that no two names look alike and no table of Unicode can change
//! which names are the same. A role name has 1 to 64 of `a-z 0-9 . _ -`: lower case only.

use std::fmt;

use crate::error::{Error, Result};

/// Longest user name in bytes.
pub const MAX_USERNAME_LEN: usize = 128;
/// Longest role name in bytes.
pub const MAX_ROLE_NAME_LEN: usize = 64;

/// Name of a user as it was written; equal to any other way of writing it in capitals.
///
/// ```
/// use cairn_auth::Username;
/// assert_eq!(Username::new("Ada@example.org")?, Username::new("ada@EXAMPLE.org")?);
/// assert!(Username::new("a b").is_err());
/// # Ok::<(), cairn_auth::Error>(())
/// ```
#[derive(Clone)]
pub struct Username(Box<str>);

impl Username {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong with it.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let allowed = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@')
        };
        check("user name", name, MAX_USERNAME_LEN, allowed)?;
        Ok(Self(name.into()))
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is compared: in lower case.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Username {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Username {}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Username({:?})", self.0)
    }
}

/// Name of a role.
///
/// ```
/// use cairn_auth::RoleName;
/// assert_eq!(RoleName::new("order-reader")?.as_str(), "order-reader");
/// assert!(RoleName::new("Reader").is_err());
/// # Ok::<(), cairn_auth::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(Box<str>);

impl RoleName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong with it.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        check("role name", name, MAX_ROLE_NAME_LEN, allowed)?;
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn check(what: &'static str, name: &str, max: usize, allowed: impl Fn(u8) -> bool) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(what, "it is empty"));
    }
    if name.len() > max {
        return Err(Error::invalid(what, "it is too long"));
    }
    if !name.bytes().all(allowed) {
        return Err(Error::invalid(what, "it has a character that is not allowed"));
    }
    Ok(())
}
