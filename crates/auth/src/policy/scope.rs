//! Parts of the database: what is asked for, and what a permission is about. Pure.

use cairn_types::limits::MAX_NAME_LEN;
use cairn_types::{KeyspaceName, Topic};

use super::KeyRange;
use crate::error::{Error, Result};

/// A part of administration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdminArea {
    /// Users, their passwords and sessions.
    Users,
    /// Roles and who has them.
    Roles,
    /// API keys of others.
    ApiKeys,
    /// Master and data keys.
    Keys,
    /// Backup and restore.
    Backup,
    /// Compaction, retention, verification, repair.
    Maintenance,
    /// Figures and the state of the store.
    Status,
}

impl AdminArea {
    /// Every area, in the order of the numbers they are stored as, from 1.
    pub const ALL: [Self; 7] = [
        Self::Users,
        Self::Roles,
        Self::ApiKeys,
        Self::Keys,
        Self::Backup,
        Self::Maintenance,
        Self::Status,
    ];
}

/// What somebody wants to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// Keys of a keyspace.
    Keys(KeyspaceName, KeyRange),
    /// A keyspace as a whole: create, drop, configure; or all its keys.
    Keyspace(KeyspaceName),
    /// A topic.
    Topic(Topic),
    /// A part of administration.
    Admin(AdminArea),
}

/// Names of keyspaces or topics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NamePattern {
    /// Every name.
    Any,
    /// This name.
    Exact(Box<str>),
    /// Names that begin so.
    Prefix(Box<str>),
}

impl NamePattern {
    /// One name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it can be no name.
    pub fn exact(name: &str) -> Result<Self> {
        check(name)?;
        Ok(Self::Exact(name.into()))
    }

    /// Names that begin so.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no name begins so.
    pub fn prefix(name: &str) -> Result<Self> {
        check(name)?;
        Ok(Self::Prefix(name.into()))
    }

    /// Whether a name fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
        }
    }
}

fn check(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > MAX_NAME_LEN || !name.bytes().all(allowed) {
        return Err(Error::invalid("name pattern", "no keyspace or topic can have this name"));
    }
    Ok(())
}

/// What a permission is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A range of keys in the keyspaces of these names.
    Keys(NamePattern, KeyRange),
    /// Keyspaces as a whole, with every key in them.
    Keyspace(NamePattern),
    /// Topics.
    Topic(NamePattern),
    /// A part of administration; `None` is all of it.
    Admin(Option<AdminArea>),
}

impl Scope {
    /// Whether a resource lies in it as a whole.
    ///
    /// A range of keys never covers its keyspace, not even the range of all keys: reading every
    /// key is not dropping the keyspace.
    #[must_use]
    pub fn covers(&self, resource: &Resource) -> bool {
        match (self, resource) {
            (Self::Keys(names, range), Resource::Keys(keyspace, asked)) => {
                names.matches(keyspace.as_str()) && range.covers(asked)
            }
            (Self::Keyspace(names), Resource::Keys(keyspace, _) | Resource::Keyspace(keyspace)) => {
                names.matches(keyspace.as_str())
            }
            (Self::Topic(names), Resource::Topic(topic)) => names.matches(topic.as_str()),
            (Self::Admin(area), Resource::Admin(asked)) => area.is_none_or(|area| area == *asked),
            _ => false,
        }
    }

    /// The range by which it may cover a part of the resource.
    pub(super) fn range_towards(&self, resource: &Resource) -> Option<&KeyRange> {
        match (self, resource) {
            (Self::Keys(names, range), Resource::Keys(keyspace, asked)) => {
                let useful = range.meets(asked) && names.matches(keyspace.as_str());
                useful.then_some(range)
            }
            _ => None,
        }
    }
}
